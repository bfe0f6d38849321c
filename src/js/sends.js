'use strict'

const { Fifo } = require('./fifo.js')
const { RocketMQError, call, errorFrom, errorFromThrown } = require('./errors.js')
const { nextTurn } = require('./turn.js')

/**
 * @typedef {import('./errors').Failure} Failure
 * @typedef {import('./native-surface').NativeProducer} NativeProducer
 * @typedef {import('./core').Core<NativeProducer>} Core
 * @typedef {import('./message').FlatMessage} FlatMessage
 * @typedef {import('../../index').SendResult} SendResult
 * @typedef {import('../../index').SendStatus} SendStatus
 */

/** How often deadlines of waiting sends are looked at, at most; in milliseconds. */
const SWEEP_MS = 25

/**
 * One call of `sendOrderly` or `sendOrderlyBatch`.
 * @typedef {object} Send
 * @property {string} topic
 * @property {string} shardingKey
 * @property {number} timeoutMs 0 for the producer's own
 * @property {AbortSignal | undefined} signal
 * @property {FlatMessage[] | null} messages null once native has them
 * @property {boolean} batch
 * @property {number} slot of native, -1 while it waits here
 * @property {number} deadline of `performance.now()`; known while it waits here
 * @property {Key | null} key while it waits here
 * @property {boolean} settled
 * @property {Era} era
 * @property {(result: any) => void} resolve
 * @property {(error: Error) => void} reject
 */

/**
 * The sends that wait for a lane which has refused; the lane takes nothing else until they have gone.
 * @typedef {{ lane: number, sends: Fifo<Send>, live: number, feeding: boolean }} Queue
 */

/**
 * The sends of one sharding key that wait, all in one queue.
 * @typedef {{ queue: Queue, sends: Set<Send> }} Key
 */

/**
 * Sends between two calls of `flush()`.
 * @typedef {{ pending: number, sealed: boolean, before: Promise<void>, done: Promise<void>, end: () => void }} Era
 */

/**
 * @param {Promise<void>} before
 * @returns {Era}
 */
function newEra(before) {
  let end = () => {}
  /** @type {Promise<void>} */
  const done = new Promise((resolve) => (end = resolve))
  return { pending: 0, sealed: false, before, done, end }
}

/**
 * The sends of a producer: their slots, those that wait their turn here, and the fence.
 *
 * The fence: a message that fails takes everything of its key with it that was called before its rejection is delivered. What of
 * it waits in native, native fails itself; what waits here is rejected in the tick of the delivery, before any code of the user
 * runs. Calls and deliveries share this thread, so "before" needs no numbers.
 */
class Sends {
  /** @type {Core} */
  #core
  #sendTimeoutMs
  /** By lane. @type {Map<number, Queue>} */
  #queues = new Map()
  /** By topic and sharding key. @type {Map<string, Key>} */
  #keys = new Map()
  #waiting = 0
  /** @type {Set<() => void>} */
  #readyListeners = new Set()
  /** One listener each, however many sends share the signal. @type {Map<AbortSignal, { listener: () => void, sends: Set<Send> }>} */
  #signals = new Map()
  #era = newEra(Promise.resolve())
  /** @type {NodeJS.Timeout | null} */
  #sweep = null
  #sweepAt = 0

  /**
   * @param {Core} core
   * @param {number} sendTimeoutMs
   */
  constructor(core, sendTimeoutMs) {
    this.#core = core
    this.#sendTimeoutMs = sendTimeoutMs
  }

  get #native() {
    return /** @type {NativeProducer} */ (this.#core.native)
  }

