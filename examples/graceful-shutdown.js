'use strict'
// Ends on SIGTERM without losing or repeating anything: node examples/graceful-shutdown.js
// ROCKETMQ_NAMESRV=host:port names the name server, ROCKETMQ_TOPIC an existing topic.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer } = require('rocketmq-orderly')

const topic = process.env.ROCKETMQ_TOPIC ?? 'orders'
const run = `${process.pid}-${Date.now()}` // there may be other messages in the topic
const handlers = { begun: 0, ended: 0 }

async function main() {
  const consumer = new PushConsumer({ groupId: 'GID_example_shutdown', closeTimeoutMs: 15_000 })
  consumer.subscribe(topic, async (message, { signal }) => {
    if (message.properties.run !== run) return
    handlers.begun++
    // As a rolling update would, in the middle of our work. The signal fires only when close() runs out of time.
    process.kill(process.pid, 'SIGTERM')
    await delay(500, undefined, { signal })
    handlers.ended++
  })
  await consumer.start()
  const terminated = once(process, 'SIGTERM', { signal: AbortSignal.timeout(60_000) })

  const producer = await new Producer({ groupId: 'GID_example_producer' }).start()
  await producer.sendOrderly({ topic, body: 'work', properties: { run } }, 'order-1')
  await producer.close()

  await terminated
  console.log('SIGTERM: the running handler ends, its result is committed, the queues are given back')
  await consumer.close()

  console.log(`${handlers.begun} handler begun, ${handlers.ended} ended, the client is ${consumer.state}`)
  assert.deepEqual(handlers, { begun: 1, ended: 1 })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
