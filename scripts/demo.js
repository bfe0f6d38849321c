'use strict'
// npm run demo: keyed messages sent without awaiting each other, handled in order by async handlers.
// On the test broker of this package; with ROCKETMQ_NAMESRV=host:port on the broker you have, with --real on a RocketMQ 5.5.0
// that it starts (needs Java and Maven).

const { EventEmitter, once } = require('node:events')
const { setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer } = require('..')
const { TestBroker } = require('../testing')
const { Admin } = require('./rocketmq/admin')
const { Cluster, MissingToolError } = require('./rocketmq/cluster')

const ORDERS = Array.from({ length: 6 }, (_, i) => `order-${i + 1}`)
const STEPS = ['created', 'paid', 'packed', 'shipped', 'delivered']
const QUEUES = 4
const TIMEOUT_MS = 60_000

const run = `${Date.now().toString(36)}-${process.pid}`
const topic = `demo-${run}`

/** Sends every step of every order, one step of all orders after the other, and waits for the results only at the end. */
async function send(nameServer) {
  const producer = await new Producer({ groupId: `GID-demo-producer-${run}`, nameServer, topics: [topic] }).start()
  try {
    const messages = STEPS.flatMap((step) => ORDERS.map((order) => ({ order, step })))
    const results = await Promise.all(
      messages.map(({ order, step }) => producer.sendOrderly({ topic, body: step, keys: order }, order)),
    )
    const { sent, requests } = producer.stats()
    console.log(`\nsent ${sent} messages in ${requests} requests:`)
    for (const order of ORDERS) {
      const stored = results.filter((_, i) => messages[i].order === order)
      const places = stored.map(({ queueOffset }, i) => `${STEPS[i]} @${queueOffset}`)
      console.log(`  ${order}  queue ${stored[0].queue.queueId}  ${places.join(', ')}`)
    }
  } finally {
    await producer.close()
  }
}

/** Handles everything, each message in its own time; resolves with the steps by order, as the handlers ended. */
async function consume(nameServer) {
  const handled = new Map(ORDERS.map((order) => [order, []]))
  const progress = new EventEmitter()
  let left = ORDERS.length * STEPS.length
  const running = new Set()
  let most = 0
  let overlaps = 0
  const consumer = new PushConsumer({ groupId: `GID-demo-consumer-${run}`, nameServer, initialPosition: 'first' })
  consumer.subscribe(topic, async (message) => {
    if (running.has(message.queue.queueId)) overlaps++
    running.add(message.queue.queueId)
    most = Math.max(most, running.size)
    await delay(Math.random() * 20)
    running.delete(message.queue.queueId)
    console.log(`  queue ${message.queue.queueId} @${message.queueOffset}  ${message.keys[0]}  ${message.text()}`)
    handled.get(message.keys[0]).push(message.text())
    if (--left === 0) progress.emit('done')
  })
  const done = once(progress, 'done', { signal: AbortSignal.timeout(TIMEOUT_MS) })
  try {
    console.log('\nhandled:')
    await Promise.all([consumer.start(), done])
  } finally {
    await consumer.close()
  }
  if (overlaps > 0) throw new Error(`two handlers of one queue ran at once, ${overlaps} times`)
  console.log(`\nup to ${most} handlers ran at once, never two of one queue`)
  return handled
}

async function demo(nameServer) {
  const admin = new Admin(nameServer)
  try {
    await admin.createTopic(topic, { queues: QUEUES })
  } finally {
    await admin.close()
  }
  await send(nameServer)
  const handled = await consume(nameServer)
  for (const [order, steps] of handled) {
    if (steps.join() !== STEPS.join()) throw new Error(`${order} was handled out of order: ${steps.join(', ')}`)
  }
  console.log(`every order went ${STEPS.join(' → ')}`)
}

async function main() {
  const { ROCKETMQ_NAMESRV } = process.env
  if (ROCKETMQ_NAMESRV) return demo(ROCKETMQ_NAMESRV)
  if (!process.argv.includes('--real')) {
    const broker = await TestBroker.start()
    try {
      console.log(`a test broker in this process, at ${broker.nameServer}`)
      await demo(broker.nameServer)
    } finally {
      await broker.close()
    }
    return
  }
  console.log('starting RocketMQ 5.5.0 (the first time, its artifacts come from Maven Central)')
  const cluster = await Cluster.start({ version: '5.5.0' })
  try {
    console.log(`RocketMQ ${cluster.version} at ${cluster.nameServer}`)
    await demo(cluster.nameServer)
  } finally {
    await cluster.stop()
  }
}

main().catch((error) => {
  console.error(error instanceof MissingToolError ? error.message : error)
  process.exitCode = 1
})
