'use strict'

const { now, setImmediate } = require('./clock.js')

/** How long a turn of the event loop may run our work, in milliseconds. */
const BUDGET_MS = 0.5

/** @type {Promise<void> | null} */
let turn = null
let began = 0

/**
 * The promise of the next turn of the event loop when this one has run our work for long enough, else null.
 *
 * There is one budget for all lanes and clients: Node runs every waiting immediate in one turn, so 64 lanes with 0.5 ms each would
 * hold the loop for 32 ms. The promise is shared, too, which keeps them in turn.
 * @returns {Promise<void> | null}
 */
function nextTurn() {
  if (turn === null) {
    began = now()
    turn = new Promise((resolve) => {
      setImmediate(() => {
        turn = null
        resolve()
      })
    })
  }
  return now() - began > BUDGET_MS ? turn : null
}

module.exports = { nextTurn }
