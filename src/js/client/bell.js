'use strict'
// Hears what the native side has to say: it rings, and everything there is is taken, a little in each turn of the event loop.

const { setImmediate } = require('../clock.js')
const { nextTurn } = require('../turn.js')

/**
 * @template {unknown[]} S
 */
class Bell {
  #take
  #hear
  #answering = false

  /**
   * @param {(isFirst: boolean) => S | 'later' | undefined | null} take what was said next. `isFirst`: no code of the user is due, neither
   *   microtasks nor ticks. `later`: what is next wants that. `null`: there is nothing more, and then native rings again. `undefined`:
   *   nothing, for once
   * @param {(said: S) => void} hear
   */
  constructor(take, hear) {
    this.#take = take
    this.#hear = hear
  }

  /** In a callback of native's, before which all microtasks have run. */
  ring() {
    if (this.#answering) return
    this.#answering = true
    void this.#answer(true)
  }

  /** @param {boolean} isFirst */
  async #answer(isFirst) {
    for (let first = isFirst; ; first = false) {
      const turn = first ? null : nextTurn()
      if (turn) {
        await turn
        continue
      }
      const said = this.#take(first)
      if (said === null) break
      if (said === 'later') {
        setImmediate(() => void this.#answer(true))
        return
      }
      if (said !== undefined) this.#tell(said)
      // What users wait for goes on here, and counts in the time of this turn.
      await null
    }
    this.#answering = false
  }

  /** @param {S} said */
  #tell(said) {
    try {
      this.#hear(said)
    } catch (error) {
      // As of a listener that throws: nobody's business but the process's.
      setImmediate(() => {
        throw error
      })
    }
  }
}

module.exports = { Bell }
