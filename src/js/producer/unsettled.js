'use strict'
// What `flush()` waits for: the sends called before it, and no later ones.

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

/** The sends that are not settled yet. */
class Unsettled {
  #now = newEra(Promise.resolve())

  /**
   * A send has been called.
   * @returns {Era} its era, to be given back
   */
  enter() {
    this.#now.pending++
    return this.#now
  }

  /**
   * A send of this era is settled.
   * @param {Era} era
   */
  leave(era) {
    if (--era.pending === 0 && era.sealed) era.end()
  }

  /** @returns {Promise<void>} */
  flush() {
    const era = this.#now
    const flushed = Promise.all([era.before, era.done]).then(() => {})
    era.sealed = true
    if (era.pending === 0) era.end()
    this.#now = newEra(flushed)
    return flushed
  }
}

module.exports = { Unsettled }
