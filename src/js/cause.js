'use strict'
// Why something failed, which may be anything: what was thrown by a handler, or given to `deadLetter()`.

const { inspect, types } = require('node:util')

/**
 * Also one of another realm, as of Jest's sandbox.
 * @param {unknown} value
 * @returns {value is Error & { code?: unknown, errors?: unknown }}
 */
function isError(value) {
  try {
    return types.isNativeError(value) || value instanceof Error
  } catch {
    return false // a revoked proxy
  }
}

const MAX_TEXT = 500
/** Fields whose texts say what is wrong. Others may hold secrets, as whole requests do: of them the names are told. */
const TELLING = ['name', 'code', 'message', 'reason', 'status']

/**
 * An object that is no error, in short.
 * @param {object} object
 */
function outline(object) {
  if (Array.isArray(object)) return inspect(object, { depth: -1 })
  const fields = Object.entries(object).map(([name, value]) => {
    const told =
      typeof value === 'number' || typeof value === 'boolean' || (typeof value === 'string' && TELLING.includes(name))
    return told ? `${name}: ${inspect(value)}` : name
  })
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}

/**
 * As a short text.
 * @param {unknown} cause
 * @returns {string | undefined} undefined where there is none
 */
function textOf(cause) {
  if (cause === undefined) return undefined
  try {
    const text = typeof cause === 'object' && cause !== null && !isError(cause) ? outline(cause) : String(cause)
    return text.slice(0, MAX_TEXT).toWellFormed()
  } catch {
    return 'a value that has no text'
  }
}

/**
 * As fields of a log record: `err` is an error or absent, anything else is the text `reason`.
 * @param {unknown} cause
 * @returns {{ err?: Error, reason?: string }}
 */
function logged(cause) {
  if (cause === undefined) return {}
  return isError(cause) ? { err: cause } : { reason: /** @type {string} */ (textOf(cause)) }
}

/** Chains of causes that are longer tell nothing new, or go round. */
const MAX_DEPTH = 8

/**
 * As what JSON can hold. Of an error: its name, text and code, and its own causes; no more, as some errors carry whole requests with their
 * secrets. Never throws.
 * @param {unknown} cause
 * @param {number} [depth]
 * @returns {unknown}
 */
function jsonOf(cause, depth = 0) {
  try {
    if (isError(cause)) return depth < MAX_DEPTH ? jsonOfError(cause, depth) : textOf(cause)
    const json = JSON.stringify(cause)
    return json === undefined ? textOf(cause) : JSON.parse(json)
  } catch {
    return textOf(cause) // a circle, a bigint
  }
}

/**
 * @param {Error & { code?: unknown, errors?: unknown }} error
 * @param {number} depth
 */
function jsonOfError({ name, message, code, errors, cause }, depth) {
  return {
    name: String(name),
    message: String(message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(Array.isArray(errors) ? { errors: errors.map((each) => jsonOf(each, depth + 1)) } : {}),
    ...(cause === undefined ? {} : { cause: jsonOf(cause, depth + 1) }),
  }
}

/**
 * An object with its cause, if there is one: as it was thrown, and in JSON as what JSON can hold of it.
 * @template {object} T
 * @param {T} object
 * @param {unknown} cause
 * @returns {T & { cause?: unknown }}
 */
function withCause(object, cause) {
  if (cause === undefined) return object
  // Not enumerable: nobody sees it, and a structured clone has nothing to do with it.
  const toJSON = () => ({ ...object, cause: jsonOf(cause) })
  return Object.defineProperty({ ...object, cause }, 'toJSON', { value: toJSON })
}

module.exports = { isError, jsonOf, logged, textOf, withCause }
