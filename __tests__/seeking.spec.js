'use strict'
// seek() and commit(): a queue goes on elsewhere, and what is handled is acknowledged.

const { setTimeout: delay } = require('node:timers/promises')
const { admin, backend, createTopic, makeConsumer, startProducer, uniqueGroup, until } = require('./support')

/** A topic of one queue with the messages '0', '1', …, and what was stored when. */
async function filled(count) {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  const send = (body) => producer.sendOrderly({ topic, body: String(body) }, 'key')
  for (let body = 0; body < count; body++) void send(body)
  await producer.flush()
  await admin.readBack(topic, { expected: count })
  return { topic, send }
}

/** A consumer whose handlers remember offsets, and then do as they are told. */
function consumer(topic, { groupId = uniqueGroup(), then = () => {}, ...options } = {}) {
  const client = makeConsumer({ groupId, ...options })
  const seen = []
  const resets = []
  client.subscribe(topic, (message, context) => {
    seen.push(message.queueOffset)
    return then(message, context)
  })
  client.on('offsetReset', (...reset) => resets.push(reset))
  return Object.assign(client, { seen, resets })
}

const upTo = (end, from = 0) => Array.from({ length: end - from }, (_, i) => from + i)
const queueOf = (client) => client.assignment()[0]
const isThrough = (client, count) => queueOf(client)?.committedOffset === count
const through = (client, count) =>
  until(() => isThrough(client, count), {
    what: () => `${client.seen.length} seen, ${JSON.stringify(queueOf(client))}`,
  })
const committed = async (client, queue) => admin.committedOffset(client.groupId, queue.topic, queue)

test('back repeats in order, forward skips exactly what lies between, and neither is a reset', async () => {
  const { topic, send } = await filled(60)
  const client = consumer(topic)
  await client.start()
  await through(client, 60)
  const queue = queueOf(client)

  await client.seek(queue, 20)
  expect(await committed(client, queue)).toBeLessThanOrEqual(60)
  await through(client, 60)
  expect(client.seen.splice(0)).toEqual([...upTo(60), ...upTo(60, 20)])

  client.pause()
  await client.seek(queue, 'first')
  expect(await committed(client, queue)).toBe(0)
  expect(queueOf(client)).toMatchObject({ state: 'paused', committedOffset: 0, nextOffset: 0 })
  await client.seek(queue, 50)
  expect(await committed(client, queue)).toBe(50)
  client.resume()
  await through(client, 60)
  expect(client.seen.splice(0)).toEqual(upTo(60, 50))

  await client.seek(queue, 'last')
  await send(60)
  await through(client, 61)
  expect(client.seen).toEqual([60])
  expect(client.resets).toEqual([])
})

test('a date is the first message stored then; one to come, the end', async () => {
  const { topic, send } = await filled(5)
  let last
  const client = consumer(topic, { then: ({ storeTimestamp }) => void (last = storeTimestamp) })
  await client.start()
  await until(() => client.seen.length === 5)
  await delay(50) // brokers count milliseconds
  await send(5)
  await through(client, 6)
  const [queue, time] = [queueOf(client), last]
  const isThere = (count) =>
    until(() => client.seen.length === count && isThrough(client, 6), { what: () => client.seen })
  await client.seek(queue, new Date(time))
  await isThere(7)
  await client.seek(queue, new Date(time - 60_000))
  await isThere(13)
  await client.seek(queue, new Date(time + 3_600_000))
  await send(6)
  await through(client, 7)
  expect(client.seen).toEqual([...upTo(6), 5, ...upTo(6), 6])
  expect(client.resets).toEqual([])
})

test('nothing of the old position starts after the call, which waits for the handler that runs', async () => {
  const { topic } = await filled(40)
  let release
  const client = consumer(topic, {
    then: ({ queueOffset }) => (queueOffset === 3 ? new Promise((resolve) => (release = resolve)) : undefined),
  })
  await client.start()
  await until(() => release !== undefined)
  let isThere = false
  const sought = client.seek(queueOf(client), 35).then(() => (isThere = true))
  await client.commit() // an answer of the broker later
  expect([isThere, queueOf(client).committedOffset]).toEqual([false, 3])
  release()
  await sought
  await through(client, 40)
  expect(client.seen).toEqual([...upTo(4), ...upTo(40, 35)])
})

test('a handler may seek in its own queue: from its end on', async () => {
  const { topic } = await filled(10)
  const sought = []
  const client = consumer(topic, {
    then: ({ queue, queueOffset }) => void (queueOffset === 4 && sought.push(client.seek(queue, 8))),
  })
  await client.start()
  await through(client, 10)
  await Promise.all(sought)
  expect(client.seen).toEqual([0, 1, 2, 3, 4, 8, 9])
})

