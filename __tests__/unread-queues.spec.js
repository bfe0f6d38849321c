'use strict'
// Queues that are written and that no consumer is told of, or that go while messages are in them: both sides say so.
const { PushConsumer } = require('..')
const { admin, backend, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

const UNREAD = 'ERR_ROCKETMQ_UNREAD_QUEUE'
const unread = (client) => client.health().problems.filter(({ code }) => code === UNREAD)

/** Warnings of a client, as they come. */
function warnings(client) {
  const told = []
  client.on('warning', (error) => error.code === UNREAD && told.push(error))
  return told
}

function consumer(topic, handler, options = {}) {
  const defaults = { groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first' }
  return clients.add(new PushConsumer({ ...defaults, commitIntervalMs: 50, ...options })).subscribe(topic, handler)
}

test('a topic with more queues to write than to read: a warning and a problem of the producer, which writes all the same, and of the consumer', async () => {
  const topic = await createTopic({ queues: 4, readQueues: 2 })
  const producer = await startProducer()
  const toldProducer = warnings(producer)
  const keys = Array.from({ length: 32 }, (_, i) => `k${i}`)
  const results = await Promise.all(keys.map((key) => producer.sendOrderly({ topic, body: key }, key)))
  // No key moves: Java's producers write there, too.
  expect(new Set(results.map(({ queue }) => queue.queueId))).toEqual(new Set([0, 1, 2, 3]))
  const readable = results.filter(({ queue }) => queue.queueId < 2).length

  const seen = []
  const client = consumer(topic, (message) => void seen.push(message.text()))
  const toldConsumer = warnings(client)
  await client.start()
  await until(() => seen.length === readable && unread(client).length === 1)
  await until(() => client.stats().lag === 0)
  const { address, name } = backend.brokers[0]
  const places = `queues 2 to 3 of ${name} (the topic has 4 queues to write there and 2 to read)`
  const command = `mqadmin updateTopic -n ${backend.nameServer} -b ${address} -t ${topic} -r 4 -w 4`
  for (const [side, told] of [
    [producer, toldProducer],
    [client, toldConsumer],
  ]) {
    expect(told).toHaveLength(1)
    expect(side.health().ok).toBe(false)
    const [problem] = unread(side)
    expect(problem).toMatchObject({ topic, message: told[0].message })
    expect(problem.message).toContain(places)
    expect(problem.message).toContain(command)
  }
})

test('more queues to read than to write, as while a topic is made smaller, is no fault', async () => {
  const topic = await createTopic({ queues: 2, readQueues: 4 })
  for (let queue = 0; queue < 4; queue++) await admin.send(topic, queue, `${queue}`)
  const producer = await startProducer({ topics: [topic] })
  const seen = []
  const client = consumer(topic, (message) => void seen.push(message.text()))
  const told = [warnings(producer), warnings(client)]
  await client.start()
  await until(() => seen.length === 4)
  expect([...told.flat(), ...unread(producer), ...unread(client)]).toEqual([])
})

test('a topic made smaller under a backlog: what is left behind is told by members that run and by new ones, and handled once it can be read', async () => {
  const topic = await createTopic({ queues: 3 })
  const bodies = Array.from({ length: 40 }, (_, i) => `${i}`)
  for (const body of bodies) await admin.send(topic, 2, body)
  const groupId = uniqueGroup()
  const seen = []
  let release
  const released = new Promise((resolve) => (release = resolve))
  const handler = async (message) => {
    if (seen.length === 10) await released
    seen.push(message.text())
  }
  const first = consumer(topic, handler, { groupId })
  const told = warnings(first)
  await first.start()
  await until(async () => (await admin.committedOffset(groupId, topic, 2)) === 10)
  await admin.createTopic(topic, { queues: 2 })
  // Routes are refreshed every 30 s.
  await until(() => told.length > 0, { timeoutMs: 120_000 })
  const { name } = backend.brokers[0]
  const left = (committed) => `queue 2 of ${name} (committed ${committed}, stored up to 40)`
  expect(told[0].message).toContain(`30 messages of topic ${topic} that group ${groupId} has not handled`)
  expect(told[0].message).toContain(left(10))
  expect(unread(first)).toHaveLength(1)
  // Its handler ends in peace, and nothing begins after it.
  release()
  await until(async () => (await admin.committedOffset(groupId, topic, 2)) === 11)
  await until(() => first.assignment().length === 2)
  await first.close()

  const second = consumer(topic, handler, { groupId })
  const toldAgain = warnings(second)
  await second.start()
  await until(() => toldAgain.length > 0)
  expect(toldAgain[0].message).toContain(left(11))
  expect(seen).toHaveLength(11)
  await second.close()

  await admin.createTopic(topic, { queues: 2, readQueues: 3 })
  const third = await consumer(topic, handler, { groupId }).start()
  await until(() => seen.length >= 40)
  expect(seen).toEqual(bodies)
  expect(unread(third)).toEqual([])
}, 180_000)
