'use strict'
// Handles messages in order, one of which fails at first: node examples/consumer.js
// ROCKETMQ_NAMESRV=host:port names the name server, ROCKETMQ_TOPIC an existing topic.

const assert = require('node:assert/strict')
const { EventEmitter, once } = require('node:events')
const { setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer } = require('rocketmq-orderly')

const topic = process.env.ROCKETMQ_TOPIC ?? 'orders'
const run = `${process.pid}-${Date.now()}` // there may be other messages in the topic
const steps = ['created', 'paid', 'packed', 'shipped']

async function main() {
  const producer = new Producer({ groupId: 'GID_example_producer' })
  const consumer = new PushConsumer({ groupId: 'GID_example_consumer', concurrency: 8, suspendMs: 100 })
  const seen = []
  const progress = new EventEmitter()
  consumer.subscribe(topic, async (message, { attempt }) => {
    if (message.properties.run !== run) return
    await delay(5) // the next message of the queue waits for us
    if (message.text() === 'paid' && attempt === 1) throw new Error('the bank does not answer')
    console.log(`${message.shardingKey} ${message.text()}, attempt ${attempt}`)
    seen.push(message)
    if (seen.length === 3 * steps.length) progress.emit('done')
  })
  consumer.on('suspended', ({ shardingKey }, { delayMs, cause }) => {
    console.log(`${shardingKey} waits ${delayMs} ms: ${cause.message}`)
  })
  try {
    await Promise.all([consumer.start(), producer.start()])
    const done = once(progress, 'done', { signal: AbortSignal.timeout(60_000) })
    for (const order of ['order-1', 'order-2', 'order-3']) {
      const sends = steps.map((body) => producer.sendOrderly({ topic, body, properties: { run } }, order))
      await Promise.all(sends)
    }
    await done
    for (const order of ['order-1', 'order-2', 'order-3']) {
      const handled = seen.filter(({ shardingKey }) => shardingKey === order).map((message) => message.text())
      assert.deepEqual(handled, steps)
    }
  } finally {
    await Promise.all([producer.close(), consumer.close()])
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
