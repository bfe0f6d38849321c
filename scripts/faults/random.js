'use strict'

/** Chance that repeats: the same seed draws the same. */
class Random {
  #state

  /** @param {number} seed */
  constructor(seed) {
    this.#state = (seed * 0x9e3779b9) | 0
    for (let i = 0; i < 4; i++) this.fraction()
  }

  /** 0 to below 1. (mulberry32) */
  fraction() {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer from `from` to below `to`. */
  integer(from, to) {
    return from + Math.floor(this.fraction() * (to - from))
  }

  /** One of these. @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return list[this.integer(0, list.length)]
  }

  /** These in another order. @template T @param {readonly T[]} list @returns {T[]} */
  shuffled(list) {
    const rest = [...list]
    return list.map(() => rest.splice(this.integer(0, rest.length), 1)[0])
  }
}

module.exports = { Random }
