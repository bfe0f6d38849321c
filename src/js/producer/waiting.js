'use strict'
// The sends that native has no room for: one FIFO per lane that has refused, fed again when native has room.
//
// Two things must hold. A lane takes nothing directly while something waits for it, which native sees to until it is told `drained`.
// And nothing of a key overtakes what waits of it: all of a key waits in one queue, goes to another one as a whole, and ends together.

const clock = require('../clock.js')
const { Fifo } = require('../fifo.js')
const { nextTurn } = require('../turn.js')
const { closed, orderBroken, timedOut } = require('./not-sent.js')

/** @typedef {import('../errors').Failure} Failure */

/**
 * What may wait.
 * @typedef {object} Waiter
 * @property {string} topic
 * @property {string} shardingKey
 * @property {number} timeoutMs 0 for the producer's own
 * @property {number} deadline of our clock; 0 until it waits
 * @property {Key | null} key while it waits; ours alone
 */

/**
 * The sends that wait for a lane which has refused; the lane takes nothing else until they have gone.
 * @typedef {{ lane: number, sends: Fifo<any>, live: number, feeding: boolean }} Queue
 */

/**
 * The sends of one sharding key that wait, all in one queue.
 * @typedef {{ queue: Queue, sends: Set<any> }} Key
 */

/**
 * Where sends come from and go to.
 * @template {Waiter} S
 * @typedef {object} Host
 * @property {number} sendTimeoutMs of a send that has none of its own
 * @property {(send: S) => number} offer gives a send to native: the lane that is full, or -1 for taken or failed
 * @property {(send: S, error: Failure) => void} reject
 * @property {(lane: number) => void} drained tells native that nothing waits for this lane any more
 */

/** How often deadlines are looked at, at most; in milliseconds. */
const SWEEP_MS = 25

/** @template {Waiter} S */
class Waiting {
  /** @type {Host<S>} */
  #host
  /** By lane. @type {Map<number, Queue>} */
  #queues = new Map()
  /** By topic and sharding key. @type {Map<string, Key>} */
  #keys = new Map()
  #size = 0
  /** @type {Set<() => void>} */
  #emptyListeners = new Set()
  /** @type {import('../clock').Timer | null} */
  #sweep = null
  #sweepAt = 0

  /** @param {Host<S>} host */
  constructor(host) {
    this.#host = host
  }

  /** How many wait. */
  get size() {
    return this.#size
  }

  // ------------------------------------------------------------- in

  /**
   * Puts a send behind what waits of its key.
   * @param {S} send
   * @returns {boolean} false: nothing of its key waits
   */
  follow(send) {
    const key = this.#keyOf(send)
    if (key === undefined) return false
    this.#enter(send, key.queue)
    return true
  }

  /**
   * Puts a send behind those that wait for the same lane.
   * @param {S} send whose key does not wait
   * @param {number} lane that has refused it
   */
  wait(send, lane) {
    this.#enter(send, this.#queueOf(lane))
  }

