'use strict'
// How many handlers run at once, and whose turn it is.

const { Fifo } = require('../fifo.js')

/**
 * Who of a lane waits for a place.
 * @typedef {Fifo<() => void>} Waiting
 */

/** The places for handlers, over all lanes. Lanes take turns, and who of a lane waits longest has its turn. */
class Places {
  #free
  /** Of the lanes that wait. @type {Fifo<Waiting>} */
  #waiting = new Fifo()

  /** @param {number} places */
  constructor(places) {
    this.#free = places
  }

  /**
   * @param {Waiting} waiting of the lane
   * @returns {Promise<void> | null} null: the place is there at once
   */
  take(waiting) {
    if (this.#free > 0) {
      this.#free--
      return null
    }
    if (waiting.length === 0) this.#waiting.push(waiting)
    return new Promise((resolve) => waiting.push(resolve))
  }

  /** Whether somebody waits for a place. */
  get isWanted() {
    return this.#waiting.length > 0
  }

  give() {
    const lane = this.#waiting.shift()
    const next = lane?.shift()
    if (lane === undefined || next === undefined) {
      this.#free++
      return
    }
    if (lane.length > 0) this.#waiting.push(lane)
    next()
  }
}

module.exports = { Places }
