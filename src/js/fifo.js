'use strict'

/**
 * A first-in-first-out list; every operation takes constant time on average.
 * @template T
 */
class Fifo {
  /** @type {(T | undefined)[]} */
  #items = []
  #head = 0

  get length() {
    return this.#items.length - this.#head
  }

  /** @param {T} item */
  push(item) {
    this.#items.push(item)
  }

  /** @returns {T | undefined} */
  shift() {
    if (this.length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }
}

module.exports = { Fifo }
