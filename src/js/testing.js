'use strict'

const { isDate, isRegExp, isUint8Array } = require('node:util').types
const check = require('./check.js')
const { RocketMQError, call, errorFrom, errorFromThrown, invalid } = require('./errors.js')
const { flatten, shardingKey } = require('./message.js')
const native = require('./addon.js')

/**
 * @typedef {import('../../testing').TestBrokerOptions} TestBrokerOptions
 * @typedef {import('../../testing').StoredMessage} StoredMessage
 * @typedef {import('../../testing').Fault} Fault
 * @typedef {import('./test-broker-surface').NativeTestBroker} NativeTestBroker
 * @typedef {{ resolve: (value: any) => void, reject: (error: Error) => void }} Waiting
 */

const { NativeTestBroker: Native } = /** @type {{ NativeTestBroker: new () => NativeTestBroker }} */ (
  /** @type {unknown} */ (native)
)

/** Queues of a topic whose number nobody gave. */
const DEFAULT_QUEUES = 4
const MAX_QUEUES = 65_536
const MAX_BROKERS = 64
const MAX_BODY = 4 * 1024 * 1024
const MAX_TOPIC = 127
/** Bound of `caughtUp()` when none is given: below Jest's own. */
const CATCH_UP_MS = 4_000

const OPTIONS = ['topics', 'groups', 'brokers', 'port', 'version', 'credentials', 'seed', 'timeFactor']
const MATCH = ['request', 'clientId', 'topic', 'queueId', 'nth', 'times', 'probability']
const EFFECTS = [
  'delayMs',
  'stallMs',
  'answer',
  'drop',
  'disconnect',
  'cutAnswerAt',
  'blackhole',
  'disorder',
  'garbage',
]
const REQUESTS = /** @type {const} */ (['send', 'pull', 'lock', 'unlock', 'commit', 'heartbeat', 'route'])

/** Only `TestBroker.start()` knows it. */
const START = Symbol('start')

/** Absent inside Jest's sandbox on Node 20. */
const asyncDispose = /** @type {typeof Symbol.asyncDispose} */ (
  Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')
)

class TestBroker {
  /** @type {NativeTestBroker} */
  #native = new Native()
  /** @type {Map<number, Waiting>} */
  #waiting = new Map()
  #slots = 0
  #nameServer = ''
  /** @type {readonly string[]} */
  #brokers = []
  /** @type {Promise<void> | null} */
  #closed = null

  /** @param {symbol} [start] */
  constructor(start) {
    if (start !== START) {
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
    const { nameServer, brokers } = await broker.#request((slot) =>
      broker.#native.start(slot, JSON.stringify(settings), { answer: (...answer) => broker.#answered(...answer) }),
    )
    broker.#nameServer = nameServer
    broker.#brokers = Object.freeze(brokers)
    return broker
  }

  get nameServer() {
    return this.#nameServer
  }

  get brokers() {
    return this.#brokers
  }

  // ------------------------------------------------------------- topics, groups, messages

  /**
   * @param {string} name
   * @param {{ queues?: number | undefined, perm?: 'rw' | 'r' | 'w' | undefined }} [options]
   */
  async createTopic(name, options = {}) {
    const given = check.record('options', options, ['queues', 'perm'], '')
    this.#call('createTopic', {
      topic: check.resource('name', name, MAX_TOPIC),
      queues: given.queues === undefined ? DEFAULT_QUEUES : check.integer('queues', given.queues, 1, MAX_QUEUES),
      perm: given.perm === undefined ? 'rw' : check.oneOf('perm', given.perm, ['rw', 'r', 'w']),
    })
  }

  /** @param {string} name */
  async createGroup(name) {
    this.#call('createGroup', { group: check.group('name', name) })
  }

  /**
   * @param {import('../../index').MessageInit} message
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
      await this.#request((slot) => this.#native.close(slot))
    } finally {
      // The native side answers nobody any more.
      for (const waiting of this.#waiting.values()) waiting.reject(closedError())
      this.#waiting.clear()
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
    return this.#request((slot) => this.#native.ask(slot, JSON.stringify({ method, ...args })))
  }

  /**
   * @param {(slot: number) => void} request
   * @returns {Promise<any>}
   */
  #request(request) {
    const slot = this.#slots
    this.#slots = (slot + 1) % 2 ** 31
    return new Promise((resolve, reject) => {
      this.#waiting.set(slot, { resolve, reject })
      try {
        request(slot)
      } catch (thrown) {
        this.#waiting.delete(slot)
        reject(errorFromThrown(thrown))
      }
    })
  }

  /**
   * @param {number} slot
   * @param {string | null} error
   * @param {string} json
   */
  #answered(slot, error, json) {
    const waiting = this.#waiting.get(slot)
    this.#waiting.delete(slot)
    if (error !== null && error !== undefined) waiting?.reject(errorFrom(error))
    else waiting?.resolve(JSON.parse(json))
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

/** @param {TestBrokerOptions} options */
function checkOptions(options) {
  const given = check.record('options', options, OPTIONS, '')
  return {
    topics: given.topics === undefined ? undefined : checkTopics(given.topics),
    groups: given.groups === undefined ? undefined : checkGroups(given.groups),
    brokers: given.brokers === undefined ? 1 : check.integer('brokers', given.brokers, 1, MAX_BROKERS),
    port: given.port === undefined ? 0 : check.integer('port', given.port, 0, 65_535),
    version: given.version === undefined ? '5.5' : check.oneOf('version', given.version, ['4.9', '5.5']),
    credentials: given.credentials === undefined ? [] : checkCredentials(given.credentials),
    seed: given.seed === undefined ? 1 : check.integer('seed', given.seed, 0, Number.MAX_SAFE_INTEGER),
    timeFactor: given.timeFactor === undefined ? 1 : checkNumber('timeFactor', given.timeFactor, 0.000_001, 1000),
  }
}

