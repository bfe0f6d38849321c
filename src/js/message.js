'use strict'
// Messages on both ways: `flatten` makes of a user's message what native takes; `ReceivedMessage` is what a handler gets.

const { inspect } = require('node:util')
const check = require('./check.js')
const { invalid } = require('./errors.js')
const foreign = require('./foreign-names.js')
const native = require('./addon.js')
const { tagProblem } = require('./tags.js')

/**
 * @typedef {import('../../index').Body} Body
 * @typedef {import('../../index').MessageInit} MessageInit
 * @typedef {import('../../index').MessageQueue} MessageQueue
 */

class Message {
  /**
   * @param {string} topic
   * @param {Body} [body]
   */
  constructor(topic, body) {
    // Others take the tag between the two: dropping the last one would send the tag.
    if (arguments.length > 2) throw invalid('Message', 'takes a topic and a body; setTags() sets the tag')
    this.topic = topic
    this.body = /** @type {Body} */ (body)
    /** @type {string | undefined} */
    this.tags = undefined
    /** @type {string | readonly string[] | undefined} */
    this.keys = undefined
    /** @type {Record<string, string> | undefined} */
    this.properties = undefined
  }

  /** @param {string} tags */
  setTags(tags) {
    this.tags = tags
    return this
  }

  /** @param {string | readonly string[]} keys */
  setKeys(keys) {
    this.keys = keys
    return this
  }

  /** @param {Body} body */
  setBody(body) {
    this.body = body
    return this
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  setProperty(name, value) {
    // Without prototype, so that no name is special.
    this.properties ??= /** @type {Record<string, string>} */ (Object.create(null))
    this.properties[name] = value
    return this
  }
}

/** @type {Set<string> | undefined} */
let reserved

/** The property names with a meaning of their own, asked for once. */
function reservedProperties() {
  reserved ??= new Set(native.reservedProperties())
  return reserved
}

/** Timers of 5.x: every name that begins so has a meaning of its own. */
const TIMER_PREFIX = 'TIMER_'

/** @param {string} name of a property */
function isReserved(name) {
  return reservedProperties().has(name) || name.startsWith(TIMER_PREFIX)
}

/** What separates properties on the wire. */
// eslint-disable-next-line no-control-regex -- these are the separators
const SEPARATOR = /[\x01\x02]/

/**
 * A text that travels as a property's value.
 * @param {string} field
 * @param {unknown} value
 */
function propertyText(field, value) {
  const text = check.text(field, value)
  if (text.trim() === '') throw invalid(field, 'must not be blank')
  if (SEPARATOR.test(text)) throw invalid(field, 'must not hold \\x01 or \\x02')
  return text
}

/**
 * Whether a message was received, or is the copy of one.
 * @param {object} message
 */
function isReceived(message) {
  return message instanceof ReceivedMessage || ('msgId' in message && 'queueOffset' in message)
}

/**
 * A tag that an expression can name. A received message is forwarded as it is: it is stored already, and who subscribes '*' gets it.
 * @param {string} field
 * @param {unknown} value
 * @param {object} message whose tag it is
 */
function tagText(field, value, message) {
  const text = propertyText(field, value)
  const problem = isReceived(message) ? undefined : tagProblem(text)
  if (problem !== undefined) throw invalid(field, `no subscription could name this tag: it ${problem}`)
  return text
}

/**
 * @param {unknown} key
 * @returns {string}
 */
function shardingKey(key) {
  const text = check.text('shardingKey', key)
  if (SEPARATOR.test(text)) throw invalid('shardingKey', 'must not hold \\x01 or \\x02')
  return text
}

/** @param {string} joined keys as they travel */
function splitKeys(joined) {
  return joined.split(' ').filter((key) => key !== '')
}

/**
 * Keys as they travel: joined by spaces.
 * @param {string} field
 * @param {unknown} value
 * @returns {string | undefined}
 */
function joinedKeys(field, value) {
  if (value === undefined) return undefined
  if (typeof value === 'string') return splitKeys(propertyText(field, value)).join(' ')
  if (!Array.isArray(value))
    throw invalid(field, `must be a string or an array of strings, not ${check.describe(value)}`)
  value.forEach((key, i) => {
    if (propertyText(`${field}[${i}]`, key).includes(' ')) throw invalid(`${field}[${i}]`, 'must not hold a space')
  })
  return value.length === 0 ? undefined : value.join(' ')
}

/**
 * Properties as native takes them: name, value, name, value, …
 * @param {string} field
 * @param {unknown} value
 * @returns {string[] | undefined}
 */
function flatProperties(field, value) {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(field, `must be an object, not ${check.describe(value)}`)
  }
  /** @type {string[]} */
  const flat = []
  for (const [name, entry] of Object.entries(value)) {
    propertyText(`${field}: the name of a property`, name)
    if (isReserved(name)) throw invalid(`${field}.${name}`, 'is a name of RocketMQ’s own')
    flat.push(name, propertyText(`${field}.${name}`, entry))
  }
  return flat.length === 0 ? undefined : flat
}

