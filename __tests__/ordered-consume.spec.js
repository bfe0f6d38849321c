'use strict'
const { setTimeout: delay } = require('node:timers/promises')
const { ConsumeStatus, PushConsumer } = require('..')
const { admin, backend, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

const connection = () => ({ nameServer: backend.nameServer })

async function produce(topic, count, { keys = 16, tag } = {}) {
  const client = await startProducer()
  const sends = Array.from({ length: count }, (_, i) =>
    client.sendOrderly({ topic, body: String(i), tags: typeof tag === 'function' ? tag(i) : tag }, `key-${i % keys}`),
  )
  return Promise.all(sends)
}

function consumer(group, options = {}) {
  return clients.add(new PushConsumer({ groupId: group, initialPosition: 'first', ...connection(), ...options }))
}

/** What handlers saw, per queue, and whether two of one queue ever overlapped. */
function observed() {
  const queues = new Map()
  const running = new Set()
  return {
    queues,
    overlaps: 0,
    total: () => [...queues.values()].reduce((sum, offsets) => sum + offsets.length, 0),
    watch(handler = () => delay(Math.random() * 2)) {
      return async (message, context) => {
        const queue = `${message.queue.brokerName}/${message.queue.queueId}`
        if (running.has(queue)) this.overlaps++
        running.add(queue)
        if (!queues.has(queue)) queues.set(queue, [])
        queues.get(queue).push(message.queueOffset)
        try {
          return await handler(message, context)
        } finally {
          running.delete(queue)
        }
      }
    },
  }
}

const upTo = (count) => Array.from({ length: count }, (_, i) => i)

test('each queue in stored order with async handlers, queues side by side, everything committed at the end', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  await produce(topic, 2_000, { keys: 64 })
  const seen = observed()
  let atOnce = 0
  let most = 0
  const client = consumer(group)
  client.subscribe(
    topic,
    seen.watch(async () => {
      most = Math.max(most, ++atOnce)
      await delay(1)
      atOnce--
      return ConsumeStatus.CONSUME_SUCCESS
    }),
  )
  await client.start()
  await until(() => seen.total() >= 2_000)
  await client.close()
  expect(seen.overlaps).toBe(0)
  expect(most).toBeGreaterThan(1)
  let total = 0
  for (const [queue, offsets] of seen.queues) {
    expect(offsets).toEqual(upTo(offsets.length))
    total += offsets.length
    expect(await admin.committedOffset(group, topic, Number(queue.split('/')[1]))).toBe(offsets.length)
  }
  expect(total).toBe(2_000)
})

test('two members share the queues; one leaves in peace and one joins mid-way: no gap, no duplicate, no overlap', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  const seen = observed()
  const member = () =>
    consumer(group).subscribe(
      topic,
      seen.watch(() => delay(1)),
    )
  const [first, second] = [member(), member()]
  await Promise.all([first.start(), second.start()])
  const producing = produce(topic, 6_000, { keys: 64 })
  await until(() => seen.total() > 1_000)
  await until(() => first.assignment().length === 4 && second.assignment().length === 4)
  await second.close()
  await until(() => first.assignment().length === 8)
  const third = member()
  await third.start()
  await until(() => third.assignment().length === 4)
  await producing
  await until(() => seen.total() >= 6_000)
  await Promise.all([first.close(), third.close()])
  expect(seen.overlaps).toBe(0)
  expect(seen.total()).toBe(6_000)
  for (const offsets of seen.queues.values()) expect(offsets).toEqual(upTo(offsets.length))
})

test('global order: a topic with one queue is consumed in call order, whatever the keys', async () => {
  const topic = await createTopic({ queues: 1 })
  const bodies = []
  const client = consumer(uniqueGroup()).subscribe(topic, async (message) => {
    await delay(Math.random())
    bodies.push(message.text())
  })
  await client.start()
  await produce(topic, 1_000, { keys: 7 })
  await until(() => bodies.length >= 1_000)
  expect(bodies).toEqual(upTo(1_000).map(String))
})