/** @param {unknown} topics */
function checkTopics(topics) {
  if (Array.isArray(topics)) return topics.map((topic, i) => [checkTopic(`topics[${i}]`, topic), DEFAULT_QUEUES])
  if (typeof topics !== 'object' || topics === null) {
    throw invalid('topics', `must be an array or an object, not ${check.describe(topics)}`)
  }
  return Object.entries(topics).map(([topic, queues]) => [
    checkTopic(`topics.${topic}`, topic),
    check.integer(`topics.${topic}`, queues, 1, MAX_QUEUES),
  ])
}

/** @param {string} field @param {unknown} topic */
function checkTopic(field, topic) {
  return check.resource(field, topic, MAX_TOPIC)
}

/** @param {unknown} groups */
function checkGroups(groups) {
  if (!Array.isArray(groups)) throw invalid('groups', `must be an array, not ${check.describe(groups)}`)
  return groups.map((group, i) => check.group(`groups[${i}]`, group))
}

/** @param {unknown} credentials */
function checkCredentials(credentials) {
  const list = Array.isArray(credentials) ? credentials : [credentials]
  return list.map((one, i) => {
    const field = Array.isArray(credentials) ? `credentials[${i}]` : 'credentials'
    const given = check.record(field, one, ['accessKey', 'secretKey', 'securityToken', 'channel'])
    return {
      accessKey: check.text(`${field}.accessKey`, given.accessKey),
      secretKey: check.text(`${field}.secretKey`, given.secretKey),
    }
  })
}

/** @param {string} field @param {unknown} value @param {number} min @param {number} max */
function checkNumber(field, value, min, max) {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw invalid(field, `must be a number from ${min} to ${max}, not ${check.describe(value)}`)
  }
  return value
}

/** @param {string} field @param {unknown} value */
function checkOffset(field, value) {
  return check.integer(field, value, 0, Number.MAX_SAFE_INTEGER)
}

/** @param {string} field @param {Date} value */
function checkTime(field, value) {
  if (Number.isNaN(value.getTime())) throw invalid(field, 'must be a valid date')
  return value.getTime()
}

/** @param {string} field @param {unknown} queue */
function checkQueue(field, queue) {
  const given = check.record(field, queue, ['topic', 'brokerName', 'queueId'])
  return {
    topic: check.resource(`${field}.topic`, given.topic, MAX_TOPIC),
    brokerName: check.text(`${field}.brokerName`, given.brokerName),
    queueId: check.integer(`${field}.queueId`, given.queueId, 0, MAX_QUEUES),
  }
}

/** @param {unknown} fault */
function checkFault(fault) {
  const given = check.record('fault', fault, [...MATCH, ...EFFECTS, 'remark'], 'fault.')
  const set = EFFECTS.filter((name) => given[name] !== undefined)
  const [effect] = set
  if (effect === undefined) throw invalid('fault', `must say what goes wrong: one of ${EFFECTS.join(', ')}`)
  if (set.length > 1) throw invalid('fault', `does one thing, not ${set.join(' and ')}; make a fault of each`)
  if (given.remark !== undefined && effect !== 'answer') throw invalid('fault.remark', 'belongs to an answer')
  return { ...checkMatch(given), ...checkEffect(effect, given) }
}

/** @param {Record<string, unknown>} given */
function checkMatch(given) {
  /** @type {<T>(name: string, checked: (field: string, value: unknown) => T) => T | undefined} */
  const optional = (name, checked) => (given[name] === undefined ? undefined : checked(`fault.${name}`, given[name]))
  const { clientId } = given
  return {
    request: optional('request', (field, value) =>
      typeof value === 'number' ? check.integer(field, value) : check.oneOf(field, value, REQUESTS),
    ),
    clientId: isRegExp(clientId) ? undefined : optional('clientId', check.text),
    clientPattern: isRegExp(clientId) ? [clientId.source, clientId.flags.replace(/[dgy]/g, '')] : undefined,
    topic: optional('topic', check.text),
    queueId: optional('queueId', (field, value) => check.integer(field, value, 0)),
    nth: optional('nth', (field, value) => check.integer(field, value)),
    times: optional('times', (field, value) => check.integer(field, value)),
    probability: optional('probability', (field, value) => checkNumber(field, value, 0, 1)),
  }
}

/** @param {string} effect @param {Record<string, unknown>} given */
function checkEffect(effect, given) {
  const field = `fault.${effect}`
  const value = given[effect]
  switch (effect) {
    case 'delayMs':
    case 'stallMs':
    case 'cutAnswerAt':
      return { [effect]: check.integer(field, value, 0) }
    case 'answer':
      return {
        answer: check.integer(field, value, 0),
        remark: given.remark === undefined ? undefined : check.text('fault.remark', given.remark),
      }
    case 'drop':
      return { drop: check.oneOf(field, value, ['answer', 'request']) }
    case 'disconnect':
      return { disconnect: check.oneOf(field, value, ['before', 'after']) }
    case 'garbage':
      if (!isUint8Array(value)) throw invalid(field, `must be a Uint8Array, not ${check.describe(value)}`)
      return { garbage: Buffer.from(value).toString('base64') }
    default:
      if (value !== true) throw invalid(field, `must be true, not ${check.describe(value)}`)
      return { [effect]: true }
  }
}

module.exports = { TestBroker }
