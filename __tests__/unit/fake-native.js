'use strict'
// The native side as a script: it remembers what the facade asks, and a test answers as it likes.

const { setImmediate: turn } = require('node:timers/promises')

/** What a client does that no test has scripted: it answers in a later turn, with success. */
const answer = (client, slot, error, json) => setImmediate(() => void client.calls.answer(slot, error, json))

/** Until the facade has heard what was said. */
async function heard() {
  for (let i = 0; i < 5; i++) await turn()
}

/** What a client says, by names: it rings, and is asked for what there is. */
const saying = (client, own) => {
  const say = (...said) => {
    client.said.push(said)
    client.ring()
    return heard()
  }
  return {
    answer: (...answer) => say(0, ...answer),
    event: (json) => say(1, json),
    ...Object.fromEntries(own.map((name, i) => [name, (...args) => say(2 + i, ...args)])),
  }
}

class FakeClient {
  clientId = '127.0.0.1@fake'
  healthProblems = []
  counts = {}
  closes = []
  said = []

  constructor(config, settings) {
    this.config = config
    this.settings = settings
    this.constructor.last = this
    this.constructor.instances.push(this)
    this.constructor.failOnCreate?.()
  }

  /** Its door is itself. */
  start(slot, timeoutMs, { ring }) {
    this.startSlot = slot
    this.startTimeoutMs = timeoutMs
    this.ring = () => process.nextTick(ring) // in no call of the facade
    this.calls = saying(this, this.constructor.own)
    const { onStart } = this.constructor
    if (onStart) onStart(this, slot)
    else answer(this, slot, null, 'null')
    return this
  }

  close(slot, timeoutMs) {
    this.closes.push(timeoutMs)
    if (this.onClose) this.onClose(slot, timeoutMs)
    else answer(this, slot, null, 'null')
  }

  stats() {
    return JSON.stringify(this.counts)
  }

  health() {
    return JSON.stringify({ problems: this.healthProblems })
  }

  /** Reports an event. */
  event(event) {
    return this.calls.event(JSON.stringify(event))
  }
}

class NativeProducer extends FakeClient {
  static own = ['stored', 'failed', 'storedBatch', 'turn']
  static instances = []
  /** Every message and batch that was taken, in order. */
  taken = []
  aborted = []
  turns = 0
  hasRoom = true

  #admit(message) {
    this.failOnSend?.(message)
    this.taken.push(message)
  }

  send(slot, topic, key, body, tags, keys, properties, timeoutMs) {
    this.#admit({ slot, topic, key, body: body.toString(), tags, keys, properties, timeoutMs })
  }

  sendBatch(slot, topic, key, bodies, tags, keys, properties, timeoutMs) {
    const texts = bodies.map(String)
    this.#admit({ slot, topic, key, body: texts.join(), bodies: texts, tags, keys, properties, timeoutMs })
  }

  /** Numbers of sends go into the scratch memory; what has more than that has room for is said in slices. */
  take(scratch, isFirst) {
    const [said] = this.said
    if (said === undefined) return null
    if (said[0] === 3 && said[3] > 0 && !isFirst) return [6]
    if (said[0] !== 2 && said[0] !== 3) return this.said.shift()
    const [kind, slots, ...rest] = said
    const slice = slots.splice(0, scratch.length / 4)
    slice.forEach((slot, i) => scratch.writeUInt32LE(slot, 4 * i))
    if (kind === 3) {
      if (slots.length === 0) this.said.shift()
      return [kind, slice.length, ...rest]
    }
    const [ids, status, brokerName, queueId, offset] = rest
    if (slots.length === 0) this.said.shift()
    else said[6] += slice.length
    return [kind, slice.length, ids.splice(0, 2 * slice.length).join(), status, brokerName, queueId, offset]
  }

  ready(slot) {
    this.readySlot = slot
  }

  queues(slot, topic) {
    answer(this, slot, null, JSON.stringify([{ topic, brokerName: 'a', queueId: 0 }]))
  }

  /** The taken message with this body. */
  find(body) {
    return this.taken.find((message) => message.body === body)
  }

  /** Stores the message with this body. */
  store(body, offset = 0, status = 0) {
    this.calls.stored([this.find(body).slot], [`id-${body}`, `offset-id-${body}`], status, 'broker-a', 3, offset)
  }

  /** Fails the messages with these bodies; `number` is that of a failure that closes its key, `cause` of what has taken them along. */
  fail(bodies, error, number = 0, cause = 0) {
    const slots = [bodies].flat().map((body) => this.find(body).slot)
    this.calls.failed(slots, JSON.stringify(error), number, cause)
  }
}

/** Numbers of a packed message, and where texts begin; as `binding/packing.rs` has them. */
const COMMON = 3
const FIELDS = 28
const HEAD = 8 * (COMMON + 64 * FIELDS)

/** Packs messages, as many as there is room for; or tells what room one needs. */
function pack(messages, scratch) {
  let [count, end, bodies, isAscii] = [0, HEAD, scratch.length, true]
  const put = (content) => {
    if (content === null) return [-1, -1]
    const bytes = Buffer.from(content)
    bytes.copy(scratch, end)
    return [end, (end += bytes.length)]
  }
  const set = (at, numbers) => numbers.forEach((number, i) => scratch.writeDoubleLE(number, 8 * (at + i)))
  for (const { numbers, texts, body } of messages) {
    const size = 512 + body.length + texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ''), 0)
    if (end + size > bodies) return { count, size: HEAD + size }
    bodies = Math.floor((bodies - body.length) / 8) * 8
    body.copy(scratch, bodies)
    const places = [...texts.map(put), [bodies, bodies + body.length]].flat()
    set(COMMON + count * FIELDS, [...numbers, ...places])
    isAscii &&= texts.every((text) => !/[^\0-\x7f]/.test(text ?? ''))
    count++
    set(0, [Number(isAscii), end, bodies])
  }
  return { count, size: 0 }
}

