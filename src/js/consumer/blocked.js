'use strict'
// What a failing handler blocks, in words.

const { RocketMQError } = require('../errors.js')
const { where } = require('./lane.js')

/**
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../../../index').QueueState} QueueState
 */

/**
 * What a failing message holds, where order is kept per key.
 * @param {import('../../../index').BlockedBy} blockedBy
 * @param {number} blockedKeys
 * @param {boolean} standsStill
 */
function keyInWords({ shardingKey }, blockedKeys, standsStill) {
  const key = shardingKey === undefined ? 'messages without a key' : `key ${shardingKey}`
  const others = blockedKeys > 1 ? ` and ${blockedKeys - 1} other keys` : ''
  return standsStill ? `${key}${others}, and with it a queue` : `${key}${others} of a queue`
}

/**
 * @param {QueueState} queue
 * @param {import('../../../index').BlockedBy} blockedBy
 */
function blockedError({ topic, brokerName, queueId, state, blockedKeys }, blockedBy) {
  const { msgId, queueOffset, attempt, since, cause } = blockedBy
  const queue = { topic, brokerName, queueId }
  const what = blockedKeys === undefined ? 'a queue' : keyInWords(blockedBy, blockedKeys, state === 'suspended')
  const text = `a failing handler blocks ${what} since ${new Date(since).toISOString()} (${where(queue, queueOffset)}, message ${msgId}, attempt ${attempt})`
  return new RocketMQError('ERR_ROCKETMQ_HANDLER', text, { topic, queue, msgId, cause })
}

/**
 * @param {Failure} problem
 * @param {Failure} error
 */
function isAbout({ code, queue }, error) {
  return (
    code === error.code &&
    queue?.topic === error.queue?.topic &&
    queue?.brokerName === error.queue?.brokerName &&
    queue?.queueId === error.queue?.queueId
  )
}

module.exports = { blockedError, isAbout }
