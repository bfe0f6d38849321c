'use strict'
// The public face that a producer and a consumer share. Whatever a user may call is here or in those two; what it does is in `Core`.

const { EventEmitter } = require('node:events')
const { inspect } = require('node:util')
const { quoted, withHint } = require('../check.js')
const { RocketMQError } = require('../errors.js')
const foreign = require('../foreign-names.js')

/**
 * @template {import('../native-surface').NativeClient} N
 * @typedef {import('./core').Core<N, any>} Core
 */

/** Events of every client. */
const CLIENT_EVENTS = ['warning', 'connected', 'disconnected', 'routeChanged', 'close']

/** Names that Node itself listens to. */
const NODE_EVENTS = ['error', 'newListener', 'removeListener']

/** Absent inside Jest's sandbox on Node 20. */
const asyncDispose = /** @type {typeof Symbol.asyncDispose} */ (
  Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')
)

/** Its only state is private, where `util.inspect` does not look. */
class Client extends EventEmitter {
  /** @type {Core<import('../native-surface').NativeClient>} */
  #core
  /** @type {Set<string>} */
  #events
  #warnedOf = new Set()

  /**
   * @param {Core<any>} core
   * @param {readonly string[]} events of this kind of client, beside the common ones
   */
  constructor(core, events) {
    super()
    if (new.target === Client) throw new RocketMQError('ERR_ROCKETMQ_INVALID_STATE', 'Client is abstract')
    this.#core = core
    this.#events = new Set([...CLIENT_EVENTS, ...events, ...NODE_EVENTS])
    core.reports.attach(this)
  }

  get groupId() {
    return this.#core.groupId
  }

  get clientId() {
    return this.#core.clientId
  }

  get state() {
    return this.#core.state
  }

  /** @param {string} address */
  setNameServerAddress(address) {
    this.#core.setNameServers(address)
    return this
  }

  /**
   * @param {string} accessKey
   * @param {string} secretKey
   * @param {string} [channel]
   */
  setSessionCredentials(accessKey, secretKey, channel) {
    this.#core.setCredentials({ accessKey, secretKey, channel })
    return this
  }

  /** @type {Promise<this> | null} */
  #started = null
  /** @type {Promise<void> | null} */
  #startedCore = null

  /** @returns {Promise<this>} */
  start() {
    const core = this.#core.start()
    // The same promise for the same start.
    if (this.#started === null || this.#startedCore !== core) {
      this.#startedCore = core
      this.#started = core.then(() => this)
    }
    return this.#started
  }

  /** @returns {import('../../../index').Health} */
  health() {
    const problems = this.#core.problems()
    return { ok: problems.length === 0, problems }
  }

  /** @param {{ timeoutMs?: number | undefined }} [options] */
  close(options) {
    return this.#core.close(options)
  }

  /** @param {{ timeoutMs?: number | undefined }} [options] */
  shutdown(options) {
    return this.#core.close(options)
  }

  [asyncDispose]() {
    return this.#core.close()
  }

  /**
   * @param {string | symbol} event
   * @param {(...args: any[]) => void} listener
   */
  on(event, listener) {
    this.#check(event)
    return super.on(event, listener)
  }

  /**
   * @param {string | symbol} event
   * @param {(...args: any[]) => void} listener
   */
  addListener(event, listener) {
    return this.on(event, listener)
  }

  /**
   * @param {string | symbol} event
   * @param {(...args: any[]) => void} listener
   */
  prependListener(event, listener) {
    this.#check(event)
    return super.prependListener(event, listener)
  }

  /**
   * @param {number} _depth
   * @param {import('node:util').InspectOptions} options
   */
  [inspect.custom](_depth, options) {
    return `${this.constructor.name} ${inspect(this.toJSON(), options)}`
  }

  toJSON() {
    const { groupId, clientId, state } = this
    return { groupId, clientId, state }
  }

  /** @param {string | symbol} event */
  #check(event) {
    if (typeof event !== 'string' || this.#events.has(event) || this.#warnedOf.has(event)) return
    this.#warnedOf.add(event)
    const names = [...this.#events].filter((name) => !NODE_EVENTS.includes(name))
    const problem = `${this.constructor.name} has no event ${quoted(event)}`
    process.emitWarning(withHint(problem, event, names, foreign.EVENTS), {
      type: 'RocketMQWarning',
      code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
    })
  }
}

module.exports = { Client }
