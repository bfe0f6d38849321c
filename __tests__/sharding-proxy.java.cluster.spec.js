'use strict'
const { Proxy } = require('../scripts/rocketmq/proxy')
const grpc = require('./support/grpc')
const { backend, startCluster, startProducer, uniqueTopic } = require('./support')
const { keys } = require('../scripts/vectors/sharding.json')

jest.setTimeout(600_000)

const QUEUES = { 'broker-a': 3, 'broker-b': 5 }
/** 4.x brokers have no types of topics, and the gRPC client sends to none without. */
const hasTypes = backend.major >= 5

let cluster
let topic
let proxy
beforeAll(async () => {
  cluster = await startCluster({ brokers: 2 })
  topic = uniqueTopic()
  const attributes = hasTypes ? '+message.type=FIFO' : undefined
  for (const [broker, queues] of Object.entries(QUEUES)) {
    await cluster.admin.createTopic(topic, { queues, brokers: [broker], attributes })
  }
  proxy = await Proxy.start({ version: '5.5.0', nameServer: cluster.nameServer })
})
afterAll(() => proxy?.stop())

if (hasTypes) {
  test("1 000 keys go to the same of 8 queues as through a real proxy of 5.x, with shardingHash: 'proxy'", async () => {
    await grpc.produce({ proxy: proxy.address, topic, groups: keys })
    const stored = await cluster.admin.readBack(topic, { expected: keys.length })
    const theirs = new Map(stored.map(({ body, brokerName, queueId }) => [body.toString(), `${brokerName}/${queueId}`]))
    const client = await startProducer({ nameServer: cluster.nameServer, shardingHash: 'proxy' })
    const ours = await Promise.all(keys.map((key) => client.sendOrderly({ topic, body: 'x' }, key)))
    expect(ours.map(({ queue }, i) => [keys[i], `${queue.brokerName}/${queue.queueId}`])).toEqual(
      keys.map((key) => [key, theirs.get(key)]),
    )
  })
} else {
  test('through a proxy nobody sends to brokers of 4.x', async () => {
    const sending = grpc.produce({ proxy: proxy.address, topic, groups: keys.slice(0, 1) })
    await expect(sending).rejects.toThrow('Message type is not specified')
  })
}
