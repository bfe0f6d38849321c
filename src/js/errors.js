'use strict'
// The one error of this package, and how a report of the native side becomes one. Codes are public: index.d.ts lists them.

const { jsonOf } = require('./cause.js')
const { keepsakeOf } = require('./keepsakes.js')

/**
 * @typedef {import('../../index').ErrorCode} ErrorCode
 * @typedef {import('../../index').ErrorDetails} ErrorDetails
 * @typedef {import('../../index').RocketMQError} Failure
 */

/** Codes whose call may succeed later, unless the error itself says otherwise. */
const RETRIABLE = new Set([
  'ERR_ROCKETMQ_TIMEOUT',
  'ERR_ROCKETMQ_CONNECTION',
  'ERR_ROCKETMQ_NO_WRITABLE_QUEUE',
  'ERR_ROCKETMQ_NO_MASTER',
  'ERR_ROCKETMQ_BROKER_BUSY',
  'ERR_ROCKETMQ_ORDER_BROKEN',
  'ERR_ROCKETMQ_LOCK_LOST',
])

class OneError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {ErrorDetails} [details]
   */
  constructor(code, message, details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.retriable = details.retriable ?? RETRIABLE.has(code)
    // An absent field stays absent, so that a printed error shows what there is and nothing else.
    if (details.outcome !== undefined) this.outcome = details.outcome
    if (details.msgId !== undefined) this.msgId = details.msgId
    if (details.brokerCode !== undefined) this.brokerCode = details.brokerCode
    if (details.address !== undefined) this.address = details.address
    if (details.topic !== undefined) this.topic = details.topic
    if (details.queue !== undefined) this.queue = details.queue
  }

  /** All but the stack: of an error's text and cause JSON takes nothing by itself. */
  toJSON() {
    const { name, message, cause } = this
    return Object.assign({ name, message }, this, cause === undefined ? {} : { cause: jsonOf(cause) })
  }
}
Object.defineProperty(OneError, 'name', { value: 'RocketMQError' })
Object.defineProperty(OneError.prototype, 'name', { value: 'RocketMQError', configurable: true, writable: true })

/** Under its public type: JavaScript cannot say that a field is absent rather than undefined. */
const RocketMQError = /** @type {typeof import('../../index').RocketMQError} */ (/** @type {unknown} */ (OneError))

/**
 * What the native side reports, as JSON text or already parsed.
 * @typedef {ErrorDetails & { code: ErrorCode, message: string, cause?: NativeError, keepsake?: number }} NativeError
 */

/**
 * The error behind a native report; its causes become errors, too.
 * @param {string | NativeError} report
 * @param {Failure} [causedBy] the very error that has caused it, if that is known here
 * @param {unknown} [reason] of a caller's signal, the cause of an abort
 * @returns {Failure}
 */
function errorFrom(report, causedBy, reason) {
  try {
    const { code, message, cause, keepsake, ...details } = typeof report === 'string' ? JSON.parse(report) : report
    const keepsakes = keepsakeOf(cause)
    const known =
      causedBy ??
      (keepsakes ? keepsakes.thrown : cause ? errorFrom(cause) : code === 'ERR_ROCKETMQ_ABORTED' ? reason : undefined)
    return new RocketMQError(code, message, known === undefined ? details : { ...details, cause: known })
  } catch (cause) {
    return new RocketMQError('ERR_ROCKETMQ_INTERNAL', 'the native side reported an error that is no JSON', { cause })
  }
}

/**
 * The error behind something thrown by a native method: its message is a report, else the native side has a defect.
 * @param {unknown} thrown
 * @returns {Failure}
 */
function errorFromThrown(thrown) {
  if (thrown instanceof RocketMQError) return thrown
  const text = /** @type {{ message?: unknown } | undefined} */ (thrown)?.message
  if (typeof text === 'string' && text.startsWith('{')) return errorFrom(text)
  return new RocketMQError('ERR_ROCKETMQ_INTERNAL', `the native side failed: ${String(text)}`, { cause: thrown })
}

/**
 * Calls a native method.
 * @template T
 * @param {() => T} method
 * @returns {T}
 */
function call(method) {
  try {
    return method()
  } catch (thrown) {
    throw errorFromThrown(thrown)
  }
}

/**
 * A refused argument.
 * @param {string} field its name, as the user knows it
 * @param {string} problem
 */
function invalid(field, problem) {
  return new RocketMQError('ERR_ROCKETMQ_INVALID_ARGUMENT', `${field}: ${problem}`)
}

module.exports = { RocketMQError, call, errorFrom, errorFromThrown, invalid }
