'use strict'
// `TestBroker`: checks what it is called with and asks the native side, in JSON throughout: nothing here is hot.

const { isDate } = require('node:util').types
const check = require('../check.js')
const { Slots } = require('../client/slots.js')
const { RocketMQError, call } = require('../errors.js')
const { openHandle } = require('../open-handle.js')
const { flatten, shardingKey } = require('../message.js')
const { NativeTestBroker } = require('./addon.js')
const {
  DEFAULT_QUEUES,
  MAX_QUEUES,
  MAX_TOPIC,
  checkOffset,
  checkOptions,
  checkQueue,
  checkTime,
} = require('./arguments.js')
const { checkFault } = require('./fault.js')

/**
 * @typedef {import('../../../testing').TestBrokerOptions} TestBrokerOptions
 * @typedef {import('../../../testing').StoredMessage} StoredMessage
 * @typedef {import('../../../testing').Fault} Fault
 */

const MAX_BODY = 4 * 1024 * 1024
/** Bound of `caughtUp()` when none is given: below Jest's own. */
const CATCH_UP_MS = 4_000

/** Only `TestBroker.start()` knows it. */
const START = Symbol('start')

/** Absent inside Jest's sandbox on Node 20. */
const asyncDispose = /** @type {typeof Symbol.asyncDispose} */ (
  Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')
)

class TestBroker {
  #native = new NativeTestBroker()
  #slots = new Slots()
  #handle = openHandle('RocketMQ TestBroker')
  #nameServer = ''
  /** @type {readonly string[]} */
  #brokers = []
  /** @type {string | undefined} */
  #ca
  /** @type {Promise<void> | null} */
  #closed = null

  /** @param {symbol} [start] */
  constructor(start) {
    if (start !== START) {
      this.#handle.close()
      throw new RocketMQError(
        'ERR_ROCKETMQ_INVALID_STATE',
        'use TestBroker.start(): a test broker listens from the start',
      )
    }
  }

