'use strict'
// What OpenTelemetry's semantic conventions for messaging, and those for RocketMQ, call what we know.

/**
 * @typedef {import('@opentelemetry/api').Attributes} Attributes
 * @typedef {import('../../../index').SendTrace} SendTrace
 * @typedef {import('../../../index').ProcessTrace} ProcessTrace
 * @typedef {SendTrace | ProcessTrace} Trace
 * @typedef {import('../../../index').MessageInit | import('../../../index').ReceivedMessage} AnyMessage
 */

/**
 * Of spans when they begin: samplers decide by them.
 * @param {'send' | 'process'} operation
 * @param {Trace} trace
 * @returns {Attributes}
 */
function ofSpan(operation, trace) {
  const { clientId, message, messages, namespace } = trace
  return present({
    ...ofOperation(operation, trace),
    ...ofServer(trace),
    'messaging.client.id': clientId,
    'messaging.rocketmq.namespace': namespace,
    'messaging.rocketmq.message.type': 'fifo',
    'messaging.batch.message_count': messages?.length,
    ...(message === undefined ? {} : ofMessage(message)),
    'messaging.rocketmq.message.group': trace.shardingKey,
    'messaging.rocketmq.consumption_model': 'messageModel' in trace ? trace.messageModel : undefined,
  })
}

/**
 * What is known at the end of an operation only.
 * @param {Trace} trace
 * @returns {Attributes}
 */
function ofEnd(trace) {
  return present({ ...ofServer(trace), 'messaging.message.id': trace.msgId, 'error.type': errorType(trace) })
}

/**
 * Of measurements: no key and no id, whose number is unlimited.
 * @param {'send' | 'process'} operation
 * @param {Trace} trace
 * @returns {Attributes}
 */
function ofMetric(operation, trace) {
  return present({ ...ofOperation(operation, trace), ...ofServer(trace), 'error.type': errorType(trace) })
}

/**
 * @param {'send' | 'process'} operation
 * @param {Trace} trace
 */
function ofOperation(operation, { topic, groupId }) {
  return {
    'messaging.system': 'rocketmq',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': topic,
    'messaging.consumer.group.name': operation === 'process' ? groupId : undefined,
  }
}

/**
 * Where it went to, or came from: queues are numbered on each broker anew.
 * @param {Trace} trace
 */
function ofServer({ queue, serverAddress, serverPort }) {
  return {
    'messaging.destination.partition.id': queue && `${queue.brokerName}/${queue.queueId}`,
    'server.address': serverAddress,
    'server.port': serverPort,
  }
}

/** @param {AnyMessage} message */
function ofMessage({ body, tags, keys }) {
  return {
    'messaging.message.body.size': typeof body === 'string' ? Buffer.byteLength(body) : body.length,
    'messaging.rocketmq.message.tag': tags,
    'messaging.rocketmq.message.keys': keys === undefined || keys.length === 0 ? undefined : [keys].flat(),
  }
}

/**
 * The kind of a failure: a code of ours, the class of an error, or what a handler has said; nothing of a success.
 * @param {Trace} trace
 * @returns {string | undefined}
 */
function errorType(trace) {
  if ('error' in trace) return typeOf(trace.error)
  const outcome = /** @type {any} */ (trace.outcome)
  if (outcome === undefined || outcome === 'CONSUME_SUCCESS' || outcome === 'stored') return undefined
  if (typeof outcome === 'string') return outcome
  return 'suspendMs' in outcome ? 'suspend' : 'deadLetter'
}

/** @param {any} error */
function typeOf(error) {
  if (!(error instanceof Error)) return '_OTHER'
  const { code, name } = /** @type {{ code?: unknown, name: string }} */ (error)
  return typeof code === 'string' && code !== '' ? code : name || '_OTHER'
}

/**
 * Without what is unknown.
 * @param {Record<string, any>} attributes
 * @returns {Attributes}
 */
function present(attributes) {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}

module.exports = { errorType, ofEnd, ofMetric, ofSpan, present }
