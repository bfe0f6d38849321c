'use strict'
// `messages()`: a loop is the handler. What the loop has is in a handler whose promise it settles: by asking for the next one, or by leaving.

const { LEFT } = require('./outcomes.js')
const { Fifo } = require('../fifo.js')

/**
 * @typedef {import('../../../index').ReceivedMessage} ReceivedMessage
 * @typedef {IteratorResult<ReceivedMessage, any>} Result
 */

/**
 * The consumer behind a loop.
 * @typedef {object} Behind
 * @property {() => Promise<unknown>} start
 * @property {() => Promise<void>} close
 */

/** What iterators of async generators inherit: more, the newer Node.js is. */
const AsyncIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf((async function* () {})()))

/** @implements {AsyncIterableIterator<ReceivedMessage>} */
class Messages {
  /** @type {Behind} */
  #behind
  /** @type {AbortSignal | undefined} */
  #signal
  #close = () => void this.#behind.close()
  /** Calls of `next()`. @type {Fifo<{ resolve: (result: Result | Promise<Result>) => void, reject: (error: unknown) => void }>} */
  #waiting = new Fifo()
  /** The message whose handler runs; the loop has it, or will be given it. @type {{ message: ReceivedMessage, settle: (outcome: unknown) => void, isTaken: boolean } | null} */
  #current = null
  #isStarted = false
  #isOver = false

  /**
   * @param {Behind} behind
   * @param {AbortSignal | undefined} signal
   */
  constructor(behind, signal) {
    this.#behind = behind
    this.#signal = signal
    signal?.addEventListener('abort', this.#close, { once: true })
  }

  [Symbol.asyncIterator]() {
    return this
  }

  /**
   * The message before is handled.
   * @returns {Promise<Result>}
   */
  next() {
    if (this.#isOver) {
      this.#settle(LEFT)
      return this.#ended()
    }
    if (this.#current?.isTaken) this.#settle(undefined)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#serve()
      this.#start()
    })
  }

  /**
   * The message before is not handled.
   * @param {any} [value]
   * @returns {Promise<Result>}
   */
  async return(value) {
    await this.#leave()
    return { value: await value, done: true }
  }

  /**
   * As `return()`.
   * @param {unknown} [error]
   * @returns {Promise<Result>}
   */
  async throw(error) {
    await this.#leave()
    throw error
  }

  // ------------------------------------------------------------- the consumer

  /**
   * The handler.
   * @param {ReceivedMessage} message
   * @returns {unknown}
   */
  offer(message) {
    if (this.#isOver) return LEFT
    return new Promise((settle) => {
      this.#current = { message, settle, isTaken: false }
      this.#serve()
    })
  }

  /** The consumer closes, and delivers no more. What the loop still works on, it keeps until it asks for more: nobody else may begin it before. */
  end() {
    if (this.#isOver) return
    this.#isOver = true
    this.#signal?.removeEventListener('abort', this.#close)
    if (this.#current?.isTaken === false) this.#settle(LEFT)
    for (let next; (next = this.#waiting.shift());) next.resolve(this.#ended())
  }

  // ------------------------------------------------------------- inside

  /** Gives the next message to whoever has asked first. */
  #serve() {
    const current = this.#current
    if (current === null || current.isTaken) return
    const next = this.#waiting.shift()
    if (next === undefined) return
    current.isTaken = true
    next.resolve({ value: current.message, done: false })
    // Somebody has asked for the next one already, as of an async generator.
    if (this.#waiting.length > 0) this.#settle(undefined)
  }

  /** @param {unknown} outcome */
  #settle(outcome) {
    const current = this.#current
    this.#current = null
    current?.settle(outcome)
  }

  #start() {
    if (this.#isStarted) return
    this.#isStarted = true
    if (this.#signal?.aborted) return this.#close()
    this.#behind.start().catch((error) => {
      // Nothing is left running, and whoever asks again starts again.
      this.#isStarted = false
      for (let next; (next = this.#waiting.shift());) next.reject(error)
    })
  }

  async #leave() {
    const closed = this.#behind.close() // ends the loop, too: nothing starts any more
    this.#settle(LEFT)
    await closed
  }

  /** @returns {Promise<Result>} */
  async #ended() {
    await null // close() may be in the middle of its call
    await this.#behind.close()
    return { value: undefined, done: true }
  }
}
Object.setPrototypeOf(Messages.prototype, AsyncIteratorPrototype)

module.exports = { Messages }
