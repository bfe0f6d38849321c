'use strict'
const { PushConsumer } = require('..')
const java = require('./support/java')
const { admin, backend, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

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

test('a Java member with another filter is told of by its own word, and ours gets what it subscribes of its queues', async () => {
  const topic = await createTopic({ queues: 2 })
  const [group, ours, warnings] = [uniqueGroup(), [], []]
  const options = { groupId: group, nameServer: backend.nameServer, initialPosition: 'first' }
  const client = clients.add(new PushConsumer(options))
  client.subscribe(topic, (message) => void ours.push(message.text()), 'paid')
  client.on('warning', (warning) => warnings.push(warning))
  await client.start()
  const peer = await java.startConsumer({ group, topic, timeoutSec: 200 })
  const { clientId } = peer.lines.find(({ type }) => type === 'started')
  await until(() => warnings.length > 0, { timeoutMs: 90_000, what: 'a warning' })
  expect(warnings.map(({ code }) => code)).toEqual(['ERR_ROCKETMQ_FILTER'])
  for (const part of [`member ${clientId} `, "with '*'", "with 'paid'"]) expect(warnings[0].message).toContain(part)
  const mine = await until(() => {
    const running = client.assignment().filter(({ state }) => state === 'running')
    return running.length === 1 && running[0]
  })
  const theirs = { ...mine, queueId: 1 - mine.queueId }
  for (const tag of ['created', 'paid']) {
    for (const queue of [mine, theirs])
      await admin.send(topic, queue, `${tag} ${queue === mine ? 'ours' : 'theirs'}`, { properties: { TAGS: tag } })
  }
  const atJava = () => peer.lines.filter(({ type }) => type === 'message').map(({ body }) => body)
  // Java pulls by what the broker keeps, its own as long as it has announced it last; ours brings its own.
  await until(() => ours.length === 1 && atJava().length === 2, {
    timeoutMs: 60_000,
    what: () => `${ours}; ${atJava()}`,
  })
  expect([ours, atJava()]).toEqual([['paid ours'], ['created theirs', 'paid theirs']])
  peer.kill('SIGTERM')
  await until(() => client.health().ok, { timeoutMs: 90_000, what: 'health' })
  expect(warnings).toHaveLength(1)
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