  /** Sends that wait here. */
  get waiting() {
    return this.#waiting
  }

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
        era: this.#era,
        resolve,
        reject,
      }
      send.era.pending++
      if (signal) this.#watch(send, signal)
      this.#admit(send)
    })
  }

  /**
   * Gives a send to native, or a place behind those that wait for the same lane.
   * @param {Send} send
   */
  #admit(send) {
    // Whatever native would say: nothing of a key overtakes what waits of it.
    const key = this.#waiting > 0 ? this.#keys.get(keyOf(send)) : undefined
    if (key) return this.#wait(send, key.queue)
    const lane = this.#offer(send, false)
    if (lane >= 0) this.#wait(send, this.#queueOf(lane))
  }

  /**
   * @param {Send} send
   * @param {boolean} feeding whether it comes from the queue of its lane
   * @returns {number} the lane that is full, or -1: taken, or failed
   */
  #offer(send, feeding) {
    const slot = this.#core.take(send.batch ? this.#batchCall(send) : send)
    send.slot = slot
    try {
      const lane = this.#hand(send, feeding)
      if (lane < 0) {
        // Native has copied the bodies.
        send.messages = null
        return -1
      }
      this.#core.release(slot)
      send.slot = -1
      return lane
    } catch (thrown) {
      this.#core.release(slot)
      send.slot = -1
      const error = errorFromThrown(thrown)
      this.#forget(send)
      this.#reject(send, error)
      this.#breakKey(send, error)
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
    const timeoutMs = feeding ? Math.max(1, Math.ceil(send.deadline - performance.now())) : send.timeoutMs
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
      const send = /** @type {Send | undefined} */ (this.#core.release(slots[i]))
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
    const send = /** @type {Send | undefined} */ (this.#core.release(slot))
    if (send !== undefined) this.#fail(send, errorFrom(error), failedKey)
  }

  /**
   * Of a batch.
   * @param {Send} send
   * @returns {import('./core').Call}
   */
  #batchCall(send) {
    return {
      resolve: send.resolve,
      reject: (error) => this.#reject(send, error),
      answered: (error, json) => {
        if (error !== null) return this.#fail(send, errorFrom(error), json === '"failedKey"')
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
   * @param {Failure} error
   * @param {boolean} failedKey whether native has closed the key until it is told that the failure was delivered
   */
  #fail(send, error, failedKey) {
    this.#reject(send, error)
    if (!failedKey) return
    this.#breakKey(send, error)
    this.#native.heard(send.topic, send.shardingKey)
  }

  /**
   * Rejects what waits here of a failed send's key.
   * @param {Send} failed
   * @param {Failure} cause
   */
  #breakKey(failed, cause) {
    const key = this.#waiting > 0 ? this.#keys.get(keyOf(failed)) : undefined
    if (key === undefined) return
    for (const send of [...key.sends]) {
      this.#forget(send)
      this.#reject(send, orderBroken(send.topic, cause))
    }
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
    if (send.signal) this.#unwatch(send, send.signal)
    const { era } = send
    if (--era.pending === 0 && era.sealed) era.end()
  }

  // ------------------------------------------------------------- waiting

  /**
   * @param {number} lane
   * @returns {Queue}
   */
  #queueOf(lane) {
    let queue = this.#queues.get(lane)
    if (queue === undefined) {
      queue = { lane, sends: new Fifo(), live: 0, feeding: false }
      this.#queues.set(lane, queue)
    }
    return queue
  }

  /**
   * @param {Send} send
   * @param {Queue} queue
   */
  #wait(send, queue) {
    const id = keyOf(send)
    let key = this.#keys.get(id)
    if (key === undefined) {
      key = { queue, sends: new Set() }
      this.#keys.set(id, key)
    }
    key.sends.add(send)
    send.key = key
    queue.sends.push(send)
    queue.live++
    this.#waiting++
    send.deadline ||= performance.now() + (send.timeoutMs || this.#sendTimeoutMs)
    this.#sweepBy(send.deadline)
  }

  /**
   * Takes a send out of those that wait, if it is one of them; its place in the queue is skipped later.
   * @param {Send} send
   */
  #forget(send) {
    const { key } = send
    if (key === null) return
    send.key = null
    key.sends.delete(send)
    if (key.sends.size === 0) this.#keys.delete(keyOf(send))
    key.queue.live--
    this.#waiting--
    if (key.queue.live === 0 && !key.queue.feeding) this.#drained(key.queue)
    if (this.#waiting === 0) this.#becameReady()
  }

  /** @param {Queue} queue */
  #drained(queue) {
    this.#queues.delete(queue.lane)
    call(() => this.#native.drained(queue.lane))
  }

  /**
   * A lane that has refused has room again.
   * @param {number} lane
   */
  room(lane) {
    const queue = this.#queues.get(lane)
    if (queue && !queue.feeding) void this.#feed(queue)
  }

  /** @param {Queue} queue */
  async #feed(queue) {
    queue.feeding = true
    while (queue.live > 0) {
      const turn = nextTurn()
      if (turn) {
        await turn
        continue
      }
      const send = /** @type {Send} */ (queue.sends.peek())
      if (send.key?.queue !== queue) {
        queue.sends.shift()
        continue
      }
      const lane = this.#offer(send, true)
      if (lane === queue.lane) {
        queue.feeding = false
        return
      }
      queue.sends.shift()
      if (lane < 0) this.#forget(send)
      else this.#move(send, queue, this.#queueOf(lane))
    }
    queue.feeding = false
    if (this.#queues.get(queue.lane) === queue) this.#drained(queue)
  }

  /**
   * The key of a send belongs to another lane now: the route has changed, or is known at last. Everything that waits of the key
   * goes there, else what is called next would overtake it.
   * @param {Send} first
   * @param {Queue} from
   * @param {Queue} to
   */
  #move(first, from, to) {
    const key = /** @type {Key} */ (first.key)
    key.queue = to
    for (const send of key.sends) to.sends.push(send)
    from.live -= key.sends.size
    to.live += key.sends.size
  }

  /**
   * Looks at the deadlines at this time, or a little later.
   * @param {number} deadline
   */
  #sweepBy(deadline) {
    const now = performance.now()
    const at = Math.max(deadline, now + SWEEP_MS)
    if (this.#sweep !== null && this.#sweepAt <= at) return
    if (this.#sweep !== null) clearTimeout(this.#sweep)
    this.#sweepAt = at
    this.#sweep = setTimeout(() => this.#expire(), Math.ceil(at - now))
    this.#sweep.unref()
  }

  #expire() {
    this.#sweep = null
    const now = performance.now()
    let next = Infinity
    const late = new Set()
    for (const key of this.#keys.values()) {
      for (const send of key.sends) {
        if (send.deadline <= now) late.add(send)
        else next = Math.min(next, send.deadline)
      }
    }
    this.#takeOut(late, (send) => timedOut(send.topic))
    if (this.#waiting > 0) this.#sweepBy(next)
  }

  /**
   * Ends sends that wait; what was called after them of the same keys goes with them, else it would overtake their retry.
   * @param {Set<Send>} sends
   * @param {(send: Send) => Failure} errorOf
   */
  #takeOut(sends, errorOf) {
    const keys = new Set([...sends].map((send) => /** @type {Key} */ (send.key)))
    for (const key of keys) {
      /** @type {Failure | undefined} */
      let first
      for (const send of [...key.sends]) {
        if (first === undefined && !sends.has(send)) continue
        const error = sends.has(send) ? errorOf(send) : orderBroken(send.topic, /** @type {Failure} */ (first))
        first ??= error
        this.#forget(send)
        this.#reject(send, error)
      }
    }
  }

  // ------------------------------------------------------------- signals

  /**
   * @param {Send} send
   * @param {AbortSignal} signal
   */
  #watch(send, signal) {
    let watched = this.#signals.get(signal)
    if (watched === undefined) {
      watched = { listener: () => this.#aborted(signal), sends: new Set() }
      this.#signals.set(signal, watched)
      signal.addEventListener('abort', watched.listener, { once: true })
    }
    watched.sends.add(send)
  }

  /**
   * @param {Send} send
   * @param {AbortSignal} signal
   */
  #unwatch(send, signal) {
    const watched = this.#signals.get(signal)
    if (watched === undefined) return
    watched.sends.delete(send)
    if (watched.sends.size > 0) return
    this.#signals.delete(signal)
    signal.removeEventListener('abort', watched.listener)
  }

  /** @param {AbortSignal} signal */
  #aborted(signal) {
    const watched = this.#signals.get(signal)
    if (watched === undefined) return
    this.#signals.delete(signal)
    const sends = [...watched.sends]
    this.#takeOut(new Set(sends.filter((send) => send.key !== null)), (send) => aborted(signal, send.topic))
    for (const send of sends) {
      if (send.slot >= 0 && !send.settled) call(() => this.#native.abort(send.slot))
    }
  }

  // ------------------------------------------------------------- pace

  #becameReady() {
    const listeners = [...this.#readyListeners]
    this.#readyListeners.clear()
    for (const listener of listeners) listener()
  }

  /**
   * Resolves when nothing waits here.
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<void>}
   */
  ready(signal) {
    if (signal?.aborted) return Promise.reject(aborted(signal))
    if (this.#waiting === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const ready = () => {
        signal?.removeEventListener('abort', abort)
        const error = this.#core.notRunning()
        if (error) reject(error)
        else resolve()
      }
      const abort = () => {
        this.#readyListeners.delete(ready)
        reject(aborted(/** @type {AbortSignal} */ (signal)))
      }
      this.#readyListeners.add(ready)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /** @returns {Promise<void>} */
  flush() {
    const era = this.#era
    const flushed = Promise.all([era.before, era.done]).then(() => {})
    era.sealed = true
    if (era.pending === 0) era.end()
    this.#era = newEra(flushed)
    return flushed
  }

  /**
   * Closing: lets what waits go to native until this time, then rejects the rest.
   * @param {number} deadline
   */
  async drain(deadline) {
    if (this.#waiting > 0) {
      /** @type {Promise<void>} */
      const empty = new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()))
        this.#readyListeners.add(() => {
          clearTimeout(timer)
          resolve()
        })
      })
      await empty
    }
    for (const key of [...this.#keys.values()]) {
      for (const send of [...key.sends]) {
        this.#forget(send)
        this.#reject(send, closed(send.topic))
      }
    }
    if (this.#sweep !== null) clearTimeout(this.#sweep)
    this.#sweep = null
  }

  /** Closed: native has settled everything; if not, nobody shall wait for ever. */
  ended() {
    for (const waiting of this.#core.outstanding()) {
      if (!('era' in waiting)) continue
      const send = /** @type {Send} */ (waiting)
      const details = { topic: send.topic, outcome: /** @type {const} */ ('unknown') }
      this.#reject(send, new RocketMQError('ERR_ROCKETMQ_CLOSED', 'the producer was closed before the answer', details))
    }
  }
}

