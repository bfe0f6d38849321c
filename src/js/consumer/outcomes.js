'use strict'
// What a handler may say, and how it is read.

const { integer, optionalText } = require('../check.js')

/**
 * @typedef {import('../../../index').Suspend} Suspend
 * @typedef {import('../../../index').DeadLetter} DeadLetter
 */

const ConsumeStatus = Object.freeze({
  CONSUME_SUCCESS: /** @type {const} */ ('CONSUME_SUCCESS'),
  RECONSUME_LATER: /** @type {const} */ ('RECONSUME_LATER'),
})

/** Shared by all copies of this package in a process, so that an outcome made by one is understood by another. */
const OUTCOME = Symbol.for('rocketmq-orderly.outcome')

const MIN_SUSPEND_MS = 10
const MAX_SUSPEND_MS = 900_000

/**
 * @param {number} ms
 * @returns {Suspend}
 */
function suspend(ms) {
  integer('ms', ms, MIN_SUSPEND_MS, MAX_SUSPEND_MS)
  return /** @type {Suspend} */ (/** @type {unknown} */ (Object.freeze({ [OUTCOME]: 'suspend', suspendMs: ms })))
}

/**
 * @param {string} [reason]
 * @returns {DeadLetter}
 */
function deadLetter(reason) {
  optionalText('reason', reason)
  const outcome = reason === undefined ? { [OUTCOME]: 'deadLetter' } : { [OUTCOME]: 'deadLetter', reason }
  return /** @type {DeadLetter} */ (/** @type {unknown} */ (Object.freeze(outcome)))
}

/** How the native side counts a handler call; the numbers are those of `consumerFailure`. */
const Outcome = Object.freeze({ SUCCESS: 0, LATER: 1, SUSPEND: 2, DEAD_LETTER: 3, LEFT: 4 })

/** What a loop says of a message that it has left: as if it had not begun. Of this package only. */
const LEFT = Symbol('left')

/**
 * What a handler said. `cause` is what the `suspended` and `deadLetter` events tell; `junk` marks a returned value that is no
 * outcome.
 * @typedef {{ kind: 1 | 2 | 3 | 4, suspendMs: number, cause?: unknown, junk?: boolean }} Failed
 * @typedef {{ kind: 0 } | Failed} Verdict
 */

/** @type {Verdict} */
const SUCCESS = Object.freeze({ kind: Outcome.SUCCESS })

/**
 * Whether a delay is one that `suspend` lets through: whoever copies an outcome may have changed it.
 * @param {unknown} ms
 * @returns {ms is number}
 */
function isSuspension(ms) {
  return typeof ms === 'number' && Number.isInteger(ms) && ms >= MIN_SUSPEND_MS && ms <= MAX_SUSPEND_MS
}

/**
 * The verdict in a value that says one, whether returned or thrown.
 * @param {unknown} value
 * @returns {Verdict | null}
 */
function said(value) {
  if (value === ConsumeStatus.CONSUME_SUCCESS) return SUCCESS
  if (value === ConsumeStatus.RECONSUME_LATER) return { kind: Outcome.LATER, suspendMs: 0 }
  if (value === LEFT) return { kind: Outcome.LEFT, suspendMs: 0 }
  if (typeof value !== 'object' || value === null) return null
  const outcome = /** @type {Record<string | symbol, unknown>} */ (value)
  if (outcome[OUTCOME] === 'deadLetter') return { kind: Outcome.DEAD_LETTER, suspendMs: 0, cause: outcome.reason }
  if (outcome[OUTCOME] !== 'suspend' || !isSuspension(outcome.suspendMs)) return null
  return { kind: Outcome.SUSPEND, suspendMs: outcome.suspendMs }
}

/**
 * What a returned value means: nothing at all, or an outcome; anything else is junk.
 * @param {unknown} value
 * @returns {Verdict}
 */
function verdictOfReturned(value) {
  if (value === undefined) return SUCCESS
  return said(value) ?? { kind: Outcome.LATER, suspendMs: 0, junk: true }
}

/**
 * What a thrown value means: an outcome, or a failure.
 * @param {unknown} value
 * @returns {Verdict}
 */
function verdictOfThrown(value) {
  try {
    const verdict = said(value)
    if (verdict) return verdict
  } catch {
    // A value that cannot even be looked at, as a revoked proxy.
  }
  return { kind: Outcome.LATER, suspendMs: 0, cause: value }
}

module.exports = { ConsumeStatus, LEFT, Outcome, deadLetter, said, suspend, verdictOfReturned, verdictOfThrown }
