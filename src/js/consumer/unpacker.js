'use strict'
// Messages out of the memory that native has packed them into (`binding/packing.rs`). Each text that a user can keep is its own; of small
// messages, bodies and what is not looked at yet are parts of some KiB that those of a chunk share.

const { markAsUntransferable } = require('node:worker_threads')
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

/** Numbers of all messages together: whether their texts are ASCII, where these end, and where the bodies begin. */
const COMMON = 3
const [IS_ASCII, TEXTS_END, BODIES] = [0, 1, 2]
/** Numbers of one message, and where they are. */
const FIELDS = 28
const [OFFSET, ATTEMPT, BORN, STORED] = [0, 1, 2, 3]
/** Where each text begins; the next number is where it ends. Ids are in two parts. */
const [
  TOPIC,
  TAGS,
  KEYS,
  SHARDING_KEY,
  ID,
  ID_TAIL,
  OFFSET_ID,
  OFFSET_ID_TAIL,
  BORN_HOST,
  STORE_HOST,
  PROPERTIES,
  BODY,
] = [4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26]
/** Where texts begin. */
const HEAD = 8 * (COMMON + 64 * FIELDS)

/** What most chunks need: 32 messages of 3 KiB. */
const SCRATCH_BYTES = 112 * 1024
/** Small bodies of a chunk are in one memory, at most of this size, as those that `Buffer.from()` makes: one each costs a microsecond. */
const SHARED_BODIES = 8 * 1024
/** Texts of a chunk that are made in one go, at most. */
const SHARED_TEXTS = 16 * 1024
/** V8 copies what is cut out of a text up to this length; what is longer would hold all of it. */
const COPIED = 12

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
    const taken = this.#packed(door, index)
    if (taken === null) return null
    const [generation, count] = taken
    let left = taken[2]
    /** @type {ReceivedMessage[]} */
    const messages = new Array(count)
    // A handler may change its message; the gate goes by what was packed.
    /** @type {number[]} */
    const offsets = new Array(count)
    this.#unpack(queue, messages, offsets, 0, count)
    // What did not fit into the memory.
    while (left > 0) {
      const more = this.#packed(door, index, generation)
      if (more === null) break // Given up meanwhile: the gate refuses the rest of it, too.
      this.#unpack(queue, messages, offsets, messages.length, more[1])
      left = more[2]
    }
    this.#shrink()
    return { generation, messages, offsets }
  }

  /**
   * @param {ConsumerDoor} door
   * @param {number} index
   * @param {number} [generation] only more of this one
   */
  #packed(door, index, generation) {
    let taken = native.consumerChunk(door, index, this.#scratch, generation)
    while (taken !== null && taken.length === 1) {
      this.#grow(taken[0])
      taken = native.consumerChunk(door, index, this.#scratch, generation)
    }
    return taken
  }

  /**
   * @param {MessageQueue} queue
   * @param {ReceivedMessage[]} messages
   * @param {number[]} offsets
   * @param {number} from
   * @param {number} count
   */
  #unpack(queue, messages, offsets, from, count) {
    const [texts, bodies] = [new Texts(this.#scratch, this.#fields), new Bodies(this.#scratch, this.#fields)]
    for (let i = 0; i < count; i++) {
      messages[from + i] = this.#message(i, queue, texts, bodies)
      offsets[from + i] = messages[from + i].queueOffset
    }
  }

  /**
   * The one message in the scratch memory.
   * @param {MessageQueue} queue
   */
  single(queue) {
    const [texts, bodies] = [new Texts(this.#scratch, this.#fields), new Bodies(this.#scratch, this.#fields)]
    const message = this.#message(0, queue, texts, bodies)
    this.#shrink()
    return message
  }

  /**
   * @param {number} i
   * @param {MessageQueue} queue
   * @param {Texts} texts
   * @param {Bodies} bodies
   */
  #message(i, queue, texts, bodies) {
    const fields = this.#fields
    const at = COMMON + i * FIELDS
    return new ReceivedMessage(
      queue,
      fields[at + OFFSET],
      fields[at + ATTEMPT],
      texts.topic.at(at + TOPIC),
      fields[at + TAGS] < 0 ? undefined : texts.tags.at(at + TAGS),
      texts.optional(at + KEYS),
      texts.optional(at + SHARDING_KEY),
      texts.id.at(at + ID) + texts.text(at + ID_TAIL),
      texts.offsetId.at(at + OFFSET_ID) + texts.text(at + OFFSET_ID_TAIL),
      fields[at + BORN],
      fields[at + STORED],
      texts.bornHost.at(at + BORN_HOST),
      texts.storeHost.at(at + STORE_HOST),
      texts.raw(at + PROPERTIES),
      bodies.at(at + BODY),
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

/**
 * A part of a text, taken out when it is needed.
 * @typedef {{ text: string, from: number, to: number }} Part
 */

/** The texts of a chunk, by where their places are among the fields. */
class Texts {
  topic = new Repeated(this)
  tags = new Repeated(this)
  id = new Repeated(this)
  offsetId = new Repeated(this)
  bornHost = new Repeated(this)
  storeHost = new Repeated(this)
  /** @type {Buffer & Slicing} */
  #scratch
  #fields
  #isAscii
  /** All of them, where they are few and ASCII. */
  #all = ''

  /**
   * @param {Buffer} scratch
   * @param {Float64Array} fields
   */
  constructor(scratch, fields) {
    this.#scratch = /** @type {Buffer & Slicing} */ (scratch)
    this.#fields = fields
    this.#isAscii = fields[IS_ASCII] === 1
    const end = fields[TEXTS_END]
    if (this.#isAscii && end - HEAD <= SHARED_TEXTS) this.#all = this.#scratch.latin1Slice(HEAD, end)
  }

  /** @param {number} field */
  from(field) {
    return this.#fields[field]
  }

  /**
   * In memory of its own.
   * @param {number} field
   * @returns {string}
   */
  text(field) {
    const [from, to] = [this.#fields[field], this.#fields[field + 1]]
    if (to - from <= COPIED && this.#all !== '') return this.#all.substring(from - HEAD, to - HEAD)
    return this.#isAscii ? this.#scratch.latin1Slice(from, to) : this.#scratch.utf8Slice(from, to)
  }

  /** @param {number} field */
  optional(field) {
    return this.from(field) < 0 ? undefined : this.text(field)
  }

  /**
   * A text that hardly anybody looks at.
   * @param {number} field
   * @returns {Part}
   */
  raw(field) {
    if (this.#all !== '') {
      return { text: this.#all, from: this.#fields[field] - HEAD, to: this.#fields[field + 1] - HEAD }
    }
    const text = this.text(field)
    return { text, from: 0, to: text.length }
  }
}

/** The bodies of a chunk. */
class Bodies {
  #scratch
  #fields
  #first
  /** @type {Buffer | null} */
  #shared = null

  /**
   * @param {Buffer} scratch
   * @param {Float64Array} fields
   */
  constructor(scratch, fields) {
    this.#scratch = scratch
    this.#fields = fields
    this.#first = fields[BODIES]
    if (scratch.length - this.#first <= SHARED_BODIES) this.#shared = shared(scratch, this.#first)
  }

  /** @param {number} field */
  at(field) {
    const [from, to] = [this.#fields[field], this.#fields[field + 1]]
    if (this.#shared !== null) return this.#shared.subarray(from - this.#first, to - this.#first)
    return copy(this.#scratch, from, to)
  }
}

/**
 * @param {Buffer} scratch
 * @param {number} from
 * @param {number} to
 */
function copy(scratch, from, to) {
  const own = Buffer.allocUnsafeSlow(to - from)
  scratch.copy(own, 0, from, to)
  return own
}

/**
 * A copy for several bodies: whoever hands one to another thread must not take the others along.
 * @param {Buffer} scratch
 * @param {number} from
 */
function shared(scratch, from) {
  const bodies = copy(scratch, from, scratch.length)
  markAsUntransferable(bodies.buffer)
  return bodies
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
