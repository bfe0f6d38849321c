'use strict'
// A producer or a consumer of this package, as scripts/faults/participant.js describes them.

const readline = require('node:readline')
const { setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer } = require('../../..')
const { now, standStill } = require('../../../__tests__/support/time')
const { peakRssMiB } = require('../../endurance/process-figures')
const { Random } = require('../random')
const { handlerOf, misbehave } = require('./handlers')

/** How often a producer sends a part of what is due. */
const TICK_MS = 10
/** So much of what it is to send may wait for its end; what is due beyond that is never sent. */
const MOST_SECONDS_WAITING = 2
const COLLECT_MS = 20
/** So many lines of a kind are told. */
const MOST_TOLD = 200

/** @type {import('../participant').Part} */
const part = JSON.parse(process.argv[2])
const { role, nameServer, topic, group, options = {}, rate = 0 } = part
const random = new Random(part.seed)
const told = {}
const say = (event, more = {}) => {
  told[event] = (told[event] ?? 0) + 1
  if (told[event] <= MOST_TOLD) process.stdout.write(`${JSON.stringify({ event, at: now(), ...more })}\n`)
}

/** Sends at its rate until it is told to stop; the sends are not awaited one by one. */
class Sender {
  #producer = new Producer({ groupId: `${group}-P`, nameServer, ...options })
  #sent = 0
  #stored = 0
  #failed = 0
  #isOver = false
  #ended

  get client() {
    return this.#producer
  }

  begin() {
    this.#ended = this.#load()
  }

  async #load() {
    const began = performance.now()
    let skipped = 0
    while (!this.#isOver) {
      await delay(TICK_MS)
      const due = Math.floor((rate * (performance.now() - began)) / 1_000) - skipped
      while (this.#sent < due) {
        if (this.#sent - this.#stored - this.#failed >= rate * MOST_SECONDS_WAITING) {
          skipped += due - this.#sent
          break
        }
        this.#send(this.#sent++)
      }
    }
  }

  #send(number) {
    const key = `key-${random.integer(0, part.keys)}`
    const text = `${key}:${number}:`
    this.#producer.sendOrderly({ topic, body: text.padEnd(part.bytes ?? 0, '.') }, key).then(
      () => this.#stored++,
      ({ code }) => {
        this.#failed++
        say('refused', { code })
      },
    )
  }

  /** Sends so many messages as one, each with a body and a property of so many bytes. */
  async send({ count = 1, bytes, propertyBytes = 0 }) {
    const properties = propertyBytes > 0 ? { p: 'p'.repeat(propertyBytes) } : undefined
    const message = { topic, body: Buffer.alloc(bytes, 'b'), properties }
    const sending =
      count === 1
        ? this.#producer.sendOrderly(message, 'key-0')
        : this.#producer.sendOrderlyBatch(
            Array.from({ length: count }, () => message),
            'key-0',
          )
    const code = await sending.then(
      () => 'stored',
      (error) => error.code,
    )
    say('sent', { code, requests: this.#producer.stats().requests })
  }

  /** Sends nothing more. */
  over() {
    this.#isOver = true
    return this.#ended
  }

  async stop() {
    await this.over()
    await this.#producer.flush()
    say('stopped', { sent: this.#sent, stored: this.#stored, failed: this.#failed, ...this.#producer.stats() })
  }
}

/** Handles what comes, each message for a moment. */
class Receiver {
  #consumer

  constructor() {
    const { batch, ...own } = options
    const consumer = new PushConsumer({ groupId: group, nameServer, initialPosition: 'first', ...own })
    this.#consumer = consumer
    const handle = handlerOf(part, random, say)
    if (batch) consumer.subscribeBatch(topic, ([first], context) => handle(first, context), batch)
    else consumer.subscribe(topic, handle)
    for (const event of ['lockLost', 'revoked', 'undecodable', 'offsetReset', 'suspended']) {
      consumer.on(event, (queue, what) => say(event, { queue, code: what?.code }))
    }
  }

  get client() {
    return this.#consumer
  }

  begin() {}

  over() {}

  async stop() {
    say('stopped')
  }
}

const actor = role === 'producer' ? new Sender() : new Receiver()
const { client } = actor
client.on('warning', ({ code, message }) => say('warning', { code, text: message }))
client.on('connected', (address, { server }) => say('connected', { address, server }))
client.on('routeChanged', (_, queues) => say('routeChanged', { queues: queues.length }))
client.on('disconnected', (address, { server }) => say('disconnected', { address, server }))

const COMMANDS = {
  stop: () => actor.stop(),
  send: (what) => actor.send(what),
  block({ ms }) {
    say('blocked')
    standStill(ms)
    say('unblocked')
  },
  misbehave,
  async close() {
    await actor.over()
    await client.close()
    say('closed', { told, peakRssMiB: peakRssMiB() })
    // And the process ends by itself.
    input.removeAllListeners('close')
    process.stdin.destroy()
  },
}

process.once('SIGTERM', () => void COMMANDS.close())

/** Garbage is collected all the time. */
async function collect() {
  for (;;) {
    globalThis.gc()
    await delay(COLLECT_MS, undefined, { ref: false })
  }
}
if (part.collects) void collect()

function fail(error) {
  say('failed', { text: String(error), code: error.code, ms: performance.now() - began })
  process.exit(1)
}

const input = readline.createInterface({ input: process.stdin })
input.on('line', (line) => {
  const { do: what, ...more } = JSON.parse(line)
  Promise.resolve(COMMANDS[what](more)).catch(fail)
})
// Whoever started this is gone, or it is done.
input.on('close', () => process.exit())
const began = performance.now()
client.start().then(() => {
  actor.begin()
  say('started', { clientId: client.clientId })
}, fail)
