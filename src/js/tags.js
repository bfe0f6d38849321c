'use strict'
// What a tag may be, and what an expression of tags may say. Both sides agree: what a send lets through, an expression can name, and what
// an expression names can have been sent. Brokers know `||` and the lone `*`, trim, and take all else for the text of one tag: what looks
// like more would match nothing, and whatever is stored would be passed over for good.

/** Most tags: nothing in them can be mistaken. */
const PLAIN = /^[A-Za-z0-9_.:-]+$/
/** White space, and what Java's trim() takes for it. */
const OUTER_SPACE = /^[\s\0-\x20]|[\s\0-\x20]$/
// eslint-disable-next-line no-control-regex -- they are what is looked for
const CONTROL = /[\0-\x1f\x7f]/
const SEPARATORS = /[|,;]|&&/
/** Between two words: `OR` alone is a tag like any other. */
const WORDS = /\S\s+(?:or|and)\s+\S/i
const NEGATION = /^!|^not\s+\S/i
const CONDITION =
  /\s(?:=|<>|!=|<=?|>=?)\s|\sis\s+(?:not\s+)?null\b|\sbetween\s.+\sand\s|\s(?:in\s*\(|like\s*['"])|^tags\s*[=<>!]/i
const QUOTED = /^['"`‘“]/
const BRACKETS = /[()[\]{}]/g

/** Where people separate tags, in whatever language they think of. */
const MEANT_AS_OR = /\|+|[,;]|&&|\s+(?:or|and)\s+/i
const QUOTES_AND_BRACKETS = /^['"`‘“([{\s]+|['"`’”)\]}\s]+$/g

/** Of an expression, in a text. */
const MOST_SHOWN = 200

/** @param {string} text */
function shown(text) {
  const short = JSON.stringify(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text)
  return /['"]/.test(text) ? short : `'${short.slice(1, -1)}'`
}

/** @param {string} text */
function hasOpenBrackets(text) {
  /** @type {Record<string, string>} */
  const closing = { '(': ')', '[': ']', '{': '}' }
  const expected = []
  for (const [bracket] of text.matchAll(BRACKETS)) {
    if (closing[bracket] !== undefined) expected.push(closing[bracket])
    else if (expected.pop() !== bracket) return true
  }
  return expected.length > 0
}

/**
 * Why no expression can name this tag; undefined of a good one.
 * @param {string} tag not empty
 * @returns {string | undefined}
 */
function tagProblem(tag) {
  if (PLAIN.test(tag)) return undefined
  if (OUTER_SPACE.test(tag)) return 'begins or ends with white space, which expressions trim away'
  if (CONTROL.test(tag)) return 'holds a line break or another control character'
  if (tag.includes('*')) return "holds '*': there are no wildcards, and '*' alone means every message"
  if (CONDITION.test(tag)) return 'reads like a condition of SQL92'
  if (SEPARATORS.test(tag)) return "holds a separator: one of '|', ',', ';' and '&&'"
  if (WORDS.test(tag)) return "holds 'OR' or 'AND' between words"
  if (NEGATION.test(tag)) return 'reads like a negation'
  if (QUOTED.test(tag)) return 'begins with a quotation mark'
  if (hasOpenBrackets(tag)) return 'holds a bracket without its counterpart'
  return undefined
}

/** The text between two `||` as brokers read it. @param {string} part */
function trimmed(part) {
  return part.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '')
}

/** What may have been meant: an expression without a problem, or nothing. @param {string} expression */
function meant(expression) {
  const tags = expression.split(MEANT_AS_OR).map((tag) => tag.replace(QUOTES_AND_BRACKETS, ''))
  const named = [...new Set(tags)].filter((tag) => tag !== '')
  if (named.includes('*')) return '*'
  return named.length > 0 && named.every((tag) => tagProblem(tag) === undefined) ? named.join(' || ') : undefined
}

/** @param {string} expression */
function problemOf(expression) {
  const parts = expression.split('||').map(trimmed)
  if (parts.every((part) => part === '')) return 'names no tag: it would match nothing'
  if (OUTER_SPACE.test(expression)) return 'begins or ends with white space'
  for (const part of parts) {
    if (part === '') return "has nothing on one side of a '||'"
    if (part === '*') return "names '*', which means every message, beside a tag"
    const problem = tagProblem(part)
    if (problem) return `would match nothing: the tag ${shown(part)} ${problem}`
  }
  return undefined
}

/**
 * Why an expression of tags cannot mean what it says, with what may have been meant; undefined of a good one.
 * @param {string} expression
 * @returns {string | undefined}
 */
function expressionProblem(expression) {
  if (expression === '*' || PLAIN.test(expression)) return undefined
  const problem = problemOf(expression)
  if (problem === undefined) return undefined
  if (CONDITION.test(expression)) return `${problem}; did you mean { sql92: ${shown(expression)} }?`
  const better = meant(expression)
  return better === undefined
    ? `${problem}; tags are compared whole, and several are separated by '||'`
    : `${problem}; did you mean ${shown(better)}?`
}

module.exports = { expressionProblem, tagProblem }
