'use strict'
const net = require('node:net')
const { Producer, PushConsumer } = require('..')
const { backend, clients, createTopic, uniqueGroup, uniqueTopic } = require('./support')

const options = (more = {}) => ({ groupId: uniqueGroup(), nameServer: backend.nameServer, ...more })
const producer = (more) => clients.add(new Producer(options(more)))
const consumer = (more) => clients.add(new PushConsumer(options(more)))
const rejection = (promise) =>
  promise.then(
    (value) => expect(value).toBe('a rejection'),
    (error) => error,
  )

/** The bound that the client has been given, and what a busy machine may add to it. */
const SLACK_MS = 4_000

async function within(ms, action) {
  const began = performance.now()
  const result = await action()
  expect(performance.now() - began).toBeLessThan(ms + SLACK_MS)
  return result
}

test('an unknown topic: a producer given it, a consumer subscribed to it and a send each say so', async () => {
  const topic = uniqueTopic('unknown')
  const expected = { code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND' }
  await within(10_000, () => expect(producer({ topics: [topic] }).start()).rejects.toMatchObject(expected))
  await within(10_000, () =>
    expect(
      consumer()
        .subscribe(topic, () => {})
        .start(),
    ).rejects.toMatchObject(expected),
  )
  const started = await producer({ sendTimeoutMs: 10_000 }).start()
  const error = await within(10_000, () => rejection(started.sendOrderly({ topic, body: 'x' }, 'k')))
  expect(error).toMatchObject({ ...expected, topic, outcome: 'not-stored' })
  expect(error.message).toContain(topic)
})

test('a name server where nobody listens: start() rejects within its bound and names the address', async () => {
  const nameServer = '127.0.0.1:1' // never handed out as a free port
  const bound = { nameServer, startTimeoutMs: 3_000 }
  for (const client of [producer(bound), consumer(bound).subscribe('topic', () => {})]) {
    const error = await within(3_000, () => rejection(client.start()))
    expect(error.code).toBe('ERR_ROCKETMQ_CONNECTION')
    expect(error.message).toContain(nameServer)
    expect(client.state).toBe('idle')
  }
})

test('a name server that accepts and never answers: start() rejects within startTimeoutMs', async () => {
  const sockets = new Set()
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const nameServer = `127.0.0.1:${server.address().port}`
  const error = await within(2_000, () => rejection(producer({ nameServer, startTimeoutMs: 2_000 }).start()))
  expect(error.code).toBe('ERR_ROCKETMQ_TIMEOUT')
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

test('bad arguments are refused before anything is written, each naming its field', async () => {
  const topic = await createTopic({ queues: 1 })
  const client = await producer().start()
  const bad = [
    ['topic', { topic: '', body: 'x' }, 'k'],
    ['topic', { topic: 'a b', body: 'x' }, 'k'],
    ['topic', { topic: 't'.repeat(128), body: 'x' }, 'k'],
    ['body', { topic, body: '' }, 'k'],
    ['body', { topic, body: Buffer.alloc(4 * 1024 * 1024 + 1) }, 'k'],
    ['shardingKey', { topic, body: 'x' }, ''],
    ['shardingKey', { topic, body: 'x' }, 'a\u0001b'],
    ['tags', { topic, body: 'x', tags: 'a\u0002b' }, 'k'],
    ['properties', { topic, body: 'x', properties: { UNIQ_KEY: 'mine' } }, 'k'],
    ['properties', { topic, body: 'x', properties: { a: 'v\u0002TAGS\u0001injected' } }, 'k'],
    ['properties', { topic, body: 'x', properties: { a: 'v'.repeat(33_000) } }, 'k'],
  ]
  for (const [field, message, key] of bad) {
    const error = await rejection(client.sendOrderly(message, key))
    expect([field, error.code]).toEqual([field, 'ERR_ROCKETMQ_INVALID_ARGUMENT'])
    expect(error.message).toContain(field)
  }
  expect(client.stats().requests).toBe(0)
  await client.sendOrderly({ topic, body: Buffer.alloc(4 * 1024 * 1024 - 1_000) }, 'k')
})

test('used before start() and after close(): INVALID_STATE and CLOSED', async () => {
  const client = producer()
  await expect(client.sendOrderly({ topic: 't', body: 'x' }, 'k')).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_INVALID_STATE',
  })
  await client.start()
  const closing = client.close()
  expect(client.close()).toBe(closing)
  await closing
  await expect(client.sendOrderly({ topic: 't', body: 'x' }, 'k')).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_CLOSED',
  })
  await expect(client.start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
})

test('a failed start leaves nothing running and may be tried again', async () => {
  const topic = uniqueTopic()
  const client = consumer({ startTimeoutMs: 5_000 }).subscribe(topic, () => {})
  await expect(client.start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND' })
  await createTopic({ name: topic, queues: 2 })
  await client.start()
  expect(client.state).toBe('running')
})
