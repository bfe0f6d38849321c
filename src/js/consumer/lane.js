'use strict'
// The way of a queue's messages through the handler. Native decides at every message whether it may begin (`mayStart`) and hears how it
// ended (`success`, which decides about the next one in the same call): no await may come between a decision and what it is about.

const native = require('../addon.js')
const { textOf } = require('../cause.js')
const { clearTimeout, setImmediate, setTimeout } = require('../clock.js')
const { batchAt } = require('./batches.js')
const { BatchContext, Context } = require('./context.js')
const { Outcome, verdictOfReturned, verdictOfThrown } = require('./outcomes.js')
const { RocketMQError } = require('../errors.js')
const { Fifo } = require('../fifo.js')
const { nextTurn } = require('../turn.js')

/**
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../message').ReceivedMessage} ReceivedMessage
 * @typedef {import('../native-surface').ConsumerDoor} ConsumerDoor
 * @typedef {import('./batches').Batching} Batching
 * @typedef {import('./outcomes').Failed} Failed
 * @typedef {import('./outcomes').Verdict} Verdict
 * @typedef {import('./places').Places} Places
 * @typedef {import('./places').Waiting} Waiting
 * @typedef {import('../../../index').MessageQueue} MessageQueue
 */

/** The bits of the answer to a success. */
const GO_ON = 1
const STARTS = 2

/**
 * What a lane needs of its consumer.
 * @typedef {object} Host
 * @property {ConsumerDoor} door
 * @property {import('../native-surface').Success} success
 * @property {import('./unpacker').Unpacker} unpacker
 * @property {Places} places
 * @property {boolean} isByKey the runs of a lane go side by side
 * @property {number | undefined} handlerTimeoutMs
 * @property {((topic: string) => Batching | undefined) | null} batching of a topic; null: all handlers take one message
 * @property {(message: ReceivedMessage, context: Context, messages?: ReceivedMessage[]) => unknown} handle calls the handler of the message's
 *   topic, with the messages of a batch, whose first it is
 * @property {(error: Failure) => void} warn
 * @property {(message: ReceivedMessage) => Failure} junk the failure that a returned value is no outcome
 * @property {(message: ReceivedMessage, delayMs: number, cause: unknown) => void} suspended
 */

/**
 * Messages that are handled one after the other, and the one whose handler runs.
 * @typedef {{ generation: number, message: ReceivedMessage | null, context: Context | null }} Run
 */

/** Causes of failures that a lane keeps, of as many keys. */
const MOST_FAILURES = 1_000

/**
 * The messages of one queue on their way through the handler: one at a time, or of each sharding key one at a time. It outlives epochs, as
 * the gate in native does.
 */
class Lane {
  /** @type {Host} */
  #host
  #index
  #pumping = false
  /** @type {Waiting} */
  #waiting = new Fifo()
  /** @type {Set<Run>} */
  #runs = new Set()
  /** The last failures, by offset, for whoever asks what blocks the queue. @type {Map<number, unknown>} */
  #failures = new Map()

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

