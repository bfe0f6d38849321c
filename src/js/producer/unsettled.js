'use strict'
// What `flush()` waits for: the sends called before it, and no later ones.

/**
 * Sends between two calls of `flush()`.
 * @typedef {{ pending: number, sealed: boolean, before: Promise<void>, done: Promise<void>, end: () => void }} FlushGroup
 */

/**
 * @param {Promise<void>} before
 * @returns {FlushGroup}
 */
function newFlushGroup(before) {
  let end = () => {}
  /** @type {Promise<void>} */
  const done = new Promise((resolve) => (end = resolve))
  return { pending: 0, sealed: false, before, done, end }
}

/** The sends that are not settled yet. */
class Unsettled {
  #now = newFlushGroup(Promise.resolve())

  /**
   * A send has been called.
   * @returns {FlushGroup} its group, to be given back
   */
  enter() {
    this.#now.pending++
    return this.#now
  }

  /**
   * A send of this group is settled.
   * @param {FlushGroup} group
   */
  leave(group) {
    if (--group.pending === 0 && group.sealed) group.end()
  }

  /** @returns {Promise<void>} */
  flush() {
    const group = this.#now
    const flushed = Promise.all([group.before, group.done]).then(() => {})
    group.sealed = true
    if (group.pending === 0) group.end()
    this.#now = newFlushGroup(flushed)
    return flushed
  }
}

module.exports = { Unsettled }
