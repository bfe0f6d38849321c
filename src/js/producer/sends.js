'use strict'
// The way of a send: to native at the call, and back with its outcome, which settles the caller's promise.

const { setImmediate } = require('../clock.js')
const { RocketMQError, call, errorFrom, errorFromThrown } = require('../errors.js')
const native = require('../addon.js')
const { aborted, refused } = require('./not-sent.js')
const { Signals } = require('./signals.js')
const { refusedAt, watch } = require('./traces.js')
const { Unsettled } = require('./unsettled.js')

/**
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../native-surface').NativeProducer} NativeProducer
 * @typedef {import('../native-surface').ProducerDoor} ProducerDoor
 * @typedef {import('../native-surface').ProducerSaid} ProducerSaid
 * @typedef {import('../client/core').Core<NativeProducer, ProducerDoor>} Core
 * @typedef {import('../message').FlatMessage} FlatMessage
 * @typedef {import('./traces').Operation} Operation
 * @typedef {import('./choices').Choices} Choices
 * @typedef {import('../../../index').SendResult} SendResult
 * @typedef {import('../../../index').SendStatus} SendStatus
 */

/** What native says of a failure that closes its key, when code of the user may be due. */
const FAILURE_NEXT = 6

/**
 * One call of `sendOrderly` or `sendOrderlyBatch`.
 * @typedef {object} Send
 * @property {string} topic
 * @property {number} slot of native
 * @property {AbortSignal | undefined} signal
 * @property {import('./unsettled').FlushGroup} flushGroup
 * @property {(result: any, attempt?: number) => void} resolve with how many requests have carried it, which observers are told
 * @property {(error: Error, attempt?: number) => void} reject
 */

/** How many sends are settled before the clock is looked at. */
const SLICE = 64
/** Failures that are remembered while there is more to be heard. */
const MOST_FAILURES = 1_000

/**
 * The sends of a producer. Order is native's business, and so is the fence: a message that fails takes everything of its key with it
 * that was called before its rejection is delivered. `take` delivers: it opens the key again. So a failure that closes its key is taken
 * when no code of the user is due, and its rejection is the first thing that user code sees then.
 */
class Sends {
  /** @type {Core} */
  #core
  /** Of a user's own hash. @type {Choices | null} */
  #choices
  /** @type {Signals<Send>} */
  #signals = new Signals((sends) => this.#abort(sends))
  #unsettled = new Unsettled()
  /** How many sends were refused at their call: what their promises say a moment later is known by then. */
  refusals = 0
  /** The numbers of the sends in a slice. */
  #slots = new Uint32Array(SLICE)
  #scratch = Buffer.from(this.#slots.buffer)
  /** Failures by their numbers: what they have taken along may still be under way. @type {Map<number, Failure>} */
  #failures = new Map()

  /**
   * @param {Core} core
   * @param {Choices | null} choices
   */
  constructor(core, choices) {
    this.#core = core
    this.#choices = choices
  }

  get #door() {
    return /** @type {ProducerDoor} */ (this.#core.door)
  }

  // ------------------------------------------------------------- to native

