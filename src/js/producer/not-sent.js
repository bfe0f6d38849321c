'use strict'
// Why a message that has not reached native was not sent.

const { RocketMQError } = require('../errors.js')

/** @typedef {import('../errors').Failure} Failure */

/**
 * @param {AbortSignal} signal
 * @param {string} [topic] of a send
 */
function aborted(signal, topic) {
  const details = topic === undefined ? {} : { topic, outcome: /** @type {const} */ ('not-stored') }
  return new RocketMQError('ERR_ROCKETMQ_ABORTED', 'aborted by the caller', { cause: signal.reason, ...details })
}

/**
 * What has refused a send before anything was written of it, as that send's failure.
 * @param {unknown} error
 * @param {string | undefined} topic
 */
function refused(error, topic) {
  if (!(error instanceof RocketMQError)) return error
  return Object.assign(error, { outcome: 'not-stored' }, topic === undefined ? {} : { topic })
}

/** @param {string} topic */
function timedOut(topic) {
  const text = `not sent: it waited for room until its time was up (topic ${topic})`
  return new RocketMQError('ERR_ROCKETMQ_TIMEOUT', text, { topic, outcome: 'not-stored' })
}

/** @param {string} topic */
function closed(topic) {
  const text = `not sent: the producer was closed while it waited (topic ${topic})`
  return new RocketMQError('ERR_ROCKETMQ_CLOSED', text, { topic, outcome: 'not-stored' })
}

/**
 * @param {string} topic
 * @param {Failure} cause
 */
function orderBroken(topic, cause) {
  const text = `not sent: an earlier message of the same sharding key failed (topic ${topic})`
  return new RocketMQError('ERR_ROCKETMQ_ORDER_BROKEN', text, { topic, outcome: 'not-stored', cause })
}

module.exports = { aborted, closed, orderBroken, refused, timedOut }
