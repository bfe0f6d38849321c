'use strict'
// Messages out of the memory that native has packed them into (`binding/packing.rs`): everything of a message is its own, so that what
// a user keeps of it holds nothing else.

const native = require('../addon.js')
const { ReceivedMessage } = require('../message.js')

/**
 * @typedef {import('../native-surface').ConsumerDoor} ConsumerDoor
 * @typedef {import('../native-surface').ConsumerSaid} ConsumerSaid
 * @typedef {import('../../../index').MessageQueue} MessageQueue
 */

/**
 * Methods of every Buffer that its types leave out: a text of their own, in a third of the time of `toString`.
 * @typedef {{ latin1Slice(from: number, to: number): string, utf8Slice(from: number, to: number): string }} Slicing
 */

/** Numbers of one message, and where they are. */
const FIELDS = 25
const [OFFSET, ATTEMPT, BORN, STORED, IS_ASCII] = [0, 1, 2, 3, 4]
/** Where each text begins; the next number is where it ends. */
const [TOPIC, TAGS, KEYS, SHARDING_KEY, ID, OFFSET_ID, BORN_HOST, STORE_HOST, PROPERTIES, BODY] = [
  5, 7, 9, 11, 13, 15, 17, 19, 21, 23,
]

/** What most chunks need: 32 messages of 3 KiB. */
const SCRATCH_BYTES = 112 * 1024

class Unpacker {
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  #fields = new Float64Array(this.#scratch.buffer)

  /**
   * What native says next. Of a message that is said it is in the scratch memory.
   * @param {ConsumerDoor} door
   * @returns {ConsumerSaid | null}
   */
  take(door) {
    let said = native.consumerTake(door, this.#scratch)
    while (said !== null && said[0] === 5) {
      this.#grow(said[1])
      said = native.consumerTake(door, this.#scratch)
    }
    return said
  }

  /**
   * The next messages of a queue, none when there are no more.
   * @param {ConsumerDoor} door
   * @param {number} index of the queue in native
   * @param {MessageQueue} queue
   */
  chunk(door, index, queue) {
    let taken = native.consumerChunk(door, index, this.#scratch)
    while (taken !== null && taken.length === 1) {
      this.#grow(taken[0])
      taken = native.consumerChunk(door, index, this.#scratch)
    }
    if (taken === null) return null
    const [generation, count] = taken
    const messages = new Array(count)
    // A handler may change its message; the gate goes by what was packed.
    const offsets = new Array(count)
    const texts = new Texts(this.#scratch, this.#fields)
    for (let i = 0; i < count; i++) {
      messages[i] = this.#message(i, queue, texts)
      offsets[i] = messages[i].queueOffset
    }
    this.#shrink()
    return { generation, messages, offsets }
  }

  /**
   * The one message in the scratch memory.
   * @param {MessageQueue} queue
   */
  single(queue) {
    const message = this.#message(0, queue, new Texts(this.#scratch, this.#fields))
    this.#shrink()
    return message
  }

  /**
   * @param {number} i
   * @param {MessageQueue} queue
   * @param {Texts} texts
   */
  #message(i, queue, texts) {
    const fields = this.#fields
    const at = i * FIELDS
    texts.isAscii = fields[at + IS_ASCII] === 1
    return new ReceivedMessage(
      queue,
      fields[at + OFFSET],
      fields[at + ATTEMPT],
      texts.topic.at(at + TOPIC),
      texts.optional(at + TAGS),
      texts.optional(at + KEYS),
      texts.optional(at + SHARDING_KEY),
      texts.text(at + ID),
      texts.text(at + OFFSET_ID),
      fields[at + BORN],
      fields[at + STORED],
      texts.bornHost.at(at + BORN_HOST),
      texts.storeHost.at(at + STORE_HOST),
      texts.text(at + PROPERTIES),
      this.#body(fields[at + BODY], fields[at + BODY + 1]),
    )
  }

  /**
   * In memory of its own, as users who look at `body.buffer`, clone or keep it expect.
   * @param {number} from
   * @param {number} to
   */
  #body(from, to) {
    const body = Buffer.allocUnsafeSlow(to - from)
    this.#scratch.copy(body, 0, from, to)
    return body
  }

  /** @param {number} size */
  #grow(size) {
    this.#scratch = Buffer.allocUnsafeSlow(Math.ceil(size / 8) * 8)
    this.#fields = new Float64Array(this.#scratch.buffer)
  }

  /** One large message is no reason to keep as much memory for ever. */
  #shrink() {
    if (this.#scratch.length > SCRATCH_BYTES) this.#grow(SCRATCH_BYTES)
  }
}

/** The texts of a chunk, by where their places are among the fields. */
class Texts {
  isAscii = true
  topic = new Repeated(this)
  bornHost = new Repeated(this)
  storeHost = new Repeated(this)
  /** @type {Buffer & Slicing} */
  #scratch
  #fields

  /**
   * @param {Buffer} scratch
   * @param {Float64Array} fields
   */
  constructor(scratch, fields) {
    this.#scratch = /** @type {Buffer & Slicing} */ (scratch)
    this.#fields = fields
  }

  /** @param {number} field */
  from(field) {
    return this.#fields[field]
  }

  /**
   * @param {number} field
   * @returns {string}
   */
  text(field) {
    const [from, to] = [this.#fields[field], this.#fields[field + 1]]
    return this.isAscii ? this.#scratch.latin1Slice(from, to) : this.#scratch.utf8Slice(from, to)
  }

  /** @param {number} field */
  optional(field) {
    return this.from(field) < 0 ? null : this.text(field)
  }
}

/** A text that is the same from message to message, at the same place: it is made once. */
class Repeated {
  #texts
  #text = ''
  #from = -1

  /** @param {Texts} texts */
  constructor(texts) {
    this.#texts = texts
  }

  /** @param {number} field */
  at(field) {
    const from = this.#texts.from(field)
    if (from !== this.#from) {
      this.#text = this.#texts.text(field)
      this.#from = from
    }
    return this.#text
  }
}

module.exports = { Unpacker }