  /** How many handlers run. */
  get running() {
    let running = 0
    for (const run of this.#runs) if (run.message !== null) running++
    return running
  }

  /**
   * Why the message at this offset failed last.
   * @param {number} offset
   * @returns {unknown}
   */
  causeOf(offset) {
    return this.#failures.get(offset)
  }

  /**
   * The message at this offset is no more.
   * @param {number} offset
   */
  forget(offset) {
    this.#failures.delete(offset)
  }

  /** Native has messages of this queue. */
  wake() {
    if (!this.#pumping) void this.#pump()
  }

  /**
   * Fires the running handler's signal.
   * @param {Failure} reason
   * @param {number} [generation] only of this one
   */
  abort(reason, generation) {
    for (const run of this.#runs) {
      if (run.context !== null && (generation === undefined || run.generation === generation))
        Context.abort(run.context, reason)
    }
  }

  async #pump() {
    const { places, isByKey, batching } = this.#host
    this.#pumping = true
    for (;;) {
      const place = places.take(this.#waiting)
      if (place) await place
      for (let turn; (turn = nextTurn());) await turn
      const chunk = this.#take()
      if (chunk === null) break
      const worked = batching === null ? this.#work(chunk) : this.#workInBatches(chunk, batching)
      if (!isByKey) await worked
    }
    places.give()
    this.#pumping = false
  }

  /** The next messages, taken when there is a place for a handler: nobody else could have them meanwhile. */
  #take() {
    try {
      return this.#host.unpacker.chunk(this.#host.door, this.#index, this.queue)
    } catch (cause) {
      this.#defect('the next messages of a queue could not be taken', cause)
      // Native tells of the next ones only once all were taken.
      setImmediate(() => this.wake())
      return null
    }
  }

  /**
   * Handles consecutive messages, with a place; gives the place back. It ends early when the gate refuses the rest: every "no" is final
   * for its generation.
   * @param {{ generation: number, messages: ReceivedMessage[], offsets: number[] }} chunk
   */
  async #work({ generation, messages, offsets }) {
    const { places } = this.#host
    /** @type {Run} */
    const run = { generation, message: null, context: null }
    this.#runs.add(run)
    let may = this.#mayStart(generation, offsets[0], offsets[0])
    for (let i = 0; may;) {
      const message = messages[i]
      const context = new Context(this.queue, message.reconsumeTimes + 1)
      run.message = message
      run.context = context
      /** @type {Verdict} */
      let verdict
      let timer
      // In place: a function that awaits would cost each message a promise, and this costs none where the handler returns none.
      try {
        let returned = this.#host.handle(message, context)
        if (isThenable(returned)) {
          timer = this.#limit(message, context)
          returned = await returned
        }
        verdict = verdictOfReturned(returned)
      } catch (thrown) {
        verdict = verdictOfThrown(thrown)
      }
      if (timer !== undefined) clearTimeout(timer)
      run.message = null
      run.context = null
      if (verdict.kind !== Outcome.SUCCESS) {
        this.#failed(generation, message, offsets[i], verdict)
        break
      }
      const next = i + 1 < messages.length ? offsets[i + 1] : -1
      // Another lane is next, or another turn of the event loop: then the question about the next message comes later.
      const turn = nextTurn()
      const waits = next >= 0 && (turn !== null || places.isWanted)
      const answer = this.#succeeded(generation, offsets[i], waits ? -1 : next)
      i++
      if ((answer & GO_ON) === 0 || next < 0) break
      if (!waits) {
        may = (answer & STARTS) !== 0
        continue
      }
      places.give()
      const place = places.take(this.#waiting)
      if (place) await place
      for (let later; (later = nextTurn());) await later
      may = this.#mayStart(generation, next, next)
    }
    this.#runs.delete(run)
    places.give()
  }

  /**
   * As `#work`, where a handler may get several messages at once.
   * @param {{ generation: number, messages: ReceivedMessage[], offsets: number[] }} chunk
   * @param {(topic: string) => Batching | undefined} batching
   */
  async #workInBatches(chunk, batching) {
    const { places } = this.#host
    const { generation } = chunk
    /** @type {Run} */
    const run = { generation, message: null, context: null }
    this.#runs.add(run)
    for (let from = 0; from < chunk.messages.length;) {
      const { messages, offsets, isBatch } = batchAt(chunk, from, batching)
      const last = offsets.length - 1
      if (!this.#mayStart(generation, offsets[0], offsets[last])) break
      const [message] = messages
      const tell = (/** @type {number} */ done, /** @type {number} */ before) =>
        this.#pass(generation, offsets, before, done)
      const context = new BatchContext(this.queue, message.reconsumeTimes + 1, messages.length, tell)
      run.message = message
      run.context = context
      const verdict = await this.#verdict(message, context, isBatch ? messages.slice() : undefined)
      run.message = null
      run.context = null
      const done = BatchContext.end(context)
      if (verdict.kind !== Outcome.SUCCESS) {
        if (done <= last) {
          this.#failed(generation, messages[done], offsets[done], verdict)
          break
        }
        this.#host.warn(this.#failedInVain(message, messages.length, verdict))
      }
      this.#pass(generation, offsets, Math.min(done, last), messages.length)
      const answer = this.#succeeded(generation, offsets[last], -1)
      from += messages.length
      if ((answer & GO_ON) === 0) break
      if (from < chunk.messages.length && (nextTurn() !== null || places.isWanted)) {
        places.give()
        const place = places.take(this.#waiting)
        if (place) await place
        for (let later; (later = nextTurn());) await later
      }
    }
    this.#runs.delete(run)
    places.give()
  }

  /**
   * @param {ReceivedMessage} message
   * @param {Context} context
   * @param {ReceivedMessage[] | undefined} messages
   * @returns {Promise<Verdict>}
   */
  async #verdict(message, context, messages) {
    let timer
    try {
      const returned = this.#host.handle(message, context, messages)
      if (!isThenable(returned)) return verdictOfReturned(returned)
      timer = this.#limit(message, context)
      return verdictOfReturned(await returned)
    } catch (thrown) {
      return verdictOfThrown(thrown)
    } finally {
      if (timer !== undefined) clearTimeout(timer)
    }
  }

  /**
   * Messages of the running handler are done, and it goes on with those behind them; of the last one its end tells.
   * @param {number} generation
   * @param {number[]} offsets
   * @param {number} from
   * @param {number} to
   */
  #pass(generation, offsets, from, to) {
    try {
      for (let i = from; i < Math.min(to, offsets.length - 1); i++) {
        this.#failures.delete(offsets[i])
        native.consumerPass(this.#host.door, this.#index, generation, offsets[i], offsets[i + 1])
      }
    } catch (thrown) {
      this.#defect('a part of a batch could not be told', thrown)
    }
  }

  /**
   * A handler has failed after it had said that all of its messages are done.
   * @param {ReceivedMessage} message the first
   * @param {number} count
   * @param {Failed} verdict
   */
  #failedInVain({ topic, queueOffset, msgId }, count, { cause }) {
    const text = `a handler failed after done(${count}) of ${count} messages: nothing comes again (${where(this.queue, queueOffset)})`
    return new RocketMQError('ERR_ROCKETMQ_HANDLER', text, { topic, queue: this.queue, msgId, cause })
  }

