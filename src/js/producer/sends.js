'use strict'
// The way of a send: to native, or to those that wait for room; then its answer, which settles the caller's promise.

const { now } = require('../clock.js')
const { RocketMQError, call, errorFrom, errorFromThrown } = require('../errors.js')
const { Eras } = require('./eras.js')
const { aborted, refused } = require('./not-sent.js')
const { Signals } = require('./signals.js')
const { Waiting } = require('./waiting.js')

/**
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../native-surface').NativeProducer} NativeProducer
 * @typedef {import('../client/core').Core<NativeProducer>} Core
 * @typedef {import('../client/slots').Call} Call
 * @typedef {import('../message').FlatMessage} FlatMessage
 * @typedef {import('../../../index').SendResult} SendResult
 * @typedef {import('../../../index').SendStatus} SendStatus
 */

/**
 * One call of `sendOrderly` or `sendOrderlyBatch`.
 * @typedef {object} Send
 * @property {string} topic
 * @property {string} shardingKey
 * @property {number} timeoutMs 0 for the producer's own
 * @property {AbortSignal | undefined} signal
 * @property {FlatMessage[] | null} messages null once native has them
 * @property {boolean} batch
 * @property {number} slot of native, -1 while it has none
 * @property {number} deadline of our clock; set by `Waiting`
 * @property {import('./waiting').Key | null} key while it waits; set by `Waiting`
 * @property {boolean} settled
 * @property {import('./eras').Era} era
 * @property {(result: any) => void} resolve
 * @property {(error: Error) => void} reject
 */

/**
 * The sends of a producer, and the fence.
 *
 * The fence: a message that fails takes everything of its key with it that was called before its rejection is delivered. What of
 * it waits in native, native fails itself; what waits here is rejected in the tick of the delivery, before any code of the user
 * runs. Calls and deliveries share this thread, so "before" needs no numbers.
 */
class Sends {
  /** @type {Core} */
  #core
  /** @type {Waiting<Send>} */
  #waiting
  /** @type {Signals<Send>} */
  #signals = new Signals((signal, sends) => this.#aborted(signal, sends))
  #eras = new Eras()