test('a message arrives with all that the producer and the broker said of it', async () => {
  const topic = await createTopic({ queues: 2 })
  const sender = await startProducer()
  const properties = JSON.parse('{"color":"red","__proto__":"p","constructor":"c"}')
  const before = Date.now()
  const sent = await sender.sendOrderly({ topic, body: '{"n":1}', tags: 'T', keys: ['a', 'b'], properties }, 'order-1')
  const received = []
  const client = consumer(uniqueGroup()).subscribe(topic, (message, context) => {
    received.push({ message, context })
  })
  await client.start()
  await until(() => received.length >= 1)
  const [{ message, context }] = received
  expect(message).toMatchObject({
    topic,
    tags: 'T',
    keys: ['a', 'b'],
    msgId: sent.msgId,
    offsetMsgId: sent.offsetMsgId,
    queue: sent.queue,
    queueOffset: sent.queueOffset,
    shardingKey: 'order-1',
    reconsumeTimes: 0,
  })
  expect([message.text(), message.json()]).toEqual(['{"n":1}', { n: 1 }])
  expect(Object.getPrototypeOf(message.properties)).toBe(null)
  expect(Object.entries(message.properties).sort()).toEqual(Object.entries(properties).sort())
  expect(message.systemProperties).toMatchObject({ UNIQ_KEY: sent.msgId, __SHARDINGKEY: 'order-1', TAGS: 'T' })
  expect(message.bornTimestamp).toBeGreaterThanOrEqual(before - 1)
  expect(message.storeTimestamp).toBeGreaterThanOrEqual(message.bornTimestamp - 1000)
  expect(message.bornHost).toMatch(/^127\.0\.0\.1:\d+$/)
  expect([context.attempt, context.queue, context.signal.aborted]).toEqual([1, sent.queue, false])
})

test('only the subscribed tags arrive, also where another tag has the same hash', async () => {
  const topic = await createTopic({ queues: 2 })
  const group = uniqueGroup()
  await produce(topic, 300, { tag: (i) => ['Aa', 'BB', 'C'][i % 3] }) // 'Aa' and 'BB' hash alike
  const tags = []
  const client = consumer(group).subscribe(topic, (message) => void tags.push(message.tags), 'Aa || D')
  await client.start()
  await until(() => tags.length >= 100)
  const offsets = () => Promise.all([0, 1].map((queue) => admin.committedOffset(group, topic, queue)))
  await until(async () => (await offsets()).reduce((a, b) => a + b) === 300, {
    what: 'filtered messages to be committed too',
  })
  expect(tags).toEqual(Array(100).fill('Aa'))
})

test('SQL92 filters choose by property, and a wrong expression makes start() reject', async () => {
  const topic = await createTopic({ queues: 2 })
  const sender = await startProducer()
  await Promise.all(
    upTo(100).map((i) => sender.sendOrderly({ topic, body: String(i), properties: { n: String(i) } }, `k${i % 4}`)),
  )
  const bodies = []
  const client = consumer(uniqueGroup()).subscribe(topic, (message) => void bodies.push(Number(message.text())), {
    sql92: 'n >= 90',
  })
  await client.start()
  await until(() => bodies.length >= 10)
  expect(bodies.sort((a, b) => a - b)).toEqual(upTo(100).slice(90))

  const wrong = consumer(uniqueGroup()).subscribe(topic, () => {}, { sql92: 'n >>> 1' })
  await expect(wrong.start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_FILTER' })
  expect(wrong.state).toBe('idle')
})

test('messages of a key keep their order from the first call to the last handler', async () => {
  const topic = await createTopic({ queues: 4 })
  const perKey = new Map()
  const client = consumer(uniqueGroup()).subscribe(topic, async (message) => {
    await delay(Math.random())
    perKey.set(message.shardingKey, [...(perKey.get(message.shardingKey) ?? []), Number(message.text())])
  })
  await client.start()
  await produce(topic, 1_000, { keys: 20 })
  await until(() => [...perKey.values()].flat().length >= 1_000)
  for (const [key, numbers] of perKey) {
    const first = Number(key.slice('key-'.length))
    expect(numbers).toEqual(upTo(50).map((i) => first + 20 * i))
  }
})

test("initialPosition 'last': what is sent after start() is not skipped, what was stored before does not come", async () => {
  const topic = await createTopic({ queues: 4 })
  await produce(topic, 40)
  await admin.readBack(topic, { expected: 40 })
  const group = uniqueGroup()
  const seen = new Set()
  const client = consumer(group, { initialPosition: 'last' }).subscribe(
    topic,
    (message) => void seen.add(message.msgId),
  )
  await client.start()
  const sent = await produce(topic, 100)
  const missing = () => sent.filter(({ msgId }) => !seen.has(msgId)).length
  await until(() => missing() === 0, { what: () => `100 messages sent after start(); ${missing()} are missing` })
  await client.close()
  expect(seen.size - 100).toBe(toldTheTruth ? 0 : 40)
})

/** 4.9 tells a group that never committed the offset 0 as long as a queue's first message is in memory. */
const toldTheTruth = backend.major >= 5

test('initialPosition as a Date begins at the first message stored at or after it', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, 10)
  await admin.readBack(topic, { expected: 10 })
  await delay(50)
  const date = new Date()
  await delay(50)
  await produce(topic, 10)
  const offsets = []
  const client = consumer(uniqueGroup(), { initialPosition: date }).subscribe(
    topic,
    (message) => void offsets.push(message.queueOffset),
  )
  await client.start()
  await until(() => offsets.includes(19))
  expect(offsets).toEqual(upTo(20).slice(toldTheTruth ? 10 : 0))
})

