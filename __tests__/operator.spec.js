'use strict'
// What whoever is on duty meets at night: a queue that stands still says why, and can be helped from outside.
const { setTimeout: delay } = require('node:timers/promises')
const { PushConsumer } = require('..')
const { admin, backend, clients, createTopic, foreignMember, uniqueGroup, until } = require('./support')

const COMPRESSED = 0x1

function consumer(options = {}) {
  const defaults = { groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first', suspendMs: 50 }
  return clients.add(new PushConsumer({ ...defaults, ...options }))
}

/** Moves the group behind everything that is stored before now. */
async function skip(group, topic) {
  await delay(20)
  const now = Date.now()
  await delay(20)
  const { queueOffset } = await admin.send(topic, 0, 'next')
  // A message can be found by its time only some ms after its acknowledgement.
  await until(async () => (await admin.offsetAt(topic, 0, now)) === queueOffset, { what: 'the message to be found' })
  await admin.resetOffset(group, topic, now)
}

test('a message that cannot be decoded is never delivered: told once, its queue held and seen, until an operator moves on', async () => {
  const topic = await createTopic({ queues: 2 })
  await admin.send(topic, 0, 'a')
  await admin.send(topic, 0, 'no zlib at all', { sysFlag: COMPRESSED })
  await admin.send(topic, 0, 'c')
  await admin.send(topic, 1, 'other')
  const seen = []
  const told = []
  const client = consumer().subscribe(topic, (message) => void seen.push(message.text()))
  client.on('undecodable', (queue, error) => told.push([queue, error]))
  await client.start()
  await until(() => told.length >= 1 && seen.length >= 2)
  const [[queue, error]] = told
  expect(queue).toMatchObject({ topic, queueId: 0 })
  expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_UNDECODABLE', queue: { topic, queueId: 0 } })
  expect(error.message).toContain('offset 1')
  await until(async () => (await admin.committedOffset(client.groupId, topic, 0)) === 1)
  expect(client.stats().blockedQueues).toBe(1)
  const { ok, problems } = client.health()
  expect([ok, problems.map(({ code }) => code)]).toEqual([false, ['ERR_ROCKETMQ_UNDECODABLE']])
  const blocked = () => client.assignment().find(({ queueId }) => queueId === 0)
  await until(() => blocked().lag === 2, { what: () => `a lag of 2: ${JSON.stringify(blocked())}` })
  expect(blocked()).toMatchObject({ state: 'suspended', nextOffset: 1 })
  // It is looked at again from time to time, and not told again.
  await delay(4_000)
  expect([seen.sort(), told.length]).toEqual([['a', 'other'], 1])
  await skip(client.groupId, topic)
  await until(() => seen.includes('next'))
  expect(seen).not.toContain('c')
  await until(() => client.health().ok)
})

test('a reset frees a queue that is blocked and full, and its lag stays true while nothing is pulled', async () => {
  const topic = await createTopic({ queues: 1 })
  for (let i = 0; i < 200; i++) await admin.send(topic, 0, `${i}`)
  const seen = []
  const resets = []
  const client = consumer({ prefetch: { messages: 64 } }).subscribe(topic, (message) => {
    if (message.text() !== 'next') throw new Error('no')
    seen.push(message.queueOffset)
  })
  client.on('suspended', () => {})
  client.on('offsetReset', (_queue, detail) => resets.push(detail))
  await client.start()
  await until(() => client.stats().failed > 2)
  await until(() => client.stats().lag === 200, { what: () => `a lag of 200, not ${client.stats().lag}` })
  expect(client.assignment()[0]).toMatchObject({ lag: 200, blockedBy: { queueOffset: 0 } })
  for (let i = 0; i < 50; i++) await admin.send(topic, 0, 'more')
  await until(() => client.stats().lag === 250, { what: () => `a lag of 250, not ${client.stats().lag}` })
  expect(client.stats().buffered).toBeLessThanOrEqual(64)
  await skip(client.groupId, topic)
  await until(() => seen.length >= 1 && resets.length >= 1, { what: 'the message behind the reset, and its report' })
  expect(resets).toEqual([{ from: 0, to: 250, reason: 'administrator' }])
  expect(seen).toEqual([250])
  await until(() => client.health().ok && client.stats().lag === 0)
})

test('a member that subscribes other topics is told of, though it answers no question: nothing is missed in our queues', async () => {
  const topic = await createTopic({ queues: 2 })
  const other = await createTopic({ queues: 1 })
  let handled = 0
  const warnings = []
  const client = consumer().subscribe(topic, () => void handled++)
  client.on('warning', (warning) => warnings.push(warning))
  await client.start()
  const stranger = await foreignMember({ group: client.groupId, clientId: 'zzz-stranger', topics: [other] })
  let sent = 0
  await until(
    async () => {
      await stranger.heartbeat([other])
      for (let i = 0; i < 20; i++) await admin.send(topic, 0, `${sent++}`)
      return warnings.some(({ message }) => /subscribe the same/.test(message))
    },
    // Brokers keep the topics of a member that has gone until the next heartbeat: what they keep counts a while after members change.
    { timeoutMs: 150_000, intervalMs: 1_200, what: () => `a warning; ${warnings.map(String)}` },
  )
  stranger.close()
  const [warning] = warnings.filter(({ message }) => /subscribe the same/.test(message))
  expect(warning).toMatchObject({ code: 'ERR_ROCKETMQ_FILTER' })
  expect(warning.message).toContain('zzz-stranger')
  expect(warning.message).toContain(client.groupId)
  await until(() => handled >= sent, { timeoutMs: 60_000, what: () => `${sent} messages, ${handled} so far` })
})

test('a topic that gains queues: they are consumed from their beginning', async () => {
  const topic = await createTopic({ queues: 2 })
  const seen = []
  const client = consumer({ initialPosition: 'last' }).subscribe(
    topic,
    (message) => void seen.push(`${message.queue.queueId}${message.text()}`),
  )
  await client.start()
  await admin.createTopic(topic, { queues: 4 })
  // Stored before the consumer, which looks at routes every 30 s, can know of the queue.
  await admin.send(topic, 3, 'early')
  await until(() => client.assignment().filter(({ state }) => state === 'running').length === 4, {
    timeoutMs: 60_000,
    intervalMs: 200,
  })
  await admin.send(topic, 3, 'late')
  await until(() => seen.length >= 2)
  expect(seen).toEqual(['3early', '3late'])
})

test('a topic that gains queues: a member that starts before the others know of them skips nothing in them', async () => {
  const topic = await createTopic({ queues: 2 })
  const groupId = uniqueGroup()
  const seen = []
  const member = (instanceName) =>
    consumer({ groupId, instanceName, initialPosition: 'last' }).subscribe(
      topic,
      (message) => void seen.push(`${message.queue.queueId}${message.text()}`),
    )
  const first = await member('a').start()
  await until(() => first.assignment().filter(({ state }) => state === 'running').length === 2)
  await admin.createTopic(topic, { queues: 4 })
  await admin.send(topic, 3, 'early')
  // Sorted behind the other, it is given the new queues as soon as it starts.
  const late = await member('b').start()
  await until(() => late.assignment().some(({ queueId, state }) => queueId === 3 && state === 'running'), {
    timeoutMs: 40_000,
  })
  await admin.send(topic, 3, 'late')
  await until(() => seen.length === 2, { what: () => `two messages, not ${seen}` })
  expect(seen).toEqual(['3early', '3late'])
})

test('several topics in one consumer: each with its own handler and expression', async () => {
  const [orders, payments] = [await createTopic({ queues: 2 }), await createTopic({ queues: 3 })]
  const seen = { orders: [], payments: [] }
  const client = consumer()
    .subscribe(orders, (message) => void seen.orders.push(message.text()), 'A')
    .subscribe(payments, (message) => void seen.payments.push(message.text()), { sql92: 'n = 2' })
  await client.start()
  for (const [tag, n] of [
    ['A', '1'],
    ['B', '2'],
    ['A', '2'],
  ]) {
    const properties = { TAGS: tag, n }
    await admin.send(orders, 1, `${tag}${n}`, { properties })
    await admin.send(payments, 2, `${tag}${n}`, { properties })
  }
  await until(() => seen.orders.length >= 2 && seen.payments.length >= 2)
  expect(seen).toEqual({ orders: ['A1', 'A2'], payments: ['B2', 'A2'] })
  // The other queues start on their own.
  await until(() => client.assignment().length === 5, {
    what: () => `5 queues: ${JSON.stringify(client.assignment())}`,
  })
})

test('messages in the retry topic go to the handler of the topic they came from', async () => {
  const topic = await createTopic({ queues: 1 })
  const group = uniqueGroup()
  // The first start makes the broker create the retry topic.
  const first = consumer({ groupId: group }).subscribe(topic, () => {})
  await first.start()
  const retry = `%RETRY%${group}`
  await until(async () => (await admin.route(retry)) !== undefined)
  await first.close()
  await admin.send(retry, 0, 'again', { properties: { RETRY_TOPIC: topic } })
  const seen = []
  const assigned = []
  const client = consumer({ groupId: group }).subscribe(
    topic,
    (message) => void seen.push([message.topic, message.text()]),
  )
  client.on('assigned', (queues) => assigned.push(...queues.map((queue) => queue.topic)))
  await client.start()
  // The two queues start on their own, in either order.
  await until(() => seen.length >= 1 && assigned.length >= 1)
  await until(async () => (await admin.committedOffset(group, retry, 0)) === 1)
  expect(seen).toEqual([[topic, 'again']])
  expect(assigned).toEqual([topic])
})
