'use strict'
// Why a send was refused before native had it.

const { RocketMQError } = require('../errors.js')

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

module.exports = { aborted, refused }