  /**
   * @param {number} generation
   * @param {number} offset
   * @param {number} last of the messages that its handler gets
   */
  #mayStart(generation, offset, last) {
    try {
      return native.consumerMayStart(this.#host.door, this.#index, generation, offset, last)
    } catch (cause) {
      this.#defect('mayStart failed', cause)
      return false
    }
  }

  /**
   * @param {string} what
   * @param {unknown} cause
   */
  #defect(what, cause) {
    this.#host.warn(new RocketMQError('ERR_ROCKETMQ_INTERNAL', what, { cause, queue: this.queue }))
  }

  /**
   * @param {ReceivedMessage} message
   * @param {Context} context
   */
  #limit(message, context) {
    const { handlerTimeoutMs, isByKey, warn } = this.#host
    if (handlerTimeoutMs === undefined) return undefined
    const timer = setTimeout(() => {
      const { topic, queueOffset, msgId } = message
      const text = `a handler runs for more than ${handlerTimeoutMs} ms; its ${isByKey ? 'key' : 'queue'} is held (${where(this.queue, queueOffset)})`
      const error = new RocketMQError('ERR_ROCKETMQ_TIMEOUT', text, { topic, queue: this.queue, msgId })
      Context.abort(context, error)
      warn(error)
    }, handlerTimeoutMs)
    // A handler that outlives close() must not keep the process alive for so long.
    timer.unref?.()
    return timer
  }

  /**
   * @param {number} generation
   * @param {number} offset
   * @param {number} next the message that follows, if its handler may be called in this tick; else -1
   * @returns {number} of bits: `GO_ON` with the chunk, `STARTS` the next message
   */
  #succeeded(generation, offset, next) {
    if (this.#failures.size > 0) this.#failures.delete(offset)
    try {
      return this.#host.success(this.#index, generation, offset, next)
    } catch (thrown) {
      this.#defect('a success could not be told', thrown)
      return 0
    }
  }

  /**
   * A failure ends the chunk.
   * @param {number} generation
   * @param {ReceivedMessage} message
   * @param {number} offset
   * @param {import('./outcomes').Failed} verdict
   */
  #failed(generation, message, offset, { kind, suspendMs, cause, junk }) {
    const reason = textOf(junk ? 'the handler returned no outcome' : cause)
    let delayMs = 0
    try {
      delayMs = native.consumerFailure(this.#host.door, this.#index, generation, offset, kind, suspendMs, reason)
    } catch (thrown) {
      this.#defect('a failure could not be told', thrown)
    }
    this.#tell(message, offset, delayMs, cause, junk)
  }

  /**
   * A queue has one message that has failed; of keys each may have one.
   * @param {number} offset
   * @param {unknown} cause
   */
  #keep(offset, cause) {
    if (this.#host.isByKey) this.#failures.delete(offset)
    else this.#failures.clear()
    this.#failures.set(offset, cause) // the last one
    if (this.#failures.size > MOST_FAILURES) {
      for (const [oldest] of this.#failures) {
        this.#failures.delete(oldest)
        break
      }
    }
  }

  /**
   * Of a failure.
   * @param {ReceivedMessage} message
   * @param {number} offset
   * @param {number} delayMs
   * @param {unknown} cause
   * @param {boolean | undefined} junk
   */
  #tell(message, offset, delayMs, cause, junk) {
    try {
      const why = junk ? this.#host.junk(message) : cause
      this.#keep(offset, why)
      if (delayMs > 0) this.#host.suspended(message, delayMs, why)
    } catch (thrown) {
      this.#defect('a failure of a handler could not be told', thrown) // its message is a stranger by now
    }
  }
}

/**
 * @param {unknown} value
 * @returns {value is PromiseLike<unknown>}
 */
function isThenable(value) {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false
  return typeof (/** @type {any} */ (value).then) === 'function'
}

/**
 * @param {MessageQueue} queue
 * @param {number} offset
 */
function where({ topic, brokerName, queueId }, offset) {
  return `topic ${topic}, queue ${queueId} of ${brokerName}, offset ${offset}`
}

module.exports = { Lane, isThenable, where }