test('a second start of the group continues where the first has committed', async () => {
  const topic = await createTopic({ queues: 2 })
  const group = uniqueGroup()
  await produce(topic, 100)
  const seen = observed()
  const first = consumer(group).subscribe(topic, seen.watch())
  await first.start()
  await until(() => seen.total() >= 100)
  await first.close()
  await produce(topic, 100)
  const second = consumer(group).subscribe(topic, seen.watch())
  await second.start()
  await until(() => seen.total() >= 200)
  await second.close()
  for (const offsets of seen.queues.values()) expect(offsets).toEqual(upTo(offsets.length))
})

test('assigned and revoked tell the queues, %RETRY% stays hidden, assignment() and stats() add up', async () => {
  const topic = await createTopic({ queues: 4 })
  const events = []
  const client = consumer(uniqueGroup()).subscribe(topic, () => {})
  client.on('assigned', (queues) => events.push(...queues.map((queue) => ['assigned', queue.topic, queue.queueId])))
  client.on('revoked', (queues) => events.push(...queues.map((queue) => ['revoked', queue.topic, queue.queueId])))
  await client.start()
  await produce(topic, 100)
  await until(() => client.stats().consumed >= 100)
  await until(() => client.assignment().every((queue) => queue.lag === 0) && client.stats().running === 0)
  const told = (what) => events.filter(([kind]) => kind === what).sort()
  // A queue counts as ours a moment before JavaScript hears of it.
  await until(() => told('assigned').length >= 4, { what: () => `4 queues to be told: ${JSON.stringify(events)}` })
  expect(client.assignment().map((queue) => [queue.topic, queue.queueId, queue.state])).toEqual(
    upTo(4).map((id) => [topic, id, 'running']),
  )
  expect(client.stats()).toMatchObject({
    queues: 4,
    blockedQueues: 0,
    running: 0,
    consumed: 100,
    failed: 0,
    deadLettered: 0,
    undecodable: 0,
    skipped: 0,
  })
  await until(() => client.health().ok, { what: () => `health: ${JSON.stringify(client.health())}` })
  expect(client.health()).toEqual({ ok: true, problems: [] })
  await client.close()
  expect(told('assigned')).toEqual(upTo(4).map((id) => ['assigned', topic, id]))
})

test('what a handler does to its message is its own business', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, 5)
  const bodies = []
  const client = consumer(uniqueGroup())
  client.subscribe(topic, (message) => {
    bodies.push(message.text())
    Object.assign(message, { queueOffset: 99, queue: null, body: null, topic: '' })
  })
  await client.start()
  await until(() => bodies.length === 5, { what: 'that all are handled' })
  expect(bodies).toEqual(['0', '1', '2', '3', '4'])
})
