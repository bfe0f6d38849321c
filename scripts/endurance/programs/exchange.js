'use strict'
// One process sends and handles: in order, all of it, and in how much memory?
//   node exchange.js '{ "nameServer", "topic", "group", "messages", "keys", "bytes", "collects": true for a collection of garbage in every turn }'

const { monitorEventLoopDelay } = require('node:perf_hooks')
const { setImmediate: turn } = require('node:timers/promises')
const { Producer, PushConsumer } = require('../../..')
const { handles, Memory, newHandles, Turns } = require('../process-figures')

const { nameServer, topic, group, messages, keys, bytes, collects } = JSON.parse(process.argv[2])
/** Sends of one turn. */
const BURST = 32
const SAMPLES = 100

/** What has come, by key: numbers rise by one. */
class Arrivals {
  count = 0
  repeated = 0
  outOfOrder = 0
  #next = new Map()

  add(key, number) {
    const next = this.#next.get(key) ?? 0
    if (number < next) return void this.repeated++
    if (number > next) this.outOfOrder++
    this.#next.set(key, number + 1)
    this.count++
  }
}

async function send(producer) {
  const filler = '.'.repeat(bytes)
  let failed = 0
  for (let i = 0; i < messages; i++) {
    const key = i % keys
    const body = `${key}:${Math.floor(i / keys)}:${filler}`
    producer.sendOrderly({ topic, body }, `key-${key}`).catch(() => failed++)
    if (i % BURST !== BURST - 1) continue
    await producer.ready()
    await turn()
  }
  await producer.flush()
  return failed
}

async function main() {
  const arrivals = new Arrivals()
  const memory = new Memory()
  let done
  const everything = new Promise((resolve) => (done = resolve))
  const every = Math.ceil(messages / SAMPLES)
  // What waits while a broker stands still is JavaScript's memory, too.
  const options = { topics: [topic], requestTimeoutMs: 20_000, maxPendingMessages: 8_192 }
  const producer = new Producer({ groupId: `${group}-P`, nameServer, ...options })
  const consumer = new PushConsumer({ groupId: group, nameServer, initialPosition: 'first', concurrency: 20 })
  consumer.subscribe(topic, async (message) => {
    const [key, number] = message.text().split(':', 2)
    // Every other handler ends in a turn of its own.
    if (number % 2) await null
    arrivals.add(key, Number(number))
    if (arrivals.count % every === 0) memory.sample()
    if (arrivals.count === messages) done()
  })
  for (const client of [producer, consumer]) client.on('warning', () => {}) // a busy broker's refusals are no news here
  await Promise.all([producer.start(), consumer.start()])
  const before = handles()
  let ends = false
  const collecting = (async () => {
    while (collects && !ends) {
      globalThis.gc()
      await turn()
    }
  })()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const turns = new Turns()
  const began = performance.now()
  const [failed] = await Promise.all([send(producer), everything])
  const seconds = (performance.now() - began) / 1_000
  ends = true
  delay.disable()
  await collecting
  const after = handles()
  const figures = {
    messages,
    perSecond: messages / seconds,
    failed,
    lost: messages - arrivals.count,
    repeated: arrivals.repeated,
    outOfOrder: arrivals.outOfOrder,
    ...memory.figures(),
    ...newHandles(before, after),
    delayP99: Math.max(0, delay.percentile(99) / 1e6 - 1),
    ...(await turns.stop()),
  }
  await Promise.all([producer.close(), consumer.close()])
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}
main()
