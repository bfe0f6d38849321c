'use strict'
// Sends the steps of some orders, in order per order: node examples/producer.js
// ROCKETMQ_NAMESRV=host:port names the name server, ROCKETMQ_TOPIC an existing topic.

const assert = require('node:assert/strict')
const { Producer } = require('rocketmq-orderly')

const topic = process.env.ROCKETMQ_TOPIC ?? 'orders'

async function main() {
  const producer = new Producer({ groupId: 'GID_example_producer', topics: [topic] })
  await producer.start()
  try {
    const orders = ['order-1', 'order-2', 'order-3']
    const steps = ['created', 'paid', 'packed', 'shipped']
    const messages = steps.flatMap((step) => orders.map((order) => ({ order, step })))

    // No `await` inside: the order of the calls is the order in the queue, whatever happens on the way.
    const results = await Promise.all(
      messages.map(({ order, step }) => producer.sendOrderly({ topic, body: step, keys: order, tags: step }, order)),
    )

    for (const order of orders) {
      const stored = results.filter((_, i) => messages[i].order === order)
      const offsets = stored.map(({ queueOffset }) => queueOffset)
      console.log(`${order}: queue ${stored[0].queue.queueId}, offsets ${offsets.join(' < ')}`)
      assert(
        offsets.every((offset, i) => i === 0 || offset > offsets[i - 1]),
        'out of order',
      )
    }
    console.log(producer.stats())
  } finally {
    await producer.close()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