  /** @param {S} send */
  #keyOf(send) {
    return this.#size > 0 ? this.#keys.get(nameOf(send)) : undefined
  }

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
   * @param {S} send
   * @param {Queue} queue
   */
  #enter(send, queue) {
    const name = nameOf(send)
    let key = this.#keys.get(name)
    if (key === undefined) {
      key = { queue, sends: new Set() }
      this.#keys.set(name, key)
    }
    key.sends.add(send)
    send.key = key
    queue.sends.push(send)
    queue.live++
    this.#size++
    send.deadline ||= clock.now() + (send.timeoutMs || this.#host.sendTimeoutMs)
    this.#sweepBy(send.deadline)
  }

  // ------------------------------------------------------------- on to native

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
      const send = /** @type {S} */ (queue.sends.peek())
      if (send.key?.queue !== queue) {
        queue.sends.shift()
        continue
      }
      const lane = this.#host.offer(send)
      if (lane === queue.lane) {
        queue.feeding = false
        return
      }
      queue.sends.shift()
      if (lane < 0) this.forget(send)
      else this.#move(send, queue, this.#queueOf(lane))
    }
    queue.feeding = false
    if (this.#queues.get(queue.lane) === queue) this.#drained(queue)
  }

  /**
   * The key of a send belongs to another lane now: the route has changed, or is known at last. Everything that waits of the key
   * goes there, else what is called next would overtake it.
   * @param {S} first
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

  /** @param {Queue} queue */
  #drained(queue) {
    this.#queues.delete(queue.lane)
    this.#host.drained(queue.lane)
  }

  // ------------------------------------------------------------- out

  /**
   * Takes a send out, if it waits; its place in the queue is skipped later.
   * @param {S} send
   */
  forget(send) {
    const { key } = send
    if (key === null) return
    send.key = null
    key.sends.delete(send)
    if (key.sends.size === 0) this.#keys.delete(nameOf(send))
    key.queue.live--
    this.#size--
    if (key.queue.live === 0 && !key.queue.feeding) this.#drained(key.queue)
    if (this.#size === 0) this.#becameEmpty()
  }

  /**
   * Rejects what waits of a failed send's key.
   * @param {S} failed
   * @param {Failure} cause
   */
  breakKey(failed, cause) {
    const key = this.#keyOf(failed)
    if (key === undefined) return
    for (const send of [...key.sends]) this.#end(send, orderBroken(send.topic, cause))
  }

  /**
   * Ends sends that wait; what was called after them of the same keys goes with them, else it would overtake their retry.
   * @param {Set<S>} sends
   * @param {(send: S) => Failure} errorOf
   */
  takeOut(sends, errorOf) {
    const keys = new Set([...sends].map((send) => /** @type {Key} */ (send.key)))
    for (const key of keys) {
      /** @type {Failure | undefined} */
      let first
      for (const send of [...key.sends]) {
        if (first === undefined && !sends.has(send)) continue
        const error = sends.has(send) ? errorOf(send) : orderBroken(send.topic, /** @type {Failure} */ (first))
        first ??= error
        this.#end(send, error)
      }
    }
  }

  /**
   * @param {S} send
   * @param {Failure} error
   */
  #end(send, error) {
    this.forget(send)
    this.#host.reject(send, error)
  }

  // ------------------------------------------------------------- deadlines

  /**
   * Looks at the deadlines at this time, or a little later.
   * @param {number} deadline
   */
  #sweepBy(deadline) {
    const now = clock.now()
    const at = Math.max(deadline, now + SWEEP_MS)
    if (this.#sweep !== null && this.#sweepAt <= at) return
    if (this.#sweep !== null) clock.clearTimeout(this.#sweep)
    this.#sweepAt = at
    this.#sweep = clock.setTimeout(() => this.#expire(), Math.ceil(at - now))
    this.#sweep.unref?.()
  }

  #expire() {
    this.#sweep = null
    const now = clock.now()
    let next = Infinity
    const late = new Set()
    for (const key of this.#keys.values()) {
      for (const send of key.sends) {
        if (send.deadline <= now) late.add(send)
        else next = Math.min(next, send.deadline)
      }
    }
    this.takeOut(late, (send) => timedOut(send.topic))
    if (this.#size > 0) this.#sweepBy(next)
  }

  // ------------------------------------------------------------- empty

  /** @param {() => void} listener called once, when nothing waits any more */
  onceEmpty(listener) {
    this.#emptyListeners.add(listener)
  }

  /** @param {() => void} listener */
  offEmpty(listener) {
    this.#emptyListeners.delete(listener)
  }

  #becameEmpty() {
    const listeners = [...this.#emptyListeners]
    this.#emptyListeners.clear()
    for (const listener of listeners) listener()
  }

  /**
   * Closing: lets what waits go to native until this time, then rejects the rest.
   * @param {number} deadline
   */
  async drain(deadline) {
    if (this.#size > 0) {
      /** @type {Promise<void>} */
      const empty = new Promise((resolve) => {
        const timer = clock.setTimeout(resolve, Math.max(0, deadline - clock.now()))
        this.onceEmpty(() => {
          clock.clearTimeout(timer)
          resolve()
        })
      })
      await empty
    }
    for (const key of [...this.#keys.values()]) {
      for (const send of [...key.sends]) this.#end(send, closed(send.topic))
    }
    if (this.#sweep !== null) clock.clearTimeout(this.#sweep)
    this.#sweep = null
  }
}

/** @param {{ topic: string, shardingKey: string }} send */
function nameOf({ topic, shardingKey }) {
  return `${topic}\0${shardingKey}`
}

module.exports = { Waiting }
