'use strict'
// `writable()`: a stream that sends. It takes what there is room for, and has finished when everything is stored.

const { Writable } = require('node:stream')
const { now, setImmediate } = require('../clock.js')
const { aborted } = require('./not-sent.js')

/**
 * @typedef {import('../../../index').MessageInit} MessageInit
 */

/**
 * What a stream needs of its producer.
 * @typedef {object} Way
 * @property {(message: MessageInit, shardingKey: string, options: { signal: AbortSignal }) => Promise<unknown>} send
 * @property {() => number} refusals how many sends were refused at their call
 * @property {() => boolean} hasRoom
 * @property {(signal: AbortSignal) => Promise<void>} ready
 * @property {() => Promise<void>} heard resolves when what is decided by now has been delivered
 */

/** How long a turn of the event loop may send, in milliseconds, however fast the source is. */
const BUDGET_MS = 1
/** How many messages are sent before the clock is looked at. */
const SLICE = 16

class MessageStream extends Writable {
  /** @type {Way} */
  #way
  /** @type {(message: MessageInit) => string} */
  #shardingKey
  /** Fires when the stream is over: what still waits is taken out again. */
  #over = new AbortController()
  #sendOptions = { signal: this.#over.signal }
  /** Sends without an answer. */
  #pending = 0
  /** What `end()` waits with. @type {(() => void) | null} */
  #finish = null
  /** Of this turn. */
  #began = now()
  #sent = 0
  #unwatch = () => {}

  /**
   * @param {Way} way
   * @param {(message: MessageInit) => string} shardingKey
   * @param {AbortSignal | undefined} signal
   */
  constructor(way, shardingKey, signal) {
    super({ objectMode: true })
    this.#way = way
    this.#shardingKey = shardingKey
    if (signal !== undefined) this.#watch(signal)
  }

  /** @param {AbortSignal} signal */
  #watch(signal) {
    const abort = () => void this.destroy(aborted(signal))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    this.#unwatch = () => signal.removeEventListener('abort', abort)
  }

  /**
   * @override
   * @param {MessageInit} message
   * @param {string} _encoding
   * @param {(error?: Error | null) => void} callback
   */
  _write(message, _encoding, callback) {
    const way = this.#way
    const shardingKey = this.#shardingKey
    let key
    try {
      key = shardingKey(message)
    } catch (error) {
      return callback(/** @type {Error} */ (error))
    }
    const refusals = way.refusals()
    this.#pending++
    way.send(message, key, this.#sendOptions).then(this.#stored, this.#failed)
    // What is refused destroys the stream before anything behind it is sent.
    if (way.refusals() !== refusals) return
    if (!way.hasRoom()) {
      way.ready(this.#over.signal).then(() => this.#next(callback), callback)
    } else if (++this.#sent % SLICE === 0 && now() - this.#began > BUDGET_MS) {
      setImmediate(() => this.#next(callback))
    } else {
      callback()
    }
  }

  /** A turn of the event loop begins. @param {() => void} callback */
  #next(callback) {
    this.#began = now()
    callback()
  }

  #stored = () => {
    if (--this.#pending === 0) this.#finish?.()
  }

  /** @param {Error} error */
  #failed = (error) => {
    this.#pending--
    this.destroy(error)
  }

  /**
   * @override
   * @param {() => void} callback
   */
  _final(callback) {
    if (this.#pending === 0) callback()
    else this.#finish = callback
  }

  /**
   * @override
   * @param {Error | null} error
   * @param {(error: Error | null) => void} callback
   */
  _destroy(error, callback) {
    this.#unwatch()
    if (this.#pending === 0) return callback(error)
    this.#over.abort()
    // What was taken out is delivered first: who begins again with the same keys finds them open.
    const end = () => callback(error)
    this.#way.heard().then(end, end)
  }
}

module.exports = { MessageStream }
