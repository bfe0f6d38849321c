'use strict'
// What `seek()` takes, and what `commit()` fails with.

const { isDate } = require('node:util').types
const check = require('../check.js')
const { RocketMQError, errorFrom, invalid } = require('../errors.js')
const foreign = require('../foreign-names.js')

/**
 * @typedef {import('../errors').NativeError} NativeError
 * @typedef {{ to: 'offset' | 'first' | 'last' | 'timestamp', value: number }} Position
 */

/**
 * @param {unknown} to
 * @returns {Position}
 */
function position(to) {
  if (typeof to === 'number') return { to: 'offset', value: check.integer('to', to, 0, Number.MAX_SAFE_INTEGER) }
  if (isDate(to)) {
    const time = to.getTime()
    if (!(time >= 0)) throw invalid('to', 'must be a valid date, not before 1970')
    return { to: 'timestamp', value: time }
  }
  if (typeof to === 'string') return { to: check.oneOf('to', to, ['first', 'last'], foreign.POSITIONS), value: 0 }
  throw invalid('to', `must be an offset, 'first', 'last' or a Date, not ${check.describe(to)}`)
}

/**
 * One error of all queues that have not acknowledged a commit.
 * @param {NativeError[]} reports
 */
function uncommitted(reports) {
  const errors = reports.map((report) => errorFrom(report))
  const [first] = errors
  if (errors.length === 1) return first
  const { code, retriable, outcome, topic, queue } = first
  const names = errors.map(({ queue }) => (queue ? `${queue.topic}@${queue.brokerName}:${queue.queueId}` : 'one'))
  const text = `commit(): what was handled of ${errors.length} queues is not acknowledged (${names.join(', ')}); first: ${first.message}`
  const details = { retriable, outcome, topic, queue, cause: new AggregateError(errors, text) }
  return new RocketMQError(code, text, /** @type {import('../../../index').ErrorDetails} */ (details))
}

module.exports = { position, uncommitted }
