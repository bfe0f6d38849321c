'use strict'
// The calls that wait for an answer of the native side, by the number that goes with the request and comes back with the answer.

const { errorFrom, errorFromThrown } = require('../errors.js')

/**
 * What waits for an answer.
 * @typedef {object} Call
 * @property {(value: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {((error: string | null, json: string) => void)} [answered] instead of the two, where more is to be done
 */

class Slots {
  /** @type {(Call | undefined)[]} */
  #calls = []
  /** @type {number[]} */
  #free = []

  /**
   * @param {Call} waiting
   * @returns {number}
   */
  take(waiting) {
    const slot = this.#free.pop() ?? this.#calls.length
    this.#calls[slot] = waiting
    return slot
  }

  /**
   * @param {number} slot
   * @returns {Call | undefined}
   */
  release(slot) {
    const waiting = this.#calls[slot]
    if (waiting === undefined) return undefined
    this.#calls[slot] = undefined
    this.#free.push(slot)
    return waiting
  }

  /**
   * Gives a call a slot and makes its request; a request that throws rejects it.
   * @param {Call} waiting
   * @param {(slot: number) => void} request
   */
  request(waiting, request) {
    const slot = this.take(waiting)
    try {
      request(slot)
    } catch (thrown) {
      this.release(slot)
      waiting.reject(errorFromThrown(thrown))
    }
  }

  /**
   * One request that is answered with JSON.
   * @param {(slot: number) => void} request
   * @returns {Promise<any>}
   */
  ask(request) {
    return new Promise((resolve, reject) => this.request({ resolve, reject }, request))
  }

  /**
   * @param {number} slot
   * @param {string | null} error as JSON
   * @param {string} json
   */
  answered(slot, error, json) {
    const waiting = this.release(slot)
    if (waiting === undefined) return
    if (waiting.answered) waiting.answered(error, json)
    else if (error !== null) waiting.reject(errorFrom(error))
    else waiting.resolve(json === '' ? undefined : JSON.parse(json))
  }

  /** What waits. */
  outstanding() {
    return /** @type {Call[]} */ (this.#calls.filter((waiting) => waiting !== undefined))
  }

  /** The native side is gone, and answers nothing of what waits. */
  clear() {
    this.#calls = []
    this.#free = []
  }
}

module.exports = { Slots }
