'use strict'
// Handler calls that somebody observes, and messages that fail.

const { RUN, deadLetters, processing, serverOf, suspensions } = require('../channels.js')
const { RocketMQError } = require('../errors.js')
const { isThenable } = require('./lane.js')
const { ConsumeStatus, LEFT, said } = require('./outcomes.js')

/**
 * @typedef {import('../message').ReceivedMessage} ReceivedMessage
 * @typedef {import('../../../index').ConsumeContext} ConsumeContext
 * @typedef {import('../../../index').PushConsumer} PushConsumer
 */

/**
 * Who handles.
 * @typedef {object} Handling
 * @property {PushConsumer} client
 * @property {string | undefined} namespace
 * @property {'clustering' | 'broadcasting'} messageModel
 */

/**
 * What observers are told of a handler call.
 * @typedef {Record<string, any> & { [RUN]?: (handle: () => unknown) => unknown }} Trace
 */

/**
 * Calls a handler before the eyes of observers. Their `start` comes first, in the stores of the channel, and so does the handler; `over` is told
 * as soon as the outcome is known.
 * @param {Handling} who
 * @param {ReceivedMessage | ReceivedMessage[]} given a message, or those of a batch
 * @param {ConsumeContext} context
 * @param {() => unknown} handle
 * @returns {unknown} what the handler returns; what it throws is thrown
 */
function traced(who, given, context, handle) {
  const trace = traceOf(who, given, context)
  const operation = processing.of(/** @type {any} */ (trace))
  let returned
  try {
    returned = operation.begin(() => (trace[RUN] === undefined ? handle() : trace[RUN](handle)))
    if (!isThenable(returned)) told(trace, returned)
  } catch (thrown) {
    threw(trace, thrown)
    operation.over()
    throw thrown
  }
  if (!isThenable(returned)) {
    operation.over()
    return returned
  }
  return Promise.resolve(returned).then(
    (value) => {
      told(trace, value)
      operation.over()
      return value
    },
    (thrown) => {
      threw(trace, thrown)
      operation.over()
      throw thrown
    },
  )
}

/**
 * @param {Handling} who
 * @param {ReceivedMessage | ReceivedMessage[]} given
 * @param {ConsumeContext} context
 * @returns {Trace}
 */
function traceOf({ client, ...common }, given, context) {
  if (!Array.isArray(given)) return { ...ofMessage(client, given), ...common, context, message: given }
  // What is each message's own is there.
  const { msgId: _id, shardingKey: _key, ...first } = ofMessage(client, given[0])
  return { ...first, ...common, context, messages: given }
}

/**
 * @param {PushConsumer} client
 * @param {ReceivedMessage} message
 */
function ofMessage(client, { topic, shardingKey, queue, msgId, queueOffset, reconsumeTimes, storeHost }) {
  const { clientId, groupId } = client
  const attempt = reconsumeTimes + 1
  return { client, clientId, groupId, topic, shardingKey, queue, msgId, queueOffset, attempt, ...serverOf(storeHost) }
}

/**
 * @param {Trace} trace
 * @param {unknown} value that the handler has returned
 */
function told(trace, value) {
  if (value === LEFT) return // as if it had not begun
  if (value === undefined) trace.outcome = ConsumeStatus.CONSUME_SUCCESS
  else if (said(value) !== null) trace.outcome = value
  else threw(trace, new RocketMQError('ERR_ROCKETMQ_HANDLER', 'the handler returned something that is no outcome'))
}

/**
 * @param {Trace} trace
 * @param {unknown} value that the handler has thrown
 */
function threw(trace, value) {
  if (isOutcome(value)) {
    trace.outcome = value
    return
  }
  trace.outcome = ConsumeStatus.RECONSUME_LATER
  trace.error = value
}

/** @param {unknown} value */
function isOutcome(value) {
  try {
    return said(value) !== null
  } catch {
    return false // it cannot even be looked at
  }
}

/**
 * @param {PushConsumer} client
 * @param {ReceivedMessage} message that comes again
 * @param {number} delayMs
 * @param {unknown} cause
 */
function suspended(client, message, delayMs, cause) {
  if (!suspensions.hasSubscribers) return
  suspensions.publish({ ...ofMessage(client, message), message, delayMs, error: cause })
}

/**
 * @param {PushConsumer} client
 * @param {ReceivedMessage} message
 * @param {unknown} cause
 */
function deadLettered(client, message, cause) {
  if (!deadLetters.hasSubscribers) return
  deadLetters.publish({ ...ofMessage(client, message), message, error: cause })
}

module.exports = { deadLettered, suspended, traced }