/** Largest encoded properties, in bytes, before brokers add theirs. */
const MAX_PROPERTIES = 32_000

/**
 * @param {string} field
 * @param {(string | undefined)[]} texts
 */
function checkPropertiesSize(field, texts) {
  let units = 0
  for (const text of texts) units += (text?.length ?? 0) + 1
  // A UTF-16 unit is at most three bytes of UTF-8: most messages need no exact count.
  if (units * 3 <= MAX_PROPERTIES) return
  let bytes = 0
  for (const text of texts) bytes += text === undefined ? 0 : Buffer.byteLength(text) + 1
  if (bytes > MAX_PROPERTIES) throw invalid(field, `tags, keys and properties have more than ${MAX_PROPERTIES} bytes`)
}

/**
 * A message, checked and taken apart: how it crosses into native.
 * @typedef {object} FlatMessage
 * @property {string} topic
 * @property {Buffer} body
 * @property {string | undefined} tags
 * @property {string | undefined} keys
 * @property {string[] | undefined} properties
 */

/**
 * A copy of a message, for observers: they may write its properties.
 * @param {FlatMessage} flat
 */
function copyOf({ topic, body, tags, keys, properties }) {
  /** @type {Record<string, string>} */
  const own = Object.create(null)
  for (let i = 0; properties !== undefined && i < properties.length; i += 2) own[properties[i]] = properties[i + 1]
  return { topic, body, tags, keys: keys === undefined ? undefined : splitKeys(keys), properties: own }
}

/**
 * The message with other properties.
 * @param {FlatMessage} flat
 * @param {unknown} properties
 * @returns {FlatMessage}
 */
function withProperties(flat, properties) {
  const { tags, keys } = flat
  const written = flatProperties('message.properties', properties)
  checkPropertiesSize('message', [tags, keys, ...(written ?? [])])
  return { ...flat, properties: written }
}

/** What may be said of a message to send. */
const FIELDS = ['topic', 'body', 'tags', 'keys', 'properties']
/** What a message that was received has beside: its copy may be sent as it is. */
const RECEIVED_FIELDS = [
  'systemProperties',
  'msgId',
  'offsetMsgId',
  'queue',
  'queueOffset',
  'shardingKey',
  'reconsumeTimes',
  'bornTimestamp',
  'storeTimestamp',
  'bornHost',
  'storeHost',
]

/**
 * Refuses what would not be sent: of fields of its own that can be enumerated, a message has known ones only.
 * @param {string} field
 * @param {object} message
 */
function checkFields(field, message) {
  for (const name in message) {
    switch (name) {
      case 'topic':
      case 'body':
      case 'tags':
      case 'keys':
      case 'properties':
        continue
      default:
        if (Object.hasOwn(message, name)) checkOtherField(field, message, name)
    }
  }
}

/**
 * @param {string} field
 * @param {object} message
 * @param {string} name
 */
function checkOtherField(field, message, name) {
  if (isReceived(message) && RECEIVED_FIELDS.includes(name)) return
  throw invalid(`${field}.${name}`, check.withHint('unknown field', name, FIELDS, foreign.MESSAGE_FIELDS))
}

/**
 * @param {string} field what the message is called in errors
 * @param {unknown} message
 * @param {number} maxMessageBytes
 * @returns {FlatMessage}
 */
function flatten(field, message, maxMessageBytes) {
  if (typeof message !== 'object' || message === null) {
    throw invalid(field, `must be an object, not ${check.describe(message)}`)
  }
  checkFields(field, message)
  const given = /** @type {Record<keyof MessageInit, unknown>} */ (message)
  const flat = {
    topic: check.topic(`${field}.topic`, given.topic),
    body: check.body(`${field}.body`, given.body, maxMessageBytes),
    tags: given.tags === undefined ? undefined : tagText(`${field}.tags`, given.tags, message),
    keys: joinedKeys(`${field}.keys`, given.keys),
    properties: flatProperties(`${field}.properties`, given.properties),
  }
  checkPropertiesSize(`${field}.properties`, [flat.tags, flat.keys, ...(flat.properties ?? [])])
  return flat
}

