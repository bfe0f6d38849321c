'use strict'
// How often a consumer asks.

const { PushConsumer } = require('../..')
const { TestBroker } = require('../../testing')

test.each([
  [1, 1_600],
  [10, 320],
  [40, 80],
  [1_000, 50],
])('with prefetch.messages %d, 1 600 messages take about %d pulls, and each comes once', async (messages, most) => {
  const broker = await TestBroker.start({ topics: { orders: 1 } })
  for (let i = 0; i < 1_600; i++) await broker.publish({ topic: 'orders', body: String(i) }, 'key')
  const groupId = 'GID_pulls'
  const client = new PushConsumer({
    groupId,
    nameServer: broker.nameServer,
    initialPosition: 'first',
    prefetch: { messages },
  })
  const bodies = []
  client.subscribe('orders', (message) => void bodies.push(message.text()))
  await client.start()
  await broker.caughtUp(groupId, { timeoutMs: 60_000 })
  const pulls = broker.requests().filter(({ name, topic }) => name === 'PULL_MESSAGE' && topic === 'orders').length
  await client.close()
  await broker.close()
  expect(bodies).toEqual(Array.from({ length: 1_600 }, (_, i) => String(i)))
  // The last ones are looks for what comes next.
  expect(pulls).toBeLessThanOrEqual(most + 10)
})
