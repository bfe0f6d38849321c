'use strict'

/** The value of which so many in a hundred are below. @param {number[]} values  @param {number} percent */
function percentile(values, percent) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))]
}

module.exports = { percentile }
