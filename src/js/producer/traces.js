'use strict'
// Sends that somebody observes.

const { sends, serverOf } = require('../channels.js')
const { copyOf, withProperties } = require('../message.js')
const { refused } = require('./not-sent.js')

/**
 * @typedef {import('../message').FlatMessage} FlatMessage
 * @typedef {import('../channels').Operation<import('../../../index').SendTrace>} Operation
 * @typedef {import('../../../index').Producer} Producer
 * @typedef {import('../../../index').SendResult} SendResult
 * @typedef {{ -readonly [name in keyof import('../../../index').SendTrace]: import('../../../index').SendTrace[name] }} SendTrace
 */

/**
 * Who sends.
 * @typedef {object} Sender
 * @property {Producer} client
 * @property {string | undefined} namespace
 * @property {(error: unknown) => void} warn
 */

/**
 * One send that is observed.
 * @param {Sender} sender
 * @param {FlatMessage} flat
 * @param {string} shardingKey
 * @param {(flat: FlatMessage, operation: Operation) => Promise<SendResult>} send
 */
function traced(sender, flat, shardingKey, send) {
  const message = copyOf(flat)
  const operation = sends.of(traceOf(sender, { message }, flat, shardingKey))
  return begin(operation, () => send(rewritten(sender, flat, message), operation))
}

/**
 * A batch that is observed.
 * @param {Sender} sender
 * @param {FlatMessage[]} flat
 * @param {string} shardingKey
 * @param {(flat: FlatMessage[], operation: Operation) => Promise<SendResult[]>} send
 */
function tracedBatch(sender, flat, shardingKey, send) {
  const messages = flat.map(copyOf)
  const operation = sends.of(traceOf(sender, { messages }, flat[0], shardingKey))
  const written = () => flat.map((each, i) => rewritten(sender, each, messages[i]))
  return begin(operation, () => send(written(), operation))
}

/**
 * @template R
 * @param {Operation} operation
 * @param {() => Promise<R>} send
 * @returns {Promise<R>}
 */
function begin(operation, send) {
  return operation.begin(() => {
    try {
      return send()
    } catch (error) {
      // Of a function of the user's, as the one that chooses queues.
      failed(/** @type {SendTrace} */ (operation.trace), refused(error, operation.trace.topic), 0)
      operation.over()
      throw error
    }
  })
}

/**
 * @param {Sender} sender
 * @param {{ message: any } | { messages: any[] }} sent
 * @param {FlatMessage} flat
 * @param {string} shardingKey
 * @returns {import('../../../index').SendTrace}
 */
function traceOf({ client, namespace }, sent, { topic }, shardingKey) {
  const { clientId, groupId } = client
  return { client, clientId, groupId, namespace, topic, shardingKey, ...sent }
}

/**
 * The message with the properties that observers have left it. One who writes what cannot be sent must not fail the send.
 * @param {Sender} sender
 * @param {FlatMessage} flat
 * @param {{ properties: Record<string, string> }} message
 */
function rewritten({ warn }, flat, { properties }) {
  try {
    return withProperties(flat, properties)
  } catch (error) {
    warn(error)
    return flat
  }
}

/**
 * Has the observers of a send hear its outcome before its caller does.
 * @param {Operation} operation
 * @param {{ resolve: (result: any, attempt?: number) => void, reject: (error: Error, attempt?: number) => void }} send
 */
function watch(operation, send) {
  const { resolve, reject } = send
  const trace = /** @type {SendTrace} */ (operation.trace)
  send.resolve = (/** @type {SendResult | SendResult[]} */ result, attempt) => {
    const first = Array.isArray(result) ? result[0] : result
    Object.assign(trace, Array.isArray(result) ? { results: result } : { result, msgId: result.msgId })
    trace.outcome = 'stored'
    trace.queue = first.queue
    trace.queueOffset = first.queueOffset
    trace.attempt = attempt
    Object.assign(trace, storedAt(first.offsetMsgId))
    operation.over(() => resolve(result, attempt))
  }
  send.reject = (error, attempt) => {
    failed(trace, error, attempt)
    operation.over(() => reject(error))
  }
}

/**
 * A send that its signal has taken out before it began.
 * @param {Operation | undefined} operation
 * @param {Error} error
 */
function refusedAt(operation, error) {
  if (operation !== undefined) {
    failed(/** @type {SendTrace} */ (operation.trace), error, 0)
    operation.over()
  }
  return Promise.reject(error)
}

/**
 * @param {SendTrace} trace
 * @param {any} error
 * @param {number} [attempt] unless nobody knows
 */
function failed(trace, error, attempt) {
  trace.error = error
  if (attempt !== undefined) trace.attempt = attempt
  const { outcome, queue, msgId, address } = error ?? {}
  trace.outcome = outcome ?? 'unknown'
  if (queue !== undefined) trace.queue = queue
  if (msgId !== undefined) trace.msgId = msgId
  if (address !== undefined) Object.assign(trace, serverOf(address))
}

/** Digits of an address in a broker's id of a message, with those of its port and of a place in its log behind them. */
const ADDRESS_DIGITS = Object.freeze([8, 32])
const PORT_DIGITS = 8
const PLACE_DIGITS = 16

/**
 * The broker that has stored a message: it is in its id.
 * @param {string} offsetMsgId
 */
function storedAt(offsetMsgId) {
  const digits = offsetMsgId.length - PORT_DIGITS - PLACE_DIGITS
  if (!ADDRESS_DIGITS.includes(digits)) return {}
  const bytes = Buffer.from(offsetMsgId.slice(0, digits), 'hex')
  const serverAddress = digits === ADDRESS_DIGITS[0] ? bytes.join('.') : textOfIPv6(bytes)
  return { serverAddress, serverPort: parseInt(offsetMsgId.slice(digits, digits + PORT_DIGITS), 16) }
}

/** @param {Buffer} bytes */
function textOfIPv6(bytes) {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  // As everybody writes it: the URL's own parser shortens it.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

module.exports = { refusedAt, storedAt, traced, tracedBatch, watch }
