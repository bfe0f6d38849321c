'use strict'
// Judges histories: what clients wrote down of what they did, see docs/reliability.md.

const { errorFromThrown } = require('../errors.js')
const { checkHistories } = require('./addon.js')

/**
 * @typedef {object} Violation
 * @property {string} invariant
 * @property {string} of whose: a queue of a group, a key of a producer, a client
 * @property {string} message
 * @property {number} from when the timeline begins, in microseconds of the first client's clock
 * @property {{ at: number, by: string, what: string, marked: boolean }[]} timeline
 *
 * @typedef {object} Verdict
 * @property {Violation[]} violations the first ones of each invariant
 * @property {Record<string, number>} broken how many there are of each
 * @property {Record<string, number>} counts
 * @property {{ lines: number, told: string[] }} odd what the files have that is no line of a history
 * @property {string} text all of it, to be read
 *
 * @typedef {object} CheckOptions
 * @property {number} [leaseMs] how long a lock counts; default: 30 s
 * @property {number} [handOverMs] within which time a queue has to find its next owner; left out, that is not judged
 * @property {boolean} [drained] whether everything is handled in the end
 * @property {number} [shown] how many violations of each invariant are told
 */

/**
 * Judges the lines of all these files together.
 * @param {readonly string[]} files
 * @param {CheckOptions} [options]
 * @returns {Promise<Verdict>}
 */
async function check(files, options = {}) {
  try {
    return JSON.parse(await checkHistories([...files], JSON.stringify(options)))
  } catch (thrown) {
    throw errorFromThrown(thrown)
  }
}

module.exports = { check }
