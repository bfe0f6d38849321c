// Sends and handles typed orders: npx tsc --project examples && node target/examples/typescript.js
// ROCKETMQ_NAMESRV=host:port names the name server, ROCKETMQ_TOPIC an existing topic.

import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { Producer, PushConsumer, RocketMQError, deadLetter, type ConsumeOutcome } from 'rocketmq-orderly'

interface Order {
  id: string
  step: number
}

const topic = process.env.ROCKETMQ_TOPIC ?? 'orders'
const run = `${process.pid}-${Date.now()}` // there may be other messages in the topic

async function main(): Promise<void> {
  const seen: Order[] = []
  const progress = new EventEmitter()
  await using producer = new Producer({ groupId: 'GID_example_producer', sendTimeoutMs: 10_000 })
  await using consumer = new PushConsumer({ groupId: 'GID_example_typescript' })
  consumer.subscribe(topic, async (message): Promise<ConsumeOutcome | void> => {
    if (message.properties['run'] !== run) return
    const order = message.json<Order>()
    if (!order.id) return deadLetter('an order without id')
    seen.push(order)
    if (seen.length === 5) progress.emit('done')
  })
  await Promise.all([producer.start(), consumer.start()])

  const done = once(progress, 'done', { signal: AbortSignal.timeout(60_000) })
  const orders = Array.from({ length: 5 }, (_, step): Order => ({ id: 'order-1', step }))
  const send = (order: Order) =>
    producer.sendOrderly({ topic, body: JSON.stringify(order), properties: { run } }, order.id)
  const results = await Promise.all(orders.map(send))
  console.log(results.map(({ msgId, queueOffset }) => `${queueOffset}: ${msgId}`).join('\n'))
  await done
  assert.deepEqual(seen, orders)
  console.log(seen)
}

main().catch((error: unknown) => {
  console.error(error instanceof RocketMQError ? `${error.code} (${error.outcome}): ${error.message}` : error)
  process.exitCode = 1
})
