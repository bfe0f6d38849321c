'use strict'
const { Producer, PushConsumer } = require('..')
const { admin, backend, clients, createTopic, uniqueGroup, uniqueTopic, until } = require('./support')

const NAMESPACE = 'MQ_INST_1_B'

/** A topic of the namespace; its name for users, and for the broker. */
async function topicInNamespace(options) {
  const topic = uniqueTopic()
  await createTopic({ name: `${NAMESPACE}%${topic}`, ...options })
  return { topic, real: `${NAMESPACE}%${topic}` }
}
const options = (more = {}) => ({
  groupId: uniqueGroup(),
  nameServer: backend.nameServer,
  namespace: NAMESPACE,
  ...more,
})

test('a producer with a namespace sends to the topic of the namespace, and speaks of it by its own name', async () => {
  const { topic, real } = await topicInNamespace({ queues: 2 })
  const client = clients.add(new Producer(options({ topics: [topic] })))
  await client.start()
  const result = await client.sendOrderly({ topic, body: 'one' }, 'k')
  expect(result.queue.topic).toBe(topic)
  const batch = await client.sendOrderlyBatch([{ topic, body: 'two' }, { topic, body: 'three' }], 'k') // prettier-ignore
  expect(batch.map(({ queue }) => queue.topic)).toEqual([topic, topic])
  expect((await client.queues(topic)).map((queue) => queue.topic)).toEqual([topic, topic])
  const stored = await admin.readBack(real, { expected: 3 })
  expect(stored.map(({ body }) => body.toString())).toEqual(['one', 'two', 'three'])
  expect(stored.map(({ properties }) => properties.INSTANCE_ID)).toEqual([NAMESPACE, NAMESPACE, NAMESPACE])
})

test('errors, problems and route changes in a namespace name the topic as the user does', async () => {
  const client = clients.add(new Producer(options({ sendTimeoutMs: 5_000 })))
  await client.start()
  const unknown = uniqueTopic('unknown')
  const expected = { code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND', topic: unknown }
  await expect(client.sendOrderly({ topic: unknown, body: 'x' }, 'k')).rejects.toMatchObject(expected)
  await expect(client.queues(unknown)).rejects.toMatchObject(expected)
  await expect(client.sendOrderly({ topic: unknown, body: 'x' }, 'k')).rejects.toMatchObject({
    message: expect.stringContaining(`topic ${unknown} `),
  })
  expect(client.health().problems).toMatchObject([expected])

  const { topic, real } = await topicInNamespace({ queues: 1 })
  await client.sendOrderly({ topic, body: 'x' }, 'k')
  const changed = new Promise((resolve) => client.once('routeChanged', (...args) => resolve(args)))
  await admin.createTopic(real, { queues: 2 })
  // An unknown topic of the same client asks, and so does the poll; both find the new route.
  const [name, queues] = await changed
  expect([name, queues.map((queue) => queue.topic)]).toEqual([topic, [topic, topic]])
}, 120_000)

test('a topic has to fit together with its namespace', async () => {
  const client = clients.add(new Producer(options()))
  await client.start()
  const topic = 't'.repeat(120)
  const error = await client.sendOrderly({ topic, body: 'x' }, 'k').catch((reason) => reason)
  expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT', message: expect.stringContaining('topic: 132') })
  await expect(client.queues(topic)).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
})

test('a consumer of the namespace gets what a producer of it sends, under the same names', async () => {
  const { topic } = await topicInNamespace({ queues: 2 })
  const producer = clients.add(new Producer(options()))
  await producer.start()
  await Promise.all(['a', 'b', 'c'].map((body) => producer.sendOrderly({ topic, body }, 'k')))
  const seen = []
  const consumer = clients.add(new PushConsumer(options({ initialPosition: 'first' })))
  consumer.subscribe(topic, (message) => void seen.push([message.topic, message.queue.topic, message.text()]))
  await consumer.start()
  await until(() => seen.length >= 3)
  expect(seen).toEqual(['a', 'b', 'c'].map((body) => [topic, topic, body]))
})