/** @param {{ topic: string, shardingKey: string }} send */
function keyOf({ topic, shardingKey }) {
  return `${topic}\0${shardingKey}`
}

/**
 * @param {AbortSignal} signal
 * @param {string} [topic] of a send
 */
function aborted(signal, topic) {
  const details = topic === undefined ? {} : { topic, outcome: /** @type {const} */ ('not-stored') }
  return new RocketMQError('ERR_ROCKETMQ_ABORTED', 'aborted by the caller', { cause: signal.reason, ...details })
}

/** @param {string} topic */
function timedOut(topic) {
  const text = `not sent: it waited for room until its time was up (topic ${topic})`
  return new RocketMQError('ERR_ROCKETMQ_TIMEOUT', text, { topic, outcome: 'not-stored' })
}

/** @param {string} topic */
function closed(topic) {
  const text = `not sent: the producer was closed while it waited (topic ${topic})`
  return new RocketMQError('ERR_ROCKETMQ_CLOSED', text, { topic, outcome: 'not-stored' })
}

/**
 * @param {string} topic
 * @param {Failure} cause
 */
function orderBroken(topic, cause) {
  const text = `not sent: an earlier message of the same sharding key failed (topic ${topic})`
  return new RocketMQError('ERR_ROCKETMQ_ORDER_BROKEN', text, { topic, outcome: 'not-stored', cause })
}

module.exports = { Sends }
