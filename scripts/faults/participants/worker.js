'use strict'
// A worker thread with a producer and a consumer, in the middle of its work when it tells so: its main thread ends it as its `fate` says.

const { parentPort, workerData } = require('node:worker_threads')
const { setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer } = require('../../..')

const { nameServer, group, topic, name, fate } = workerData
/** Handled before it is time to end. */
const ENOUGH = 5

const common = { nameServer, requestTimeoutMs: 20_000, startTimeoutMs: 60_000 }
const producer = new Producer({ ...common, groupId: `${group}-P`, topics: [topic] })
const consumer = new PushConsumer({ ...common, groupId: group, initialPosition: 'first' })
let handled = 0
let isReady = false

/** Says once that it is in the middle of things. */
function ready() {
  if (isReady) return
  isReady = true
  parentPort.postMessage('ready')
}

const handlers = {
  closed: async () => {
    await delay(Math.random() * 2)
    ready()
  },
  // The handler of a thread that is terminated never ends.
  handling: async () => {
    ready()
    await delay(60_000)
  },
  spinning: () => {
    ready()
    for (;;);
  },
  exiting: async () => {
    await null
    process.exit(0)
  },
}

consumer.subscribe(topic, (message) => {
  if (++handled >= ENOUGH) return handlers[fate]?.(message)
  if (fate === 'sending') return
  return delay(Math.random() * 2)
})

/** Un-awaited: much is under way whenever the thread ends. */
function send(count) {
  for (let i = 0; i < count; i++) {
    producer.sendOrderly({ topic, body: 'x' }, `${name}-${i % 16}`).catch(() => {})
  }
}

async function main() {
  for (const client of [producer, consumer]) client.on('warning', () => {}) // a busy broker's refusals are no news here
  if (fate === 'starting') ready()
  await Promise.all([producer.start(), consumer.start()])
  parentPort.on('message', async () => {
    await Promise.all([producer.close(), consumer.close()])
    process.exit(0)
  })
  while (handled < ENOUGH) {
    send(16)
    await delay(100)
  }
  if (fate !== 'sending') return
  send(200)
  ready()
}
main()
