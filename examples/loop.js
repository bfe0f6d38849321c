'use strict'
// A loop is the whole program; SIGTERM ends it behind the message that it is at work on: node examples/loop.js
// ROCKETMQ_NAMESRV=host:port names the name server, ROCKETMQ_TOPIC an existing topic.

const assert = require('node:assert/strict')
const { setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer } = require('rocketmq-orderly')

const topic = process.env.ROCKETMQ_TOPIC ?? 'orders'
const run = `${process.pid}-${Date.now()}` // there may be other messages in the topic
const steps = ['created', 'paid', 'packed', 'shipped']

/** What a program does with messages, until it is told to end. */
async function work(handle) {
  const consumer = new PushConsumer({ groupId: `GID_example_loop_${run}`, initialPosition: 'first' })
  const end = () => void consumer.close()
  process.once('SIGTERM', end)
  try {
    for await (const message of consumer.messages(topic)) {
      if (message.properties.run === run) await handle(message.text())
    }
  } finally {
    process.off('SIGTERM', end)
  }
  console.log(`the loop has ended, the client is ${consumer.state}`)
}

async function main() {
  const producer = await new Producer({ groupId: 'GID_example_producer' }).start()
  await Promise.all(steps.map((body) => producer.sendOrderly({ topic, body, properties: { run } }, 'order-1')))
  await producer.close()

  const done = []
  await work(async (step) => {
    // As a rolling update would, in the middle of our work.
    if (step === 'packed') process.kill(process.pid, 'SIGTERM')
    await delay(200)
    done.push(step)
  })
  assert.deepEqual(done, ['created', 'paid', 'packed'])

  // The next process: what was not committed comes again, which is the step in whose middle we were told to end.
  await work(async (step) => {
    done.push(step)
    if (step === 'shipped') setImmediate(() => process.kill(process.pid, 'SIGTERM'))
  })
  console.log(done.join(', '))
  assert.deepEqual(done, ['created', 'paid', 'packed', 'packed', 'shipped'])
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