  /**
   * @param {Core} core
   * @param {number} sendTimeoutMs
   */
  constructor(core, sendTimeoutMs) {
    this.#core = core
    this.#waiting = new Waiting({
      sendTimeoutMs,
      offer: (send) => this.#offer(send, true),
      reject: (send, error) => this.#reject(send, error),
      drained: (lane) => call(() => this.#native.drained(lane)),
    })
  }

  get #native() {
    return /** @type {NativeProducer} */ (this.#core.native)
  }

  /** Sends that wait for room. */
  get waiting() {
    return this.#waiting.size
  }

  // ------------------------------------------------------------- to native

  /**
   * @param {FlatMessage[]} messages of one topic
   * @param {boolean} batch
   * @param {string} shardingKey
   * @param {{ signal: AbortSignal | undefined, timeoutMs: number }} options
   * @returns {Promise<any>}
   */
  send(messages, batch, shardingKey, { signal, timeoutMs }) {
    if (signal?.aborted) return Promise.reject(aborted(signal, messages[0].topic))
    return new Promise((resolve, reject) => {
      /** @type {Send} */
      const send = {
        topic: messages[0].topic,
        shardingKey,
        timeoutMs,
        signal,
        messages,
        batch,
        slot: -1,
        deadline: 0,
        key: null,
        settled: false,
        era: this.#eras.enter(),
        resolve,
        reject,
      }
      if (signal) this.#signals.watch(signal, send)
      this.#admit(send)
    })
  }

  /**
   * Gives a send to native, or a place behind those that wait for the same lane.
   * @param {Send} send
   */
  #admit(send) {
    // Whatever native would say: nothing of a key overtakes what waits of it.
    if (this.#waiting.follow(send)) return
    const lane = this.#offer(send, false)
    if (lane >= 0) this.#waiting.wait(send, lane)
  }

  /**
   * @param {Send} send
   * @param {boolean} feeding whether it comes from those that wait for its lane
   * @returns {number} the lane that is full, or -1: taken, or failed
   */
  #offer(send, feeding) {
    const slot = this.#core.slots.take(send.batch ? this.#batchCall(send) : send)
    send.slot = slot
    try {
      const lane = this.#hand(send, feeding)
      if (lane < 0) {
        // Native has copied the bodies.
        send.messages = null
        return -1
      }
      this.#core.slots.release(slot)
      send.slot = -1
      return lane
    } catch (thrown) {
      this.#core.slots.release(slot)
      send.slot = -1
      const error = /** @type {Failure} */ (refused(errorFromThrown(thrown), send.topic))
      this.#waiting.forget(send)
      this.#reject(send, error)
      this.#waiting.breakKey(send, error)
      return -1
    }
  }

  /**
   * @param {Send} send
   * @param {boolean} feeding
   * @returns {number}
   */
  #hand(send, feeding) {
    const { slot, topic, shardingKey } = send
    const messages = /** @type {FlatMessage[]} */ (send.messages)
    const timeoutMs = feeding ? Math.max(1, Math.ceil(send.deadline - now())) : send.timeoutMs
    if (send.batch) {
      return this.#native.sendBatch(
        slot,
        topic,
        shardingKey,
        messages.map((message) => message.body),
        messages.map((message) => message.tags ?? null),
        messages.map((message) => message.keys ?? null),
        messages.map((message) => message.properties ?? []),
        timeoutMs,
        feeding,
      )
    }
    const [{ body, tags, keys, properties }] = messages
    return this.#native.send(slot, topic, shardingKey, body, tags, keys, properties, timeoutMs, feeding)
  }

  // ------------------------------------------------------------- answers

  /**
   * Of single messages that one request has stored, at consecutive offsets.
   * @param {number[]} slots
   * @param {string[]} ids of each message its unique id, then the broker's own
   * @param {SendStatus} status
   * @param {string} brokerName
   * @param {number} queueId
   * @param {number} queueOffset of the first
   */
  stored(slots, ids, status, brokerName, queueId, queueOffset) {
    /** @type {SendResult['queue'] | undefined} */
    let queue
    for (let i = 0; i < slots.length; i++) {
      const send = /** @type {Send | undefined} */ (this.#core.slots.release(slots[i]))
      if (send === undefined) continue
      this.#settled(send)
      queue ??= Object.freeze({ topic: send.topic, brokerName, queueId })
      send.resolve({
        status,
        msgId: ids[2 * i],
        offsetMsgId: ids[2 * i + 1],
        queue,
        queueOffset: queueOffset + i,
      })
    }
  }

  /**
   * Of one message.
   * @param {number} slot
   * @param {string} error
   * @param {boolean} failedKey
   */
  failed(slot, error, failedKey) {
    const send = /** @type {Send | undefined} */ (this.#core.slots.release(slot))
    if (send !== undefined) this.#fail(send, error, failedKey)
  }

  /**
   * Of a batch.
   * @param {Send} send
   * @returns {Call}
   */
  #batchCall(send) {
    return {
      resolve: send.resolve,
      reject: (error) => this.#reject(send, error),
      answered: (error, json) => {
        if (error !== null) return this.#fail(send, error, json === '"failedKey"')
        this.#settled(send)
        send.resolve(
          JSON.parse(json).map((/** @type {any} */ receipt) => {
            const { status, msgId, offsetMsgId, brokerName, queueId, queueOffset } = receipt
            return { status, msgId, offsetMsgId, queue: { topic: send.topic, brokerName, queueId }, queueOffset }
          }),
        )
      },
    }
  }

  /**
   * @param {Send} send
   * @param {string} report
   * @param {boolean} failedKey whether native has closed the key until it is told that the failure was delivered
   */
  #fail(send, report, failedKey) {
    // Why a caller has aborted is known here alone.
    const error = errorFrom(report, send.signal?.reason)
    this.#reject(send, error)
    if (!failedKey) return
    this.#waiting.breakKey(send, error)
    this.#native.heard(send.topic, send.shardingKey)
  }

  /**
   * @param {Send} send
   * @param {Error} error
   */
  #reject(send, error) {
    if (send.settled) return
    this.#settled(send)
    send.reject(error)
  }

  /** @param {Send} send */
  #settled(send) {
    send.settled = true
    send.messages = null
    if (send.signal) this.#signals.unwatch(send.signal, send)
    this.#eras.leave(send.era)
  }

  /**
   * @param {AbortSignal} signal
   * @param {Send[]} sends
   */
  #aborted(signal, sends) {
    this.#waiting.takeOut(new Set(sends.filter((send) => send.key !== null)), (send) => aborted(signal, send.topic))
    for (const send of sends) {
      if (send.slot >= 0 && !send.settled) call(() => this.#native.abort(send.slot))
    }
  }

  // ------------------------------------------------------------- pace and end

  /**
   * A lane that has refused has room again.
   * @param {number} lane
   */
  room(lane) {
    this.#waiting.room(lane)
  }

  /**
   * Resolves when nothing waits for room.
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<void>}
   */
  ready(signal) {
    if (signal?.aborted) return Promise.reject(aborted(signal))
    if (this.#waiting.size === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const ready = () => {
        signal?.removeEventListener('abort', abort)
        const error = this.#core.notRunning()
        if (error) reject(error)
        else resolve()
      }
      const abort = () => {
        this.#waiting.offEmpty(ready)
        reject(aborted(/** @type {AbortSignal} */ (signal)))
      }
      this.#waiting.onceEmpty(ready)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /** @returns {Promise<void>} */
  flush() {
    return this.#eras.flush()
  }

  /**
   * Closing: lets what waits go to native until this time, then rejects the rest.
   * @param {number} deadline
   */
  drain(deadline) {
    return this.#waiting.drain(deadline)
  }

  /** Closed: native has settled everything; if not, nobody shall wait for ever. */
  ended() {
    for (const waiting of this.#core.slots.outstanding()) {
      if (!('era' in waiting)) continue
      const send = /** @type {Send} */ (waiting)
      const details = { topic: send.topic, outcome: /** @type {const} */ ('unknown') }
      this.#reject(send, new RocketMQError('ERR_ROCKETMQ_CLOSED', 'the producer was closed before the answer', details))
    }
  }
}

module.exports = { Sends }
