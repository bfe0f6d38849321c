'use strict'
// What handlers get beside their messages.

const { integer } = require('../check.js')
const { RocketMQError } = require('../errors.js')

/**
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../../../index').MessageQueue} MessageQueue
 */

/** What a handler gets beside its message. */
class Context {
  /** @type {AbortController | undefined} */
  #controller
  /** @type {Failure | undefined} */
  #reason

  /**
   * @param {MessageQueue} queue
   * @param {number} attempt
   */
  constructor(queue, attempt) {
    this.queue = queue
    this.attempt = attempt
  }

  /** Made when it is asked for: most handlers never do. */
  get signal() {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /**
   * @param {Context} context
   * @param {Failure} reason
   */
  static abort(context, reason) {
    if (context.#reason) return
    context.#reason = reason
    context.#controller?.abort(reason)
  }
}

/** What a handler of several messages gets. */
class BatchContext extends Context {
  #count
  #done = 0
  #isOver = false
  /** Tells that so many are done, of which so many were before. @type {(done: number, before: number) => void} */
  #tell

  /**
   * @param {MessageQueue} queue
   * @param {number} attempt of the first message
   * @param {number} count of the messages
   * @param {(done: number, before: number) => void} tell
   */
  constructor(queue, attempt, count, tell) {
    super(queue, attempt)
    this.#count = count
    this.#tell = tell
    // So that a handler may take it out of its context.
    this.done = this.done.bind(this)
  }

  /** @param {number} count of the messages that are handled, from the first on */
  done(count) {
    integer('count', count, this.#done, this.#count)
    if (this.#isOver) {
      throw new RocketMQError('ERR_ROCKETMQ_INVALID_STATE', 'done() was called after the handler had ended', {
        queue: this.queue,
      })
    }
    const before = this.#done
    this.#done = count
    this.#tell(count, before)
  }

  /**
   * The handler has ended.
   * @param {BatchContext} context
   * @returns {number} of the messages that it has said are done
   */
  static end(context) {
    context.#isOver = true
    return context.#done
  }
}

module.exports = { BatchContext, Context }