class NativeConsumer extends FakeClient {
  static own = ['chunk', 'abort', 'deadLettered']
  static instances = []
  queueNames = [
    ['orders', 'broker-a', 0],
    ['orders', 'broker-a', 1],
    ['orders', 'broker-b', 0],
    ['payments', 'broker-a', 0],
  ]
  /** Acknowledgements, in order. */
  acks = []
  /** What `mayStart` says. */
  allows = () => true
  /** What `ack` says: by default, go on after a success and wait 1000 ms after a failure. */
  onAck = ({ outcome }) => (outcome === 0 || outcome === 3 ? 1 : 1000 << 1)
  states = []

  queue(index) {
    return this.queueNames[index]
  }

  /** What waits to be taken, by queue. */
  chunks = new Map()

  take(scratch) {
    const [said] = this.said
    if (said === undefined) return null
    if (said[0] === 4) {
      const { count, size } = pack([said[1]], scratch)
      if (count === 0) return [5, size]
      this.said.shift()
      return [4, said[2]]
    }
    return this.said.shift()
  }

  chunk(queue, scratch) {
    const waiting = this.chunks.get(queue)
    if (waiting === undefined) return null
    const [{ generation, messages }] = waiting
    const { count, size } = pack(messages, scratch)
    if (count === 0) return [size]
    messages.splice(0, count)
    if (messages.length === 0) waiting.shift()
    if (waiting.length === 0) this.chunks.delete(queue)
    return [generation, count]
  }

  mayStart(queue, generation, offset) {
    return this.allows(queue, generation, offset)
  }

  success(queue, generation, offset, next) {
    const goesOn = this.#acknowledge({ queue, generation, offset, outcome: 0, suspendMs: 0 }) & 1
    const starts = goesOn && next >= 0 && this.mayStart(queue, generation, next)
    return Number(starts) * 2 + goesOn
  }

  failure(queue, generation, offset, outcome, suspendMs, reason) {
    return this.#acknowledge({ queue, generation, offset, outcome, suspendMs, reason }) >> 1
  }

  #acknowledge(ack) {
    this.acks.push(ack)
    return this.onAck(ack)
  }

  /** What was paused last. */
  paused = undefined

  pause(everything, topics, queueTopics, brokerNames, queueIds) {
    const queues = queueTopics.map((topic, i) => ({ topic, brokerName: brokerNames[i], queueId: queueIds[i] }))
    this.paused = { everything, topics, queues }
  }

  /** Calls of `seek()`, each answered at once. */
  seeks = []

  seek(slot, topic, brokerName, queueId, to, value) {
    this.seeks.push({ topic, brokerName, queueId, to, value })
    answer(this, slot, null, 'null')
  }

  /** What `commit()` answers: the failures. */
  uncommitted = []

  commit(slot) {
    answer(this, slot, null, JSON.stringify(this.uncommitted))
  }

  assignment() {
    return JSON.stringify(this.states)
  }

  /** A message of a queue, as it is packed. */
  message(queue, offset, { attempt = 1, body = `m${offset}`, topic = this.queueNames[queue][0], ...rest } = {}) {
    const { tags = null, keys = null, shardingKey = null, properties = '' } = rest
    const ids = ['id-', `${queue}-${offset}`, 'offset-id-', String(offset)]
    return {
      numbers: [offset, attempt, 1_700_000_000_000, 1_700_000_000_001],
      texts: [topic, tags, keys, shardingKey, ...ids, '10.0.0.1:5000', '10.0.0.2:10911', properties],
      body: Buffer.from(body),
    }
  }

  /** Delivers messages of a queue at these offsets. */
  deliver(queue, generation, offsets, options) {
    const messages = offsets.map((offset) => this.message(queue, offset, options))
    const waiting = this.chunks.get(queue)
    if (waiting) waiting.push({ generation, messages })
    else {
      this.chunks.set(queue, [{ generation, messages }])
      this.calls.chunk(queue)
    }
  }
}

const RESERVED = ['TAGS', 'KEYS', 'WAIT', 'UNIQ_KEY', '__SHARDINGKEY', 'DELAY', 'CLUSTER', 'RETRY_TOPIC']

/** Forgets everything; call it before each test. */
function reset() {
  for (const kind of [NativeProducer, NativeConsumer]) {
    kind.last = undefined
    kind.instances = []
    kind.onStart = undefined
    kind.failOnCreate = undefined
  }
}

module.exports = {
  NativeConsumer,
  NativeProducer,
  consumerChunk: (door, ...rest) => door.chunk(...rest),
  consumerMayStart: (door, ...rest) => door.mayStart(...rest),
  consumerFailure: (door, ...rest) => door.failure(...rest),
  consumerSuccess:
    (door) =>
    (...rest) =>
      door.success(...rest),
  consumerTake: (door, scratch) => door.take(scratch),
  producerAbort: (door, slots) => door.aborted.push(slots),
  producerHasRoom: (door) => door.hasRoom,
  producerSend: (door, ...rest) => door.send(...rest),
  producerSendBatch: (door, ...rest) => door.sendBatch(...rest),
  producerTake: (door, scratch, isFirst) => door.take(scratch, isFirst),
  producerTurned: (door) => door.turns++,
  reservedProperties: () => RESERVED,
  reset,
}
