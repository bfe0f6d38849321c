'use strict'
// What users' functions have thrown, while native's errors carry a number in its place.

/** So many failures back one may still be a cause. */
const MOST = 64

/** @type {Map<number, unknown>} */
const kept = new Map()
let last = 0

/**
 * @param {unknown} thrown
 * @returns {number} to find it by
 */
function keep(thrown) {
  last = (last + 1) >>> 0
  kept.set(last, thrown)
  if (kept.size > MOST) kept.delete(/** @type {number} */ (kept.keys().next().value))
  return last
}

/**
 * What is behind a cause of native's, if it is not native's own.
 * @param {{ keepsake?: number } | undefined} cause
 * @returns {{ thrown: unknown } | undefined} of what was thrown too long ago nothing is left
 */
function keepsakeOf(cause) {
  const number = cause?.keepsake
  return number !== undefined && kept.has(number) ? { thrown: kept.get(number) } : undefined
}

module.exports = { keep, keepsakeOf }
