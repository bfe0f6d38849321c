'use strict'
// Hears what the native side has to say: it rings, and everything there is is taken, a little in each turn of the event loop.

const { nextTurn } = require('../turn.js')

/**
 * @template {unknown[]} S
 */
class Bell {
  #take
  #hear
  #answering = false

  /**
   * @param {() => S | null} take what was said next; `null` when there is nothing more, and then native rings again. Must not throw
   * @param {(said: S) => void} hear must not throw
   */
  constructor(take, hear) {
    this.#take = take
    this.#hear = hear
  }

  ring() {
    if (!this.#answering) void this.#answer()
  }

  async #answer() {
    this.#answering = true
    for (;;) {
      const turn = nextTurn()
      if (turn) {
        await turn
        continue
      }
      const said = this.#take()
      if (said === null) break
      this.#hear(said)
      // What users wait for goes on here, and counts in the time of this turn.
      await null
    }
    this.#answering = false
  }
}

module.exports = { Bell }