test('a queue is released from the message that holds it, whose attempts are forgotten', async () => {
  const { topic } = await filled(6)
  const attempts = []
  const client = consumer(topic, {
    suspendMs: 50,
    then: ({ queueOffset }, { attempt }) => {
      if (queueOffset !== 2) return
      attempts.push(attempt)
      throw new Error('poisoned')
    },
  })
  client.on('suspended', () => {})
  await client.start()
  await until(() => attempts.length > 2)
  expect(queueOf(client)).toMatchObject({ blockedBy: { queueOffset: 2 } })
  await client.seek(queueOf(client), 4)
  await through(client, 6)
  expect(queueOf(client).blockedBy).toBeUndefined()
  attempts.length = 0
  await client.seek(queueOf(client), 2)
  await until(() => attempts.length > 1)
  expect(attempts.slice(0, 2)).toEqual([1, 2])
})

test('of two calls at once the later wins, and a wrong one fails alone', async () => {
  const { topic } = await filled(30)
  const client = consumer(topic)
  await client.start()
  await through(client, 30)
  const queue = queueOf(client)
  const wrong = client.seek(queue, 31)
  await Promise.all([client.seek(queue, 'first'), client.seek(queue, 27), expect(wrong).rejects.toThrow()])
  await through(client, 30)
  expect(client.seen).toEqual([...upTo(30), 27, 28, 29])
  await expect(wrong).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
    message: expect.stringMatching(
      /^to: offset 31 does not lie in .*, whose first message is at 0, and whose next one will be at 30$/,
    ),
    queue: { topic, brokerName: queue.brokerName, queueId: queue.queueId },
  })
})

test('keys side by side: what was handled above a key that fails is forgotten, too', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  for (let i = 0; i < 80; i++) void producer.sendOrderly({ topic, body: 'x' }, `key-${i % 8}`)
  await producer.flush()
  const stored = await admin.readBack(topic, { expected: 80 })
  const poisoned = stored.findIndex(({ properties }) => properties.__SHARDINGKEY === 'key-3')
  const client = consumer(topic, {
    concurrency: { max: 20, by: 'key' },
    suspendMs: 50,
    then: ({ queueOffset }) => {
      if (queueOffset === poisoned) throw new Error('poisoned')
    },
  })
  client.on('suspended', () => {})
  await client.start()
  await until(() => new Set(client.seen).size === 71, { what: () => JSON.stringify(queueOf(client)) })
  await client.commit()
  expect(await committed(client, queueOf(client))).toBe(poisoned)
  client.pause()
  await client.seek(queueOf(client), 40)
  client.seen.length = 0
  client.resume()
  await through(client, 80)
  expect(client.seen.sort((a, b) => a - b)).toEqual(upTo(80, 40))
})

test('a queue of another member is refused, and so is one that does not exist', async () => {
  const topic = await createTopic({ queues: 2 })
  const groupId = uniqueGroup()
  const [first, second] = [consumer(topic, { groupId }), consumer(topic, { groupId })]
  await Promise.all([first.start(), second.start()])
  await until(() => first.assignment().length === 1 && second.assignment().length === 1)
  for (const queue of [queueOf(second), { ...queueOf(first), queueId: 77 }]) {
    await expect(first.seek(queue, 'first')).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_INVALID_STATE',
      message: expect.stringContaining(`${topic}@${queue.brokerName}:${queue.queueId} is not this consumer's`),
    })
  }
})

test('another member goes on where the last seek has led', async () => {
  const { topic } = await filled(20)
  const first = consumer(topic)
  await first.start()
  await through(first, 20)
  first.pause()
  await first.seek(queueOf(first), 15)
  await first.close()
  const second = consumer(topic, { groupId: first.groupId })
  await second.start()
  await through(second, 20)
  expect(second.seen).toEqual(upTo(20, 15))
})

test('commit() is acknowledged by the broker when it resolves, and asks for nothing new', async () => {
  const { topic } = await filled(50)
  const client = consumer(topic, { commitIntervalMs: 3_600_000 })
  await client.start()
  await until(() => client.seen.length === 50)
  await client.commit()
  const queue = queueOf(client)
  expect(await committed(client, queue)).toBe(50)
  expect(queue.committedOffset).toBe(50)
  await Promise.all([client.commit(), client.commit()])
})

test('a handler that commits is told of what came before it', async () => {
  const { topic } = await filled(10)
  const told = []
  const client = consumer(topic, {
    commitIntervalMs: 3_600_000,
    then: async ({ queue, queueOffset }) => {
      await client.commit()
      told.push((await committed(client, queue)) - queueOffset)
    },
  })
  await client.start()
  await until(() => told.length === 10)
  expect(told).toEqual(upTo(10).map(() => 0))
})

test('neither is for a consumer that does not run', async () => {
  const topic = await createTopic({ queues: 1 })
  const client = consumer(topic)
  const queue = { topic, brokerName: backend.brokers[0].name, queueId: 0 }
  const state = (code) => expect.objectContaining({ code })
  await expect(client.commit()).rejects.toEqual(state('ERR_ROCKETMQ_INVALID_STATE'))
  await expect(client.seek(queue, 0)).rejects.toEqual(state('ERR_ROCKETMQ_INVALID_STATE'))
  await client.start()
  await client.close()
  await expect(client.commit()).rejects.toEqual(state('ERR_ROCKETMQ_CLOSED'))
  await expect(client.seek(queue, 0)).rejects.toEqual(state('ERR_ROCKETMQ_CLOSED'))
})
