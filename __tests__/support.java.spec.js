'use strict'
// The genuine Java client as the other specs use it.

const { admin, backend, createTopic, uniqueGroup, until } = require('./support')
const java = require('./support/java')

const { name: brokerName } = backend.brokers[0]

jest.setTimeout(600_000)

/** Java's String.hashCode. */
function hashCode(text) {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = (31 * hash + text.charCodeAt(index)) | 0
  return hash
}

test('Java produces by sharding key, and what it says is stored so', async () => {
  const topic = await createTopic({ queues: 4 })
  const sent = await java.produce({ topic, count: 60, keys: 5 })
  expect(sent).toHaveLength(60)
  const stored = await admin.readBack(topic, { expected: 60 })
  for (const { key, body, status, msgId, queueId, queueOffset } of sent) {
    expect(status).toBe('SEND_OK')
    expect(queueId).toBe(Math.abs(hashCode(key) % 4))
    const message = stored.find((each) => each.queueId === queueId && each.queueOffset === queueOffset)
    expect(message.body.toString()).toBe(body)
    expect(message).toMatchObject({ msgId, keys: [key], tags: 'TagJava' })
  }
})

test('Java consumes in order what is there and what comes', async () => {
  const topic = await createTopic({ queues: 2 })
  for (let index = 0; index < 20; index++) await admin.send(topic, index % 2, `early ${index}`)
  const group = uniqueGroup()
  const consumer = await java.startConsumer({ group, topic, count: 40 })
  await until(async () => (await admin.members(group)).length === 1, { what: 'the Java member' })
  for (let index = 20; index < 40; index++) await admin.send(topic, index % 2, `late ${index}`)

  expect(await consumer.ended).toEqual({ code: 0, signal: null })

  const messages = consumer.lines.filter(({ type }) => type === 'message')
  for (const queueId of [0, 1]) {
    const offsets = messages.filter((message) => message.queueId === queueId).map(({ queueOffset }) => queueOffset)
    expect(offsets).toEqual(Array.from({ length: 20 }, (_, offset) => offset))
  }
  expect(messages.at(0)).toMatchObject({ brokerName, tags: null, shardingKey: null, reconsumeTimes: 0 })
})

test('a Java consumer that gets too little fails and says so', async () => {
  const topic = await createTopic({ queues: 1 })
  const consuming = java.consume({ group: uniqueGroup(), topic, count: 1, timeoutSec: 1 })
  await expect(consuming).rejects.toThrow('1 of 1 messages did not come')
})

test('Java tells the queue of any key', async () => {
  const topic = await createTopic({ queues: 8 })
  const keys = [
    'order_1',
    'ä€',
    '😀',
    'polygenelubricants',
    '"quoted"',
    ...Array.from({ length: 50 }, (_, n) => `k${n}`),
  ]
  const queues = await java.queuesOf({ topic, keys })
  expect(queues).toEqual(keys.map((key) => ({ type: 'queue', key, brokerName, queueId: Math.abs(hashCode(key) % 8) })))
})
