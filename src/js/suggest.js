'use strict'
// What somebody meant who wrote a name that is none of ours: the nearest one, or the one that other clients have for the same.

/**
 * Names of other clients, normal, with what to say of each.
 * @typedef {ReadonlyMap<string, string>} ForeignNames
 */

/** Names that differ in case, `-` and `_` alone are the same: `NAMESRV_ADDR` is `namesrvAddr`. @param {string} name */
function normal(name) {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/**
 * @param {readonly (readonly [advice: string, names: string])[]} rows names separated by spaces
 * @returns {ForeignNames}
 */
function foreignNames(rows) {
  return new Map(rows.flatMap(([advice, names]) => names.split(' ').map((name) => [normal(name), advice])))
}

/**
 * How many letters must be left out, put in, replaced or swapped with their neighbour to make one name of the other.
 * @param {string} one
 * @param {string} other
 */
function distance(one, other) {
  /** By letters of `one`, then of `other`: of their beginnings. */
  const rows = [Array.from({ length: other.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    for (let j = 1; j <= other.length; j++) {
      const replaced = rows[i - 1][j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1)
      row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, replaced)
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      if (swapped) row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1)
    }
    rows.push(row)
  }
  return rows[one.length][other.length]
}

/** Longer names are none of anybody's, and would be compared for long. */
const MAX_LENGTH = 64

/**
 * What to say of a name that is unknown; nothing if it is like none.
 * @param {string} name
 * @param {readonly string[]} names that are known
 * @param {ForeignNames} [foreign]
 * @returns {string | undefined}
 */
function suggestion(name, names, foreign = new Map()) {
  const given = normal(name)
  if (given === '' || given.length > MAX_LENGTH) return undefined
  /** Our own names come first, so that they win where both are as near. @type {[name: string, advice: string][]} */
  const known = [...names.map((own) => [own, didYouMean(own)]), ...foreign].map(([own, advice]) => [
    normal(own),
    advice,
  ])
  const exact = known.find(([own]) => own === given)
  if (exact) return exact[1]
  // Of a short name one letter changes much.
  let least = Math.min(2, Math.floor(given.length / 3)) + 1
  let nearest
  for (const [own, advice] of known) {
    if (Math.abs(own.length - given.length) >= least) continue
    const letters = distance(given, own)
    if (letters < least) [least, nearest] = [letters, advice]
  }
  return nearest
}

/** @param {string} name */
function didYouMean(name) {
  return `did you mean ${name}?`
}

module.exports = { foreignNames, suggestion }
