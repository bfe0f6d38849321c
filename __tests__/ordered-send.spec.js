'use strict'
const { SendStatus } = require('..')
const { admin, backend, createTopic, startProducer } = require('./support')

jest.setTimeout(240_000)

/** Stored messages by sharding key, in stored order; fails when a key lies in more than one queue. */
function byKey(stored) {
  const keys = new Map()
  for (const message of stored) {
    const found = keys.get(message.shardingKey) ?? {
      queueId: message.queueId,
      brokerName: message.brokerName,
      bodies: [],
    }
    expect([message.shardingKey, message.brokerName, message.queueId]).toEqual([
      message.shardingKey,
      found.brokerName,
      found.queueId,
    ])
    found.bodies.push(message.body.toString())
    keys.set(message.shardingKey, found)
  }
  return keys
}

/** What is stored, each message once: a request whose answer is late is sent again, and only such a one may be stored twice. */
function onceEach(stored, client) {
  const ids = new Set()
  const first = stored.filter(({ msgId }) => !ids.has(msgId) && ids.add(msgId))
  if (client.stats().retries === 0) expect(stored).toHaveLength(first.length)
  return first
}

describe.each(['queue', 'key', 'off'])(
  '10 000 messages over 64 keys on 8 queues, sent without awaiting each other, batching %s',
  (batching) => {
    test('stored order per key equals call order, offsets in the results are true, nothing is lost or doubled', async () => {
      const topic = await createTopic({ queues: 8 })
      const client = await startProducer({ batching, topics: [topic] })
      const count = 10_000
      const calls = Array.from({ length: count }, (_, i) => ({
        key: `order-${i % 64}`,
        body: `${i % 64}:${Math.floor(i / 64)}`,
      }))
      const results = await Promise.all(calls.map(({ key, body }) => client.sendOrderly({ topic, body }, key)))

      const stored = await admin.readBack(topic, { expected: count })
      const once = onceEach(stored, client)
      expect(once).toHaveLength(count)
      const at = new Map(
        stored.map((message) => [`${message.brokerName}/${message.queueId}/${message.queueOffset}`, message]),
      )
      results.forEach((result, i) => {
        const message = at.get(`${result.queue.brokerName}/${result.queue.queueId}/${result.queueOffset}`)
        expect([message?.body.toString(), message?.msgId, result.status]).toEqual([
          calls[i].body,
          result.msgId,
          SendStatus.OK,
        ])
      })
      for (const [key, { bodies }] of byKey(once)) {
        const number = key.slice('order-'.length)
        expect(bodies).toEqual(calls.filter((call) => call.key === key).map((_, i) => `${number}:${i}`))
      }
      const { requests, retries, pendingMessages, sent, failed } = client.stats()
      expect({ pendingMessages, sent, failed }).toEqual({ pendingMessages: 0, sent: count, failed: 0 })
      // How many wait for one request depends on the machine.
      if (batching === 'queue') expect(requests).toBeLessThan(count / 2)
      if (batching === 'off') expect(requests - retries).toBe(count)
    })
  },
)

test('a topic with one queue is globally ordered, whatever the keys', async () => {
  const topic = await createTopic({ queues: 1 })
  const client = await startProducer()
  const bodies = Array.from({ length: 2_000 }, (_, i) => String(i))
  await Promise.all(bodies.map((body, i) => client.sendOrderly({ topic, body }, `key-${i % 7}`)))
  const stored = await admin.readBack(topic, { expected: bodies.length })
  expect(onceEach(stored, client).map((message) => message.body.toString())).toEqual(bodies)
})

test('close() right behind un-awaited sends: each has its own result by then', async () => {
  const topic = await createTopic({ queues: 8 })
  const client = await startProducer({ topics: [topic] })
  const sends = Array.from({ length: 20_000 }, (_, i) => client.sendOrderly({ topic, body: 'x' }, `key-${i % 64}`))
  let settled = 0
  const results = Promise.allSettled(sends.map((send) => send.finally(() => settled++)))
  await client.close({ timeoutMs: 120_000 })
  await null
  expect(settled).toBe(sends.length)
  expect((await results).filter(({ status }) => status !== 'fulfilled')).toEqual([])
})

test('past the mark sends wait in call order, and ready() tells when there is room', async () => {
  const topic = await createTopic({ queues: 4 })
  const client = await startProducer({ maxPendingMessages: 100 })
  const sends = Array.from({ length: 3_000 }, (_, i) => client.sendOrderly({ topic, body: String(i) }, `key-${i % 8}`))
  const { pendingMessages, waiting } = client.stats()
  expect(waiting).toBe(Math.max(0, pendingMessages - 100))
  await client.ready()
  expect(client.stats().pendingMessages).toBeLessThan(100)
  await client.flush()
  await Promise.all(sends)
  const stored = await admin.readBack(topic, { expected: sends.length })
  for (const [key, { bodies }] of byKey(onceEach(stored, client))) {
    const first = Number(key.slice('key-'.length))
    expect(bodies).toEqual(Array.from({ length: 375 }, (_, i) => String(first + 8 * i)))
  }
})

test('a batch is one request: consecutive offsets in one queue, all fields kept', async () => {
  const topic = await createTopic({ queues: 4 })
  const client = await startProducer()
  const messages = Array.from({ length: 5 }, (_, i) => ({
    topic,
    body: `b${i}`,
    tags: `T${i}`,
    keys: [`k${i}`, 'all'],
    properties: { n: String(i) },
  }))
  const results = await client.sendOrderlyBatch(messages, 'order-1')
  expect(client.stats().requests - client.stats().retries).toBe(1)
  expect(results.map((result) => result.queueOffset)).toEqual([0, 1, 2, 3, 4])
  expect(new Set(results.map((result) => result.msgId)).size).toBe(5)
  const stored = await admin.readBack(topic, { expected: 5 })
  expect(stored.map((m) => [m.body.toString(), m.tags, m.keys, m.properties.n, m.shardingKey, m.msgId])).toEqual(
    messages.map((m, i) => [m.body, m.tags, m.keys, m.properties.n, 'order-1', results[i].msgId]),
  )
})

test('tags, keys, properties, binary and Chinese bodies arrive as given', async () => {
  const topic = await createTopic({ queues: 1 })
  const client = await startProducer()
  const body = Buffer.from([0, 1, 2, 255, 254, 0])
  await client.sendOrderly(
    { topic, body, tags: '订单', keys: ['a', 'b'], properties: { 颜色: '红', __proto: 'x', constructor: 'y' } },
    '订单-1',
  )
  await client.sendOrderlyWithShardingKey({ topic, body: '你好 😀' }, '订单-1')
  const [first, second] = await admin.readBack(topic, { expected: 2 })
  expect(first.body.equals(body)).toBe(true)
  expect(first.tags).toBe('订单')
  expect(first.keys).toEqual(['a', 'b'])
  expect(first.properties).toMatchObject({ 颜色: '红', __proto: 'x', constructor: 'y' })
  expect([second.body.toString(), second.shardingKey]).toEqual(['你好 😀', '订单-1'])
})

test('queues() lists the writable queues in the order that the hash counts them', async () => {
  const topic = await createTopic({ queues: 3 })
  const client = await startProducer()
  const [{ name }] = backend.brokers
  expect(await client.queues(topic)).toEqual([0, 1, 2].map((queueId) => ({ topic, brokerName: name, queueId })))
})
