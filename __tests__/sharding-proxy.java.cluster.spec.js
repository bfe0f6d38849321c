'use strict'
const { Proxy } = require('../scripts/rocketmq/proxy')
const grpc = require('./support/grpc')
const { backend, clients, startCluster, startProducer, uniqueTopic } = require('./support')
const { keys } = require('../scripts/vectors/sharding.json')

jest.setTimeout(600_000)

test("1 000 keys go to the same of 8 queues as through a real proxy of 5.x, with shardingHash: 'proxy'", async () => {
  const cluster = await startCluster({ brokers: 2 })
  const topic = uniqueTopic()
  const attributes = backend.major >= 5 ? '+message.type=FIFO' : undefined
  for (const [broker, queues] of [
    ['broker-a', 3],
    ['broker-b', 5],
  ]) {
    await cluster.admin.createTopic(topic, { queues, brokers: [broker], attributes })
  }
  const proxy = await Proxy.start({ version: '5.5.0', nameServer: cluster.nameServer })
  clients.add({ close: () => proxy.stop() })
  await grpc.produce({ proxy: proxy.address, topic, groups: keys })
  const stored = await cluster.admin.readBack(topic, { expected: keys.length })
  const theirs = new Map(stored.map(({ body, brokerName, queueId }) => [body.toString(), `${brokerName}/${queueId}`]))
  const client = await startProducer({ nameServer: cluster.nameServer, shardingHash: 'proxy' })
  const ours = await Promise.all(keys.map((key) => client.sendOrderly({ topic, body: 'x' }, key)))
  expect(ours.map(({ queue }, i) => [keys[i], `${queue.brokerName}/${queue.queueId}`])).toEqual(
    keys.map((key) => [key, theirs.get(key)]),
  )
})
