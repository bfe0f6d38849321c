'use strict'
// What may go wrong in a test broker: which requests a fault matches, and the one thing that it does.

const { isRegExp, isUint8Array } = require('node:util').types
const check = require('../check.js')
const { invalid } = require('../errors.js')
const { checkNumber } = require('./arguments.js')

const MATCH = ['request', 'clientId', 'topic', 'queueId', 'nth', 'times', 'probability']
const EFFECTS = [
  'delayMs',
  'stallMs',
  'answer',
  'drop',
  'disconnect',
  'cutAnswerAt',
  'blackhole',
  'disorder',
  'garbage',
]
const REQUESTS = /** @type {const} */ (['send', 'pull', 'lock', 'unlock', 'commit', 'heartbeat', 'route'])

/** @param {unknown} fault */
function checkFault(fault) {
  const given = check.record('fault', fault, [...MATCH, ...EFFECTS, 'remark'], 'fault.')
  const set = EFFECTS.filter((name) => given[name] !== undefined)
  const [effect] = set
  if (effect === undefined) throw invalid('fault', `must say what goes wrong: one of ${EFFECTS.join(', ')}`)
  if (set.length > 1) throw invalid('fault', `does one thing, not ${set.join(' and ')}; make a fault of each`)
  if (given.remark !== undefined && effect !== 'answer') throw invalid('fault.remark', 'belongs to an answer')
  return { ...checkMatch(given), ...checkEffect(effect, given) }
}

/** @param {Record<string, unknown>} given */
function checkMatch(given) {
  /** @type {<T>(name: string, checked: (field: string, value: unknown) => T) => T | undefined} */
  const optional = (name, checked) => (given[name] === undefined ? undefined : checked(`fault.${name}`, given[name]))
  const { clientId } = given
  return {
    request: optional('request', (field, value) =>
      typeof value === 'number' ? check.integer(field, value) : check.oneOf(field, value, REQUESTS),
    ),
    clientId: isRegExp(clientId) ? undefined : optional('clientId', check.text),
    clientPattern: isRegExp(clientId) ? [clientId.source, clientId.flags.replace(/[dgy]/g, '')] : undefined,
    topic: optional('topic', check.text),
    queueId: optional('queueId', (field, value) => check.integer(field, value, 0)),
    nth: optional('nth', (field, value) => check.integer(field, value)),
    times: optional('times', (field, value) => check.integer(field, value)),
    probability: optional('probability', (field, value) => checkNumber(field, value, 0, 1)),
  }
}

/** @param {string} effect @param {Record<string, unknown>} given */
function checkEffect(effect, given) {
  const field = `fault.${effect}`
  const value = given[effect]
  switch (effect) {
    case 'delayMs':
    case 'stallMs':
    case 'cutAnswerAt':
      return { [effect]: check.integer(field, value, 0) }
    case 'answer':
      return {
        answer: check.integer(field, value, 0),
        remark: given.remark === undefined ? undefined : check.text('fault.remark', given.remark),
      }
    case 'drop':
      return { drop: check.oneOf(field, value, ['answer', 'request']) }
    case 'disconnect':
      return { disconnect: check.oneOf(field, value, ['before', 'after']) }
    case 'garbage':
      if (!isUint8Array(value)) throw invalid(field, `must be a Uint8Array, not ${check.describe(value)}`)
      return { garbage: Buffer.from(value).toString('base64') }
    default:
      if (value !== true) throw invalid(field, `must be true, not ${check.describe(value)}`)
      return { [effect]: true }
  }
}

module.exports = { checkFault }
