'use strict'
// Checks of arguments: each one names the field as the user knows it, and returns what it has let through.

const { isAnyArrayBuffer, isUint8Array } = require('node:util').types
const { invalid } = require('./errors.js')
const { suggestion } = require('./suggest.js')

/** @typedef {import('./suggest').ForeignNames} ForeignNames */

/** Largest time-out, count or size: what timers and the native side take. */
const MAX_INTEGER = 2_147_483_647

/**
 * Names a value without showing what may be secret or long.
 * @param {unknown} value
 */
function describe(value) {
  if (value === null || typeof value === 'undefined' || typeof value === 'boolean') return String(value)
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value === 'string') return value === '' ? 'an empty string' : 'a string'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Longest quotation in an error. */
const MAX_QUOTED = 100

/** @param {string} value that is no secret */
function quoted(value) {
  return JSON.stringify(value.length > MAX_QUOTED ? `${value.slice(0, MAX_QUOTED)}…` : value)
}

/**
 * @param {string} problem with a name
 * @param {string} name
 * @param {readonly string[]} names there are
 * @param {ForeignNames} [foreign]
 */
function withHint(problem, name, names, foreign) {
  const hint = suggestion(name, names, foreign)
  return hint === undefined ? problem : `${problem}; ${hint}`
}

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
function text(field, value) {
  if (typeof value !== 'string' || value === '')
    throw invalid(field, `must be a non-empty string, not ${describe(value)}`)
  if (!value.isWellFormed()) throw invalid(field, 'must be well-formed Unicode, without lone surrogates')
  return value
}

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {string | undefined}
 */
function optionalText(field, value) {
  return value === undefined ? undefined : text(field, value)
}

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {boolean | undefined}
 */
function optionalBoolean(field, value) {
  if (value === undefined || typeof value === 'boolean') return value
  throw invalid(field, `must be true or false, not ${describe(value)}`)
}

/**
 * A certificate or a key, as text.
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
function pem(field, value) {
  const given = isUint8Array(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString() : value
  if (typeof given !== 'string') throw invalid(field, `must be PEM, as a string or a Buffer, not ${describe(value)}`)
  if (!given.includes('-----BEGIN ')) {
    throw invalid(field, 'must be PEM (-----BEGIN …), and not the name of a file, nor DER: read it with readFileSync()')
  }
  return given
}

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {string | undefined}
 */
function optionalPem(field, value) {
  return value === undefined ? undefined : pem(field, value)
}

/**
 * @param {string} field
 * @param {unknown} value
 * @param {number} [min]
 * @param {number} [max]
 * @returns {number}
 */
function integer(field, value, min = 1, max = MAX_INTEGER) {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw invalid(field, `must be an integer from ${min} to ${max}, not ${describe(value)}`)
  }
  return value
}

/**
 * @template {string} T
 * @param {string} field
 * @param {unknown} value
 * @param {readonly T[]} choices
 * @param {ForeignNames} [foreign] what other clients call them
 * @returns {T}
 */
function oneOf(field, value, choices, foreign) {
  if (!choices.includes(/** @type {T} */ (value))) {
    const names = choices.map((choice) => `'${choice}'`).join(' or ')
    if (typeof value !== 'string') throw invalid(field, `must be ${names}, not ${describe(value)}`)
    throw invalid(field, withHint(`must be ${names}, not ${quoted(value)}`, value, choices, foreign))
  }
  return /** @type {T} */ (value)
}

/**
 * An object whose fields are all known.
 * @param {string} field its own name; its fields are named behind it
 * @param {unknown} value
 * @param {readonly string[]} names
 * @param {string} [prefix] in front of the fields' names
 * @param {ForeignNames} [foreign] what other clients call them
 * @returns {Record<string, unknown>}
 */
function record(field, value, names, prefix = `${field}.`, foreign = undefined) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(field, `must be an object, not ${describe(value)}`)
  }
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) throw invalid(`${prefix}${name}`, withHint('unknown option', name, names, foreign))
  }
  return /** @type {Record<string, unknown>} */ (value)
}

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {AbortSignal | undefined}
 */
function optionalSignal(field, value) {
  if (value === undefined) return undefined
  const signal = /** @type {AbortSignal | null} */ (value)
  if (typeof signal !== 'object' || signal === null || typeof signal.aborted !== 'boolean') {
    throw invalid(field, `must be an AbortSignal, not ${describe(value)}`)
  }
  if (typeof signal.addEventListener !== 'function') throw invalid(field, 'must be an AbortSignal, not an object')
  return signal
}

const RESOURCE = /^[%|a-zA-Z0-9_-]+$/
const MAX_TOPIC = 127
const MAX_GROUP = 120
/** Topics of the broker itself: clients may not write them. */
const FORBIDDEN_TOPICS = new Set([
  'SCHEDULE_TOPIC_XXXX',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
])

/**
 * @param {string} field
 * @param {unknown} value
 * @param {number} max
 */
function resource(field, value, max) {
  const name = text(field, value)
  if (name.length > max) throw invalid(field, `must have at most ${max} characters, not ${name.length}`)
  if (!RESOURCE.test(name)) throw invalid(field, 'may hold letters, digits, %, |, _ and - only')
  return name
}

/** The topic that was found good last: most programs send to one. */
let goodTopic = ''

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
function topic(field, value) {
  if (value === goodTopic && goodTopic !== '') return goodTopic
  const name = resource(field, value, MAX_TOPIC)
  if (FORBIDDEN_TOPICS.has(name)) throw invalid(field, `${name} belongs to the broker itself`)
  goodTopic = name
  return name
}

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
function group(field, value) {
  const name = resource(field, value, MAX_GROUP)
  if (name === 'DEFAULT_PRODUCER' || name === 'DEFAULT_CONSUMER') throw invalid(field, `${name} is nobody's own group`)
  return name
}

/** @param {unknown} value that is no body */
function bodyHint(value) {
  if (isAnyArrayBuffer(value)) return ': wrap it in a Uint8Array'
  const { type, data } = /** @type {{ type?: unknown, data?: unknown }} */ (value ?? {})
  return type === 'Buffer' && Array.isArray(data) ? ': Buffer.from(body) makes a body of what JSON made of one' : ''
}

/**
 * The bytes of a body; a view is not copied.
 * @param {string} field
 * @param {unknown} value
 * @param {number} max in bytes
 * @returns {Buffer}
 */
function body(field, value, max) {
  let bytes
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw invalid(field, 'must be well-formed Unicode, without lone surrogates')
    bytes = Buffer.from(value)
  } else if (isUint8Array(value)) {
    bytes = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  } else {
    const hint = bodyHint(value)
    throw invalid(field, `must be a string or a Uint8Array, not ${describe(value)}${hint}`)
  }
  if (bytes.length === 0) throw invalid(field, 'must not be empty')
  if (bytes.length > max) throw invalid(field, `has ${bytes.length} bytes, more than maxMessageBytes (${max})`)
  return bytes
}

module.exports = {
  MAX_INTEGER,
  MAX_GROUP,
  body,
  describe,
  group,
  integer,
  oneOf,
  optionalSignal,
  optionalBoolean,
  optionalPem,
  optionalText,
  pem,
  quoted,
  record,
  resource,
  text,
  topic,
  withHint,
}
