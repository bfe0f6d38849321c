'use strict'
const { PushConsumer } = require('..')
const java = require('./support/java')
const { backend, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

jest.setTimeout(600_000)

test('Java produces by sharding key and we consume in its order', async () => {
  const topic = await createTopic({ queues: 8 })
  const perKey = new Map()
  const client = clients.add(
    new PushConsumer({ groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first' }),
  )
  client.subscribe(topic, async (message) => {
    const [key, sequence] = message.text().split(':')
    perKey.set(key, [...(perKey.get(key) ?? []), Number(sequence)])
  })
  await client.start()
  await java.produce({ topic, count: 1_000, keys: 20 })
  await until(() => [...perKey.values()].flat().length >= 1_000)
  for (const [key, sequences] of perKey)
    expect([key, sequences]).toEqual([key, Array.from({ length: 50 }, (_, i) => i)])
})

test('we produce without awaiting and Java consumes in our order, batches included', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  const client = await startProducer()
  const sends = Array.from({ length: 2_000 }, (_, i) =>
    client.sendOrderly({ topic, body: `key-${i % 20}:${Math.floor(i / 20)}` }, `key-${i % 20}`),
  )
  const results = await Promise.all(sends)
  const messages = await java.consume({ group, topic, count: 2_000 })
  const perKey = new Map()
  for (const { body, shardingKey } of messages) {
    const [key, sequence] = body.split(':')
    expect(shardingKey).toBe(key)
    perKey.set(key, [...(perKey.get(key) ?? []), Number(sequence)])
  }
  for (const [key, sequences] of perKey)
    expect([key, sequences]).toEqual([key, Array.from({ length: 100 }, (_, i) => i)])
  expect(new Set(messages.map(({ msgId }) => msgId))).toEqual(new Set(results.map(({ msgId }) => msgId)))
})

test('1 000 keys go to the same queues as with the genuine Java selector', async () => {
  const topic = await createTopic({ queues: 7 })
  const client = await startProducer()
  const keys = Array.from(
    { length: 1_000 },
    (_, i) => [`order_${i}`, `订单-${i}`, 'polygenelubricants', `😀${i}`][i % 4],
  )
  const ours = await Promise.all(keys.map((key) => client.sendOrderly({ topic, body: 'x' }, key)))
  const theirs = await java.queuesOf({ topic, keys })
  expect(ours.map(({ queue }) => queue.queueId)).toEqual(theirs.map(({ queueId }) => queueId))
})

test('a Java member and ours share a group: queues divided, nothing doubled when the Java one leaves', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  const ours = []
  const client = clients.add(
    new PushConsumer({ groupId: group, nameServer: backend.nameServer, initialPosition: 'first' }),
  )
  client.subscribe(topic, (message) => void ours.push(message.text()))
  await client.start()
  const peer = await java.startConsumer({ group, topic, timeoutSec: 200 })
  await until(() => client.assignment().length === 4, { timeoutMs: 60_000, what: 'half of the queues' })
  const sender = await startProducer()
  await Promise.all(
    Array.from({ length: 400 }, (_, i) => sender.sendOrderly({ topic, body: String(i) }, `key-${i % 40}`)),
  )
  const theirs = () => peer.lines.filter(({ type }) => type === 'message').map(({ body }) => body)
  const all = () => new Set([...ours, ...theirs()])
  await until(() => all().size >= 400, { timeoutMs: 60_000, what: () => `all 400 messages; ${all().size} are there` })
  expect(ours.length).toBeGreaterThan(0)
  expect(theirs().length).toBeGreaterThan(0)
  expect(ours.length + theirs().length).toBe(400)
  peer.kill('SIGTERM')
  await until(() => client.assignment().length === 8, { timeoutMs: 60_000, what: 'all queues' })
})
