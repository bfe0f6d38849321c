'use strict'
// The way of a queue's messages through the handler. Native decides at every message whether it may begin (`mayStart`) and hears how it
// ended (`ack`): no await may come between the two questions and what they are about.

const { textOf } = require('../cause.js')
const { clearTimeout, setTimeout } = require('../clock.js')
const { Outcome, verdictOfReturned, verdictOfThrown } = require('./outcomes.js')
const { RocketMQError } = require('../errors.js')
const { Fifo } = require('../fifo.js')
const { nextTurn } = require('../turn.js')

/**
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../message').ReceivedMessage} ReceivedMessage
 * @typedef {import('../native-surface').NativeConsumer} NativeConsumer
 * @typedef {import('./outcomes').Verdict} Verdict
 * @typedef {import('../../../index').MessageQueue} MessageQueue
 */

/** The places for handlers, over all lanes; whoever waits longest is next. */
class Places {
  #free
  /** @type {Fifo<() => void>} */
  #waiting = new Fifo()

  /** @param {number} places */
  constructor(places) {
    this.#free = places
  }

  /** @returns {Promise<void> | null} null: the place is there at once */
  take() {
    if (this.#free > 0) {
      this.#free--
      return null
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  give() {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}

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

/**
 * What a lane needs of its consumer.
 * @typedef {object} Host
 * @property {NativeConsumer} native
 * @property {Places} places
 * @property {number | undefined} handlerTimeoutMs
 * @property {(message: ReceivedMessage, context: Context) => unknown} handle calls the handler of the message's topic
 * @property {(error: Failure) => void} warn
 * @property {(message: ReceivedMessage) => Failure} junk the failure that a returned value is no outcome
 * @property {(message: ReceivedMessage, delayMs: number, cause: unknown) => void} suspended
 */

/** The messages of one queue on their way through the handler, one at a time. It outlives epochs, as the gate in native does. */
class Lane {
  /** @type {Host} */
  #host
  #index
  /** @type {Fifo<{ generation: number, messages: ReceivedMessage[] }>} */
  #chunks = new Fifo()
  #pumping = false
  /** @type {{ generation: number, message: ReceivedMessage, context: Context } | null} */
  #running = null
  /** The last failure of a message, for whoever asks what blocks the queue. @type {{ offset: number, cause: unknown } | null} */
  #failure = null

  /**
   * @param {Host} host
   * @param {number} index of the queue in native
   * @param {MessageQueue} queue
   */
  constructor(host, index, queue) {
    this.#host = host
    this.#index = index
    this.queue = queue
  }

  /** The message whose handler runs. */
  get running() {
    return this.#running?.message
  }

  /**
   * Why the message at this offset failed last.
   * @param {number} offset
   * @returns {unknown}
   */
  causeOf(offset) {
    return this.#failure?.offset === offset ? this.#failure.cause : undefined
  }

  /**
   * @param {number} generation
   * @param {ReceivedMessage[]} messages
   */
  deliver(generation, messages) {
    this.#chunks.push({ generation, messages })
    if (!this.#pumping) void this.#pump()
  }

  /**
   * Fires the running handler's signal.
   * @param {Failure} reason
   * @param {number} [generation] only of this one
   */
  abort(reason, generation) {
    if (this.#running === null) return
    if (generation === undefined || this.#running.generation === generation)
      Context.abort(this.#running.context, reason)
  }

  async #pump() {
    const { native, places } = this.#host
    this.#pumping = true
    for (let chunk; (chunk = this.#chunks.shift());) {
      for (const message of chunk.messages) {
        const place = places.take()
        if (place) await place
        for (let turn; (turn = nextTurn());) await turn
        // No await between `mayStart` and the handler: a queue revoked in between would be handled all the same.
        if (!this.#mayStart(native, chunk.generation, message)) {
          places.give()
          break
        }
        const verdict = await this.#handle(chunk.generation, message)
        places.give()
        // Ends this chunk only; the gate refuses what is left, since every "no" is final for its generation.
        if (!this.#ack(native, chunk.generation, message, verdict)) break
      }
    }
    this.#pumping = false
  }

  /**
   * @param {NativeConsumer} native
   * @param {number} generation
   * @param {ReceivedMessage} message
   */
  #mayStart(native, generation, message) {
    try {
      return native.mayStart(this.#index, generation, message.queueOffset)
    } catch (cause) {
      this.#host.warn(new RocketMQError('ERR_ROCKETMQ_INTERNAL', 'mayStart failed', { cause, queue: this.queue }))
      return false
    }
  }

  /**
   * @param {number} generation
   * @param {ReceivedMessage} message
   * @returns {Promise<Verdict>}
   */
  async #handle(generation, message) {
    const context = new Context(this.queue, message.reconsumeTimes + 1)
    this.#running = { generation, message, context }
    const timer = this.#limit(message, context)
    try {
      return verdictOfReturned(await this.#host.handle(message, context))
    } catch (thrown) {
      return verdictOfThrown(thrown)
    } finally {
      clearTimeout(timer)
      this.#running = null
    }
  }

  /**
   * @param {ReceivedMessage} message
   * @param {Context} context
   */
  #limit(message, context) {
    const { handlerTimeoutMs, warn } = this.#host
    if (handlerTimeoutMs === undefined) return undefined
    const timer = setTimeout(() => {
      const { topic, queueOffset, msgId } = message
      const text = `a handler runs for more than ${handlerTimeoutMs} ms; its queue is held (${where(this.queue, queueOffset)})`
      const error = new RocketMQError('ERR_ROCKETMQ_TIMEOUT', text, { topic, queue: this.queue, msgId })
      Context.abort(context, error)
      warn(error)
    }, handlerTimeoutMs)
    // A handler that outlives close() must not keep the process alive for so long.
    timer.unref?.()
    return timer
  }

  /**
   * @param {NativeConsumer} native
   * @param {number} generation
   * @param {ReceivedMessage} message
   * @param {Verdict} verdict
   * @returns {boolean} whether to go on with the chunk
   */
  #ack(native, generation, message, { kind, suspendMs, cause, junk }) {
    const offset = message.queueOffset
    const reason = kind === Outcome.SUCCESS ? undefined : textOf(junk ? 'the handler returned no outcome' : cause)
    let answer = 0
    try {
      answer = native.ack(this.#index, generation, offset, kind, suspendMs, reason)
    } catch (thrown) {
      this.#host.warn(new RocketMQError('ERR_ROCKETMQ_INTERNAL', 'ack failed', { cause: thrown, queue: this.queue }))
    }
    if (kind === Outcome.SUCCESS) this.#failure = null
    else {
      const why = junk ? this.#host.junk(message) : cause
      this.#failure = { offset, cause: why }
      const delayMs = answer >> 1
      if (delayMs > 0) this.#host.suspended(message, delayMs, why)
    }
    return (answer & 1) === 1
  }
}

/**
 * @param {MessageQueue} queue
 * @param {number} offset
 */
function where({ topic, brokerName, queueId }, offset) {
  return `topic ${topic}, queue ${queueId} of ${brokerName}, offset ${offset}`
}

module.exports = { Lane, Places, where }
