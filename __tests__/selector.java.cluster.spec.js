'use strict'
const java = require('./support/java')
const { startCluster, startProducer, uniqueTopic } = require('./support')

jest.setTimeout(600_000)

test('1 000 keys go to the same of 16 queues as with the genuine Java selector', async () => {
  const cluster = await startCluster({ brokers: 2 })
  const topic = uniqueTopic()
  await cluster.admin.createTopic(topic, { queues: 8 })
  const client = await startProducer({ nameServer: cluster.nameServer })
  expect((await client.queues(topic)).length).toBe(16)
  const keys = Array.from({ length: 1_000 }, (_, i) => [`order_${i}`, `订单-${i}`, `user:${i * 7919}`, `😀${i}`][i % 4])
  const ours = await Promise.all(keys.map((key) => client.sendOrderly({ topic, body: 'x' }, key)))
  const theirs = await java.queuesOf({ nameServer: cluster.nameServer, topic, keys })
  expect(ours.map(({ queue }, i) => [keys[i], queue.brokerName, queue.queueId])).toEqual(
    theirs.map(({ key, brokerName, queueId }) => [key, brokerName, queueId]),
  )
})