  /** @param {TestBrokerOptions} [options] */
  static async start(options = {}) {
    const settings = checkOptions(options)
    const broker = new TestBroker(START)
    try {
      const { nameServer, brokers, ca } = await broker.#slots.ask((slot) =>
        broker.#native.start(slot, JSON.stringify(settings), {
          answer: (...answer) => broker.#slots.answered(...answer),
        }),
      )
      broker.#nameServer = nameServer
      broker.#brokers = Object.freeze(brokers)
      broker.#ca = ca ?? undefined
      return broker
    } catch (error) {
      broker.#handle.close()
      throw error
    }
  }

  get nameServer() {
    return this.#nameServer
  }

  get brokers() {
    return this.#brokers
  }

  get ca() {
    return this.#ca
  }

  // ------------------------------------------------------------- topics, groups, messages

  /**
   * @param {string} name
   * @param {{ queues?: number | undefined, readQueues?: number | undefined, perm?: 'rw' | 'r' | 'w' | undefined }} [options]
   */
  async createTopic(name, options = {}) {
    const given = check.record('options', options, ['queues', 'readQueues', 'perm'], '')
    const queues = given.queues === undefined ? DEFAULT_QUEUES : check.integer('queues', given.queues, 1, MAX_QUEUES)
    const { readQueues } = given
    this.#call('createTopic', {
      topic: check.resource('name', name, MAX_TOPIC),
      queues,
      readQueues: readQueues === undefined ? queues : check.integer('readQueues', readQueues, 1, MAX_QUEUES),
      perm: given.perm === undefined ? 'rw' : check.oneOf('perm', given.perm, ['rw', 'r', 'w']),
    })
  }

  /** @param {string} name */
  async createGroup(name) {
    this.#call('createGroup', { group: check.group('name', name) })
  }

  /**
   * @param {import('../../../index').MessageInit} message
   * @param {string} key
   */
  async publish(message, key) {
    const { topic, body, tags, keys, properties = [] } = flatten('message', message, MAX_BODY)
    const all = [...properties]
    if (tags !== undefined) all.push('TAGS', tags)
    if (keys !== undefined) all.push('KEYS', keys)
    const checked = shardingKey(key)
    this.#mustBeOpen()
    const stored = JSON.parse(call(() => this.#native.publish(topic, checked, body, all)))
    return { status: /** @type {const} */ (0), ...stored }
  }

  /**
   * @param {string} topic
   * @returns {Promise<readonly StoredMessage[]>}
   */
  async messages(topic) {
    return this.#call('messages', { topic: check.resource('topic', topic, MAX_TOPIC) }).map(storedMessage)
  }

  /** @param {{ topic: string, brokerName: string, queueId: number }} queue @param {number} offset */
  async truncate(queue, offset) {
    this.#call('truncate', { queue: checkQueue('queue', queue), offset: checkOffset('offset', offset) })
  }

  /** @param {{ topic: string, brokerName: string, queueId: number }} queue @param {number} offset */
  async setBack(queue, offset) {
    this.#call('setBack', { queue: checkQueue('queue', queue), offset: checkOffset('offset', offset) })
  }

  // ------------------------------------------------------------- groups at work

  /**
   * @param {string} group
   * @param {{ timeoutMs?: number | undefined }} [options]
   */
  async caughtUp(group, options = {}) {
    const given = check.record('options', options, ['timeoutMs'], '')
    const timeoutMs = given.timeoutMs === undefined ? CATCH_UP_MS : check.integer('timeoutMs', given.timeoutMs)
    await this.#ask('caughtUp', { group: check.group('group', group), timeoutMs })
  }

  /** @param {string} group */
  offsets(group) {
    return this.#call('offsets', { group: check.group('group', group) })
  }

  /**
   * @param {string} group
   * @param {string} topic
   * @param {number | Date} to
   */
  async resetOffset(group, topic, to) {
    const where = isDate(to) ? { time: checkTime('to', to) } : { offset: checkOffset('to', to) }
    const names = { group: check.group('group', group), topic: check.resource('topic', topic, MAX_TOPIC) }
    this.#call('resetOffset', { ...names, ...where })
  }

  /** @param {string} group */
  members(group) {
    return this.#call('members', { group: check.group('group', group) })
  }

  /** @param {string} group */
  locks(group) {
    return this.#call('locks', { group: check.group('group', group) })
  }

  /**
   * @param {string} group
   * @param {{ topic: string, brokerName: string, queueId: number }} [queue]
   */
  stealLocks(group, queue) {
    const one = queue === undefined ? {} : { queue: checkQueue('queue', queue) }
    this.#call('stealLocks', { group: check.group('group', group), ...one })
  }

  forgetLocks() {
    this.#call('forgetLocks')
  }

  // ------------------------------------------------------------- what came, and what goes wrong

  requests() {
    return this.#call('requests')
  }

  maxInFlightPerKey() {
    return this.#call('maxInFlightPerKey')
  }

  violations() {
    return this.#call('violations')
  }

  /** @param {Fault} fault */
  fault(fault) {
    const id = this.#call('fault', { fault: checkFault(fault) })
    const broker = this
    return Object.freeze({
      get hits() {
        return broker.#call('faultHits', { id }, true)
      },
      remove() {
        broker.#call('removeFault', { id }, true)
      },
    })
  }

  clearFaults() {
    this.#call('clearFaults')
  }

  // ------------------------------------------------------------- servers

  /** @param {number} [index] */
  async stopBroker(index = 0) {
    await this.#ask('stopBroker', { index: this.#index(index) })
  }

  /**
   * @param {number} [index]
   * @param {{ keep?: 'all' | 'stored' | undefined }} [options]
   */
  async startBroker(index = 0, options = {}) {
    const given = check.record('options', options, ['keep'], '')
    const keep = given.keep === undefined ? 'stored' : check.oneOf('keep', given.keep, ['all', 'stored'])
    await this.#ask('startBroker', { index: this.#index(index), keep })
  }

  async stopNameServer() {
    await this.#ask('stopNameServer')
  }

  async startNameServer() {
    await this.#ask('startNameServer')
  }

  /** @returns {Promise<void>} */
  close() {
    this.#closed ??= this.#end()
    return this.#closed
  }

  [asyncDispose]() {
    return this.close()
  }

  async #end() {
    try {
      await this.#slots.ask((slot) => this.#native.close(slot))
    } finally {
      this.#handle.close()
      // The native side answers nobody any more.
      for (const waiting of this.#slots.outstanding()) waiting.reject(closedError())
      this.#slots.clear()
    }
  }

  /**
   * For the command line: messages stored behind these places of the brokers' logs, as soon as there are some.
   * @param {TestBroker} broker
   * @param {number[]} places
   * @returns {Promise<{ messages: StoredMessage[], places: number[] }>}
   */
  static async storedSince(broker, places) {
    const stored = await broker.#ask('storedSince', { places })
    return { messages: stored.messages.map(storedMessage), places: stored.places }
  }

  // ------------------------------------------------------------- the border

  /** @param {unknown} index */
  #index(index) {
    return check.integer('index', index, 0, this.#brokers.length - 1)
  }

  #mustBeOpen() {
    if (this.#closed !== null) throw closedError()
  }

  /**
   * @param {string} method
   * @param {object} [args]
   * @param {boolean} [afterClose] whether it may be asked of a closed broker
   * @returns {any}
   */
  #call(method, args = {}, afterClose = false) {
    if (!afterClose) this.#mustBeOpen()
    return JSON.parse(call(() => this.#native.call(JSON.stringify({ method, ...args }))))
  }

  /**
   * @param {string} method
   * @param {object} [args]
   * @returns {Promise<any>}
   */
  async #ask(method, args = {}) {
    this.#mustBeOpen()
    return this.#slots.ask((slot) => this.#native.ask(slot, JSON.stringify({ method, ...args })))
  }
}

function closedError() {
  return new RocketMQError('ERR_ROCKETMQ_CLOSED', 'the test broker is closed')
}

/**
 * @param {any} stored
 * @returns {StoredMessage}
 */
function storedMessage({ body, properties, ...rest }) {
  const own = Object.assign(Object.create(null), Object.fromEntries(properties))
  return { ...rest, properties: own, body: Buffer.from(body, 'base64') }
}

module.exports = { TestBroker }
