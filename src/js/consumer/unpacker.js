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
    const texts = new Texts(this.#scratch)
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
    const message = this.#message(0, queue, new Texts(this.#scratch))
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
    const bodyFrom = fields[at + BODY]
    // Memory of its own, as users who look at `body.buffer`, clone or keep it expect.
    const body = Buffer.allocUnsafeSlow(fields[at + BODY + 1] - bodyFrom)
    this.#scratch.copy(body, 0, bodyFrom, fields[at + BODY + 1])
    const key = fields[at + SHARDING_KEY]
    return new ReceivedMessage(
      queue,
      fields[at + OFFSET],
      fields[at + ATTEMPT],
      texts.topic(fields[at + TOPIC], fields[at + TOPIC + 1]),
      texts.optional(fields[at + TAGS], fields[at + TAGS + 1]),
      texts.optional(fields[at + KEYS], fields[at + KEYS + 1]),
      texts.optional(key, fields[at + SHARDING_KEY + 1]),
      texts.text(fields[at + ID], fields[at + ID + 1]),
      texts.text(fields[at + OFFSET_ID], fields[at + OFFSET_ID + 1]),
      fields[at + BORN],
      fields[at + STORED],
      texts.bornHost(fields[at + BORN_HOST], fields[at + BORN_HOST + 1]),
      texts.storeHost(fields[at + STORE_HOST], fields[at + STORE_HOST + 1]),
      texts.text(fields[at + PROPERTIES], fields[at + PROPERTIES + 1]),
      body,
    )
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

/** The texts of a chunk; those that are the same from message to message are made once. */
class Texts {
  isAscii = true
  /** @type {Buffer & Slicing} */
  #scratch
  #topic = ['', -1]
  #bornHost = ['', -1]
  #storeHost = ['', -1]

  /** @param {Buffer} scratch */
  constructor(scratch) {
    this.#scratch = /** @type {Buffer & Slicing} */ (scratch)
  }

  /**
   * @param {number} from
   * @param {number} to
   * @returns {string}
   */
  text(from, to) {
    return this.isAscii ? this.#scratch.latin1Slice(from, to) : this.#scratch.utf8Slice(from, to)
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  optional(from, to) {
    return from < 0 ? null : this.text(from, to)
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  topic(from, to) {
    return this.#same(this.#topic, from, to)
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  bornHost(from, to) {
    return this.#same(this.#bornHost, from, to)
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  storeHost(from, to) {
    return this.#same(this.#storeHost, from, to)
  }

  /**
   * @param {(string | number)[]} last
   * @param {number} from
   * @param {number} to
   * @returns {string}
   */
  #same(last, from, to) {
    if (last[1] !== from) {
      last[0] = this.text(from, to)
      last[1] = from
    }
    return /** @type {string} */ (last[0])
  }
}

module.exports = { Unpacker }
