'use strict'
// From rounds to figures: medians, with the least and the greatest.

/** Median, least and greatest; undefined of nothing. @param {(number | undefined)[]} values */
function summary(values) {
  const known = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b)
  if (known.length === 0) return undefined
  const middle = known.length / 2
  const median = known.length % 2 === 1 ? known[Math.floor(middle)] : (known[middle - 1] + known[middle]) / 2
  return { median, min: known[0], max: known.at(-1) }
}

/** One figure of a peer over its rounds. */
const figureOf = (row, figure) => summary((row?.rounds ?? []).map((round) => round[figure]))

/** One figure of a peer against that of another, round by round: those of one number ran one after the other. */
function ratio(row, other, figure) {
  if (!row?.rounds || !other?.rounds) return undefined
  return summary(row.rounds.map((round, i) => round[figure] / other.rounds[i]?.[figure]))
}

/** The sum over the rounds of what should not have happened at all. */
const total = (row, figure) => (row.rounds ?? []).reduce((sum, round) => sum + (round[figure] ?? 0), 0)

module.exports = { figureOf, ratio, summary, total }
