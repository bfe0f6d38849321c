'use strict'
// What is seen of messages and states that come from a broker: copies of them have what matters.

const { inspect } = require('node:util')
const { MessageChannel } = require('node:worker_threads')
const { Producer, PushConsumer } = require('..')
const { backend, clients, createTopic, uniqueGroup, until } = require('./support')

const parsed = (value) => JSON.parse(JSON.stringify(value))
const options = (more) => ({ groupId: uniqueGroup(), nameServer: backend.nameServer, ...more })

/** What arrives of a value that is posted to another thread. */
async function posted(value) {
  const { port1, port2 } = new MessageChannel()
  try {
    const arrived = new Promise((resolve, reject) => port2.once('message', resolve).once('messageerror', reject))
    port1.postMessage(value)
    return await arrived
  } finally {
    port1.close()
  }
}

test('a received message and its copies have the properties, and can be forwarded', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await clients.add(new Producer(options())).start()
  const received = []
  const consumer = clients.add(new PushConsumer(options({ initialPosition: 'first' })))
  await consumer.subscribe(topic, (message) => void received.push(message)).start()
  const message = { topic, body: 'hello', tags: 'paid', keys: ['a', 'b'], properties: { color: 'red' } }
  await producer.sendOrderly(message, 'key')
  await until(() => received.length === 1, { what: 'the message' })
  const [original] = received

  const spread = { ...original }
  const clone = await posted(original)
  const json = parsed(original)
  const copies = [original, spread, clone, { ...json, body: Buffer.from(json.body) }]
  for (const copy of copies) {
    expect(copy.properties).toEqual({ color: 'red' })
    expect(copy.systemProperties).toMatchObject({ UNIQ_KEY: original.msgId, TAGS: 'paid', KEYS: 'a b' })
    expect(copy).toMatchObject({ topic, tags: 'paid', keys: ['a', 'b'], msgId: original.msgId, shardingKey: 'key' })
  }
  expect(inspect(original)).toContain("color: 'red'")

  for (const copy of copies) await producer.sendOrderly(copy, 'key')
  await until(() => received.length === 1 + copies.length, { what: 'the copies' })
  for (const forwarded of received) {
    expect({ ...forwarded, text: forwarded.text() }).toMatchObject({
      ...message,
      body: expect.anything(),
      text: 'hello',
    })
  }
  await expect(producer.sendOrderly({ ...original, tag: 'paid' }, 'key')).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
    outcome: 'not-stored',
    message: expect.stringContaining('did you mean tags?'),
  })
})

test('what a failing handler has thrown is in the JSON of health() and assignment()', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await clients.add(new Producer(options())).start()
  const consumer = clients.add(new PushConsumer(options({ initialPosition: 'first', suspendMs: 60_000 })))
  const held = new Promise((resolve) => consumer.once('suspended', resolve))
  const handler = () => {
    throw new TypeError('no account', { cause: new Error('of this customer') })
  }
  await consumer.subscribe(topic, handler).start()
  await producer.sendOrderly({ topic, body: 'x' }, 'key')
  await held
  await until(() => consumer.assignment()[0]?.blockedBy, { what: 'the held queue in assignment()' })
  const cause = { name: 'TypeError', message: 'no account', cause: { name: 'Error', message: 'of this customer' } }
  expect(parsed(consumer.assignment())).toMatchObject([{ topic, queueId: 0, blockedBy: { queueOffset: 0, cause } }])
  const { problems } = consumer.health()
  expect(parsed(problems)).toMatchObject([{ code: 'ERR_ROCKETMQ_HANDLER', topic, cause }])
  expect(await posted(problems.map((problem) => problem.toJSON()))).toEqual(parsed(problems))
})
