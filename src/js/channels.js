'use strict'
// What observers see: channels of `node:diagnostics_channel`. Where nobody listens they cost one look per call, and nothing is made.

const { AsyncResource } = require('node:async_hooks')
const { channel, tracingChannel } = require('node:diagnostics_channel')

/** Their names, as Node has them for packages: `<package>:<operation>`. */
const CHANNELS = Object.freeze({
  send: 'rocketmq-orderly:send',
  process: 'rocketmq-orderly:process',
  connect: 'rocketmq-orderly:connect',
  client: 'rocketmq-orderly:client',
  suspended: 'rocketmq-orderly:suspended',
  deadLetter: 'rocketmq-orderly:dead-letter',
})

/** On the trace of a handler call: what the handler is called through, for those who have its context in no store of their own. */
const RUN = Symbol.for('rocketmq-orderly.run')

/**
 * A kind of operation that observers see begin and end.
 * @template {object} T what they are told of it
 */
class Traced {
  /** @param {string} name */
  constructor(name) {
    const { start, end, asyncStart, asyncEnd, error } = tracingChannel(name)
    this.start = start
    this.end = end
    this.asyncStart = asyncStart
    this.asyncEnd = asyncEnd
    this.error = error
  }

  /** Whether anybody listens. Early versions of Node 20 do not tell of all five at once. */
  get isObserved() {
    return (
      this.start.hasSubscribers ||
      this.end.hasSubscribers ||
      this.asyncEnd.hasSubscribers ||
      this.asyncStart.hasSubscribers ||
      this.error.hasSubscribers
    )
  }

  /**
   * @param {T} trace
   * @returns {Operation<T>} about to begin
   */
  of(trace) {
    return new Operation(this, trace)
  }
}

/**
 * One operation. Whatever it is, observers hear `start`, `end` when the call has returned, then, when it is over, `error` if it has failed,
 * `asyncStart` and `asyncEnd`; all of them in the async context that `start` has made.
 * @template {object} T
 */
class Operation {
  /** @type {AsyncResource | undefined} */
  #context
  #hasReturned = false
  /** @type {(() => void) | undefined} */
  #over

  /**
   * @param {Traced<T>} channels
   * @param {T} trace
   */
  constructor(channels, trace) {
    this.channels = channels
    this.trace = trace
  }

  /**
   * @template R
   * @param {() => R} run what the operation does at once, in the stores of the channel
   * @returns {R}
   */
  begin(run) {
    const { start, end } = this.channels
    return start.runStores(this.trace, () => {
      this.#context = new AsyncResource('RocketMQTrace', { requireManualDestroy: true })
      try {
        return run()
      } finally {
        end.publish(this.trace)
        this.#hasReturned = true
        this.#over?.()
      }
    })
  }

  /**
   * The operation is over; the trace has all there is to be known of it.
   * @param {() => void} [settle] lets its caller know, who goes on behind observers
   */
  over(settle = () => {}) {
    if (!this.#hasReturned) {
      this.#over = () => this.over(settle)
      return
    }
    const { error, asyncStart, asyncEnd } = this.channels
    const { trace } = this
    const context = /** @type {AsyncResource} */ (this.#context)
    context.runInAsyncScope(() => {
      if ('error' in trace) error.publish(trace)
      asyncStart.publish(trace)
      settle()
      asyncEnd.publish(trace)
    })
    context.emitDestroy()
  }
}

/** @type {Traced<import('../../index').SendTrace>} */
const sends = new Traced(CHANNELS.send)
/** @type {Traced<import('../../index').ProcessTrace>} */
const processing = new Traced(CHANNELS.process)
/** @type {Traced<import('../../index').ConnectTrace>} */
const connects = new Traced(CHANNELS.connect)
const clients = channel(CHANNELS.client)
const suspensions = channel(CHANNELS.suspended)
const deadLetters = channel(CHANNELS.deadLetter)

/**
 * `host:port`, in two.
 * @param {string} address
 */
function serverOf(address) {
  const colon = address.lastIndexOf(':')
  return { serverAddress: address.slice(0, colon), serverPort: Number(address.slice(colon + 1)) }
}

module.exports = { CHANNELS, Operation, RUN, clients, connects, deadLetters, processing, sends, serverOf, suspensions }