  /**
   * @param {FlatMessage} message
   * @param {string} shardingKey
   * @param {{ signal: AbortSignal | undefined, timeoutMs: number }} options
   * @param {Operation} [operation] of its observers
   * @returns {Promise<SendResult>}
   */
  send({ topic, body, tags, keys, properties }, shardingKey, { signal, timeoutMs }, operation) {
    this.#choices?.before(this.#door, topic, shardingKey)
    const request = (/** @type {number} */ slot) =>
      native.producerSend(this.#door, slot, topic, shardingKey, body, tags, keys, properties, timeoutMs)
    return operation === undefined
      ? this.#make(topic, signal, request)
      : this.#makeTraced(topic, signal, request, operation)
  }

  /**
   * @param {FlatMessage[]} messages of one topic
   * @param {string} shardingKey
   * @param {{ signal: AbortSignal | undefined, timeoutMs: number }} options
   * @param {Operation} [operation] of its observers
   * @returns {Promise<SendResult[]>}
   */
  sendBatch(messages, shardingKey, { signal, timeoutMs }, operation) {
    const { topic } = messages[0]
    this.#choices?.before(this.#door, topic, shardingKey)
    const request = (/** @type {number} */ slot) =>
      native.producerSendBatch(
        this.#door,
        slot,
        topic,
        shardingKey,
        messages.map((message) => message.body),
        messages.map((message) => message.tags ?? null),
        messages.map((message) => message.keys ?? null),
        messages.map((message) => message.properties ?? []),
        timeoutMs,
      )
    return operation === undefined
      ? this.#make(topic, signal, request)
      : this.#makeTraced(topic, signal, request, operation)
  }

  /**
   * @param {string} topic
   * @param {AbortSignal | undefined} signal
   * @param {(slot: number) => void} request
   * @returns {Promise<any>}
   */
  #make(topic, signal, request) {
    if (signal?.aborted) return Promise.reject(aborted(signal, topic))
    return new Promise((resolve, reject) => {
      this.#enter({ topic, slot: -1, signal, flushGroup: this.#unsettled.enter(), resolve, reject }, request)
    })
  }

  /**
   * As `#make`, before the eyes of observers.
   * @param {string} topic
   * @param {AbortSignal | undefined} signal
   * @param {(slot: number) => void} request
   * @param {Operation} operation
   * @returns {Promise<any>}
   */
  #makeTraced(topic, signal, request, operation) {
    if (signal?.aborted) return refusedAt(operation, aborted(signal, topic))
    return new Promise((resolve, reject) => {
      const send = { topic, slot: -1, signal, flushGroup: this.#unsettled.enter(), resolve, reject }
      watch(operation, send)
      this.#enter(send, request)
    })
  }