/**
 * Properties as they are stored, taken apart; a segment without name or value is no property, the last of equal names wins.
 * @param {string} raw `name \x01 value \x02`, repeated
 */
function parseProperties(raw) {
  /** @type {Record<string, string>} */
  const own = Object.create(null)
  /** @type {Record<string, string>} */
  const system = Object.create(null)
  for (const segment of raw.split('\x02')) {
    const separator = segment.indexOf('\x01')
    if (separator < 1 || separator === segment.length - 1) continue
    const name = segment.slice(0, separator)
    const target = isReserved(name) ? system : own
    target[name] = segment.slice(separator + 1)
  }
  return { own, system }
}

/**
 * A part of a text in memory of its own: V8's substrings hold all of what they were cut out of, and what is shared is ASCII.
 * @param {import('./consumer/unpacker').Part} part
 */
function partOf({ text, from, to }) {
  const isWhole = from === 0 && to === text.length
  return isWhole ? text : Buffer.from(text.slice(from, to), 'latin1').toString('latin1')
}

/** @type {readonly string[]} */
const NO_KEYS = Object.freeze([])

/**
 * @template T
 * @param {(object: T) => unknown} get
 * @returns {PropertyDescriptor & ThisType<T>}
 */
function ownGetter(get) {
  return {
    enumerable: true,
    get() {
      return get(this)
    },
  }
}

/** A message as a handler gets it. Made positionally: that is several times cheaper than any object made by native. */
class ReceivedMessage {
  /** Until somebody looks. @type {import('./consumer/unpacker').Part | undefined} */
  #raw
  /** @type {ReturnType<typeof parseProperties> | undefined} */
  #parsed

  /**
   * @param {MessageQueue} queue
   * @param {number} offset
   * @param {number} attempt
   * @param {string} topic
   * @param {string | undefined} tags
   * @param {string | undefined} keys
   * @param {string | undefined} key
   * @param {string} msgId
   * @param {string} offsetMsgId
   * @param {number} bornTimestamp
   * @param {number} storeTimestamp
   * @param {string} bornHost
   * @param {string} storeHost
   * @param {import('./consumer/unpacker').Part} properties
   * @param {Buffer} body
   */
  constructor(
    queue,
    offset,
    attempt,
    topic,
    tags,
    keys,
    key,
    msgId,
    offsetMsgId,
    bornTimestamp,
    storeTimestamp,
    bornHost,
    storeHost,
    properties,
    body,
  ) {
    this.topic = topic
    this.tags = tags
    this.keys = keys ? splitKeys(keys) : NO_KEYS
    this.body = body
    Object.defineProperty(this, 'properties', ReceivedMessage.#own)
    Object.defineProperty(this, 'systemProperties', ReceivedMessage.#system)
    this.msgId = msgId
    this.offsetMsgId = offsetMsgId
    this.queue = queue
    this.queueOffset = offset
    this.shardingKey = key
    this.reconsumeTimes = attempt - 1
    this.bornTimestamp = bornTimestamp
    this.storeTimestamp = storeTimestamp
    this.bornHost = bornHost
    this.storeHost = storeHost
    this.#raw = properties
  }

  // Own, as the other fields: spread, JSON and structured clones have them. Few handlers read them, and to take them apart for each
  // message costs more than four times as much as these two (0.5 µs).
  static #own = ownGetter((/** @type {ReceivedMessage} */ message) => message.#properties().own)
  static #system = ownGetter((/** @type {ReceivedMessage} */ message) => message.#properties().system)

  #properties() {
    if (this.#raw !== undefined) {
      this.#parsed = parseProperties(partOf(this.#raw))
      this.#raw = undefined
    }
    return /** @type {ReturnType<typeof parseProperties>} */ (this.#parsed)
  }

  /**
   * As if all its fields were data.
   * @param {number} depth
   * @param {import('node:util').InspectOptions} options
   */
  [inspect.custom](depth, options) {
    return depth < 0 ? '[ReceivedMessage]' : `ReceivedMessage ${inspect({ ...this }, options)}`
  }

  text() {
    return this.body.toString('utf8')
  }

  /** @returns {any} */
  json() {
    return JSON.parse(this.text())
  }
}

module.exports = { Message, ReceivedMessage, copyOf, flatten, parseProperties, shardingKey, withProperties }
