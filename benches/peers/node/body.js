'use strict'
// What a body says: whose key it is, its number among the key's, and letters up to the length.

const KEY_DIGITS = 4
const HEAD_DIGITS = 12

/** Makes the bodies of a round. */
class Bodies {
  #rest

  /** @param {number} bytes of each */
  constructor(bytes) {
    this.#rest = 'x'.repeat(Math.max(0, bytes - HEAD_DIGITS))
  }

  /** A body of its own, since some clients keep what they are given. */
  of(key, number) {
    const head = String(key * 1e8 + number).padStart(HEAD_DIGITS, '0')
    return Buffer.from(head + this.#rest, 'latin1')
  }
}

/** Digits of a body, as a number. @param {Buffer | string} body */
function digits(body, from, to) {
  const isText = typeof body === 'string'
  let number = 0
  for (let i = from; i < to; i++) number = 10 * number + (isText ? body.charCodeAt(i) : body[i]) - 48
  return number
}

const keyOf = (body) => digits(body, 0, KEY_DIGITS)
const numberOf = (body) => digits(body, KEY_DIGITS, HEAD_DIGITS)

/** Counts the messages that are handled after a later one of their key. */
class Order {
  inversions = 0
  #last = []

  see(body) {
    const key = keyOf(body)
    const number = numberOf(body)
    if (number < (this.#last[key] ?? -1)) this.inversions++
    this.#last[key] = number
  }
}

module.exports = { Bodies, Order, keyOf, numberOf }