  /**
   * @param {Send} send
   * @param {(slot: number) => void} request
   */
  #enter(send, request) {
    const { signal, topic } = send
    send.slot = this.#core.slots.take(send)
    try {
      if (signal) this.#signals.watch(signal, send)
      request(send.slot)
    } catch (thrown) {
      this.#settled(send.slot)
      this.refusals++
      send.reject(/** @type {Error} */ (refused(errorFromThrown(thrown), topic)), 0)
    }
  }

  /** @param {Send[]} sends whose signal has fired */
  #abort(sends) {
    call(() =>
      native.producerAbort(
        this.#door,
        sends.map((send) => send.slot),
      ),
    )
  }

  // ------------------------------------------------------------- outcomes

  /**
   * What native says next.
   * @param {ProducerDoor} door
   * @param {boolean} isFirst no code of the user is due
   * @returns {ProducerSaid | 'later' | null}
   */
  take(door, isFirst) {
    const said = native.producerTake(door, this.#scratch, isFirst)
    if (said === null) this.#failures.clear()
    return said?.[0] === FAILURE_NEXT ? 'later' : said
  }

  /** By kind, from 2 on. @type {((...args: any[]) => void)[]} */
  hears = [
    this.#stored.bind(this),
    this.#failed.bind(this),
    this.#storedBatch.bind(this),
    () => this.#giveTurn(this.#door),
    () => {}, // of what `take` keeps for itself
    (topic) => this.#choices?.undecided(this.#door, topic),
  ]

  /** @param {ProducerDoor} door */
  #giveTurn(door) {
    setImmediate(() => native.producerTurned(door))
  }

  /**
   * Single messages that one request has stored, at consecutive offsets.
   * @param {number} count of those in the scratch memory
   * @param {string} ids of each message its unique id, then the broker's own
   * @param {SendStatus} status
   * @param {string} brokerName
   * @param {number} queueId
   * @param {number} queueOffset of the first
   * @param {number[]} [attempts] how many requests have carried each, unless it was one for each
   */
  #stored(count, ids, status, brokerName, queueId, queueOffset, attempts) {
    const names = ids.split(',')
    /** @type {SendResult['queue'] | undefined} */
    let queue
    for (let i = 0; i < count; i++) {
      const send = this.#settled(this.#slots[i])
      if (send === undefined) continue
      queue ??= Object.freeze({ topic: send.topic, brokerName, queueId })
      const result = {
        status,
        msgId: names[2 * i],
        offsetMsgId: names[2 * i + 1],
        queue,
        queueOffset: queueOffset + i,
      }
      send.resolve(result, attempts === undefined ? 1 : attempts[i])
    }
  }

  /**
   * @param {number} slot
   * @param {string} receipts as JSON
   * @param {number} attempts how many requests have carried it
   */
  #storedBatch(slot, receipts, attempts) {
    const send = this.#settled(slot)
    const results = JSON.parse(receipts).map((/** @type {any} */ receipt) => {
      const { status, msgId, offsetMsgId, brokerName, queueId, queueOffset } = receipt
      return { status, msgId, offsetMsgId, queue: { topic: send?.topic, brokerName, queueId }, queueOffset }
    })
    send?.resolve(results, attempts)
  }

  /**
   * Sends that one failure takes along, all with the same error; or the one that has failed.
   * @param {number} count of those in the scratch memory
   * @param {string} report
   * @param {number} number of this failure, 0 for none
   * @param {number} cause the number of the failure that has taken them along, 0 for none
   * @param {number} attempts how many requests have carried each
   */
  #failed(count, report, number, cause, attempts) {
    /** @type {Failure | undefined} */
    let error
    /** @type {AbortSignal | undefined} */
    let of
    for (let i = 0; i < count; i++) {
      const send = this.#settled(this.#slots[i])
      if (send === undefined) continue
      // Why a caller has aborted is known here alone.
      if (error === undefined || of !== send.signal)
        error = errorFrom(report, this.#failures.get(cause), send.signal?.reason)
      of = send.signal
      if (number > 0) this.#remember(number, error)
      send.reject(error, attempts)
    }
  }

  /**
   * @param {number} number
   * @param {Failure} error
   */
  #remember(number, error) {
    this.#failures.set(number, error)
    if (this.#failures.size > MOST_FAILURES)
      this.#failures.delete(/** @type {number} */ (this.#failures.keys().next().value))
  }

  /**
   * @param {number} slot
   * @returns {Send | undefined}
   */
  #settled(slot) {
    const send = /** @type {Send | undefined} */ (this.#core.slots.release(slot))
    if (send === undefined) return undefined
    this.#unsettled.leave(send.flushGroup)
    if (send.signal) this.#signals.unwatch(send.signal, send)
    return send
  }

  // ------------------------------------------------------------- pace and end

  /** Whether less is held than the high-water mark. */
  hasRoom() {
    return native.producerHasRoom(this.#door)
  }

  /**
   * Resolves when less is held than the high-water mark.
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<void>}
   */
  ready(signal) {
    if (signal?.aborted) return Promise.reject(aborted(signal))
    if (this.hasRoom()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const abort = () => reject(aborted(/** @type {AbortSignal} */ (signal)))
      signal?.addEventListener('abort', abort, { once: true })
      this.#core.slots
        .ask((slot) => /** @type {NativeProducer} */ (this.#core.native).ready(slot))
        .finally(() => signal?.removeEventListener('abort', abort))
        .then(() => resolve(), reject)
    })
  }

  /** Resolves when what is decided by now has been delivered. @returns {Promise<void>} */
  heard() {
    return this.#core.slots.ask((slot) => /** @type {NativeProducer} */ (this.#core.native).heard(slot))
  }

  /** @returns {Promise<void>} */
  flush() {
    return this.#unsettled.flush()
  }

  /** Closed: native has settled everything; if not, nobody shall wait for ever. */
  ended() {
    for (const waiting of this.#core.slots.outstanding()) {
      if (!('flushGroup' in waiting)) continue
      const send = /** @type {Send} */ (waiting)
      const details = { topic: send.topic, outcome: /** @type {const} */ ('unknown') }
      this.#settled(send.slot)
      send.reject(new RocketMQError('ERR_ROCKETMQ_CLOSED', 'the producer was closed before the answer', details))
    }
  }
}

module.exports = { Sends }
