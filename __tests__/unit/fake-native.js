'use strict'
// The native side as a script: it remembers what the facade asks, and a test answers as it likes.

/** What a client does that no test has scripted: it answers in a later turn, with success. */
const answer = (client, slot, error, json) => setImmediate(() => client.calls.answer(slot, error, json))

/** What a client says, by names. */
const saying = (say, own) => ({
  answer: (...answer) => say(0, ...answer),
  event: (json) => say(1, json),
  ...Object.fromEntries(own.map((name, i) => [name, (...args) => say(2 + i, ...args)])),
})

class FakeClient {
  clientId = '127.0.0.1@fake'
  healthProblems = []
  counts = {}
  closes = []

  constructor(config, settings) {
    this.config = config
    this.settings = settings
    this.constructor.last = this
    this.constructor.instances.push(this)
    this.constructor.failOnCreate?.()
  }

  start(slot, timeoutMs, calls, makeMessage) {
    this.startSlot = slot
    this.startTimeoutMs = timeoutMs
    this.calls = saying(calls.say, this.constructor.own)
    this.makeMessage = makeMessage
    const { onStart } = this.constructor
    if (onStart) onStart(this, slot)
    else answer(this, slot, null, 'null')
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
    this.calls.event(JSON.stringify(event))
  }
}

class NativeProducer extends FakeClient {
  static own = ['stored', 'failed', 'room']
  static instances = []
  /** Lanes that refuse. */
  full = new Set()
  /** Which lane a message belongs to. */
  laneOf = () => 0
  /** Lanes that have refused and are not drained: they take nothing but what is fed. */
  refused = new Set()
  /** Every message and batch that was taken, in order. */
  taken = []
  drainedLanes = []
  heardKeys = []
  aborted = []

  #admit(message) {
    const lane = this.laneOf(message)
    if (this.full.has(lane) || (this.refused.has(lane) && !message.feeding)) {
      this.refused.add(lane)
      return lane
    }
    this.failOnSend?.(message)
    this.taken.push(message)
    return -1
  }

  send(slot, topic, key, body, tags, keys, properties, timeoutMs, feeding) {
    return this.#admit({ slot, topic, key, body: body.toString(), tags, keys, properties, timeoutMs, feeding })
  }

  sendBatch(slot, topic, key, bodies, tags, keys, properties, timeoutMs, feeding) {
    const texts = bodies.map(String)
    return this.#admit({
      slot,
      topic,
      key,
      body: texts.join(),
      bodies: texts,
      tags,
      keys,
      properties,
      timeoutMs,
      feeding,
    })
  }

  drained(lane) {
    this.refused.delete(lane)
    this.drainedLanes.push(lane)
  }

  heard(topic, key) {
    this.heardKeys.push([topic, key])
  }

  abort(slot) {
    this.aborted.push(slot)
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

  /** Fails the message with this body. */
  fail(body, error, failedKey) {
    this.calls.failed(this.find(body).slot, JSON.stringify(error), failedKey)
  }
}

class NativeConsumer extends FakeClient {
  static own = ['deliver', 'abort', 'deadLettered']
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

  mayStart(queue, generation, offset) {
    return this.allows(queue, generation, offset)
  }

  ack(queue, generation, offset, outcome, suspendMs, reason) {
    const ack = { queue, generation, offset, outcome, suspendMs, reason }
    this.acks.push(ack)
    return this.onAck(ack)
  }

  assignment() {
    return JSON.stringify(this.states)
  }

  /** A message of a queue, made as native makes it. */
  message(queue, offset, { attempt = 1, body = `m${offset}`, topic = this.queueNames[queue][0], ...rest } = {}) {
    const { tags = null, keys = null, shardingKey = null, properties = '' } = rest
    return this.makeMessage(
      queue,
      offset,
      attempt,
      topic,
      tags,
      keys,
      shardingKey,
      `id-${queue}-${offset}`,
      `offset-id-${offset}`,
      1_700_000_000_000,
      1_700_000_000_001,
      '10.0.0.1:5000',
      '10.0.0.2:10911',
      properties,
      Buffer.from(body),
    )
  }

  /** Delivers messages of a queue at these offsets. */
  deliver(queue, generation, offsets, options) {
    const messages = offsets.map((offset) => this.message(queue, offset, options))
    this.calls.deliver(queue, generation, messages)
    return messages
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

module.exports = { NativeConsumer, NativeProducer, reservedProperties: () => RESERVED, reset }
