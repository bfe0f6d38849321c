'use strict'
// Messages that no client can decode, stored as any producer could: what holds a queue can be sent away, or passed over.
const { admin, backend, createTopic, makeConsumer, uniqueGroup, until } = require('./support')

const COMPRESSED = 0x1
const LZ4 = 0x100

function consumer(topic, onUndecodable, handler, options) {
  const client = makeConsumer({ commitIntervalMs: 50, onUndecodable, ...options })
  const told = []
  client.on('undecodable', (queue, error) => told.push({ queue, error }))
  client.subscribe(topic, handler)
  return { client, told }
}

/** One queue: two messages, two that cannot be decoded, and two more. */
async function damagedTopic() {
  const topic = await createTopic({ queues: 1 })
  const properties = { UNIQ_KEY: '0A0000010BAD18B4AAC2000000090000', __SHARDINGKEY: 'order-1', colour: 'red' }
  await admin.send(topic, 0, 'a')
  await admin.send(topic, 0, 'b')
  await admin.send(topic, 0, 'no zlib at all', { sysFlag: COMPRESSED, properties })
  await admin.send(topic, 0, 'as LZ4 would be', { sysFlag: COMPRESSED | LZ4 })
  await admin.send(topic, 0, 'e')
  await admin.send(topic, 0, 'f')
  return topic
}

test('skip: the queue goes past it when its turn has come; it is told, and counted', async () => {
  const topic = await damagedTopic()
  const seen = []
  let release
  const held = new Promise((resolve) => (release = resolve))
  const { client, told } = consumer(topic, 'skip', async (message) => {
    seen.push(message.text())
    if (message.text() === 'b') await held
  })
  await client.start()
  await until(() => seen.length === 2)
  expect([told, client.stats().undecodable]).toEqual([[], 0])
  release()
  await until(async () => (await admin.committedOffset(client.groupId, topic, 0)) === 6)
  expect(seen).toEqual(['a', 'b', 'e', 'f'])
  const queue = { topic, brokerName: backend.brokers[0].name, queueId: 0 }
  expect(told).toEqual([
    { queue, error: expect.objectContaining({ code: 'ERR_ROCKETMQ_UNDECODABLE', queue }) },
    { queue, error: expect.objectContaining({ code: 'ERR_ROCKETMQ_UNDECODABLE', queue }) },
  ])
  const [first, second] = told.map(({ error }) => error)
  expect(first.msgId).toBe('0A0000010BAD18B4AAC2000000090000')
  expect(first.message).toMatch(/offset 2 \(0A0000010BAD18B4AAC2000000090000\).* skipped/)
  expect(second.message).toMatch(/offset 3 .*LZ4.* skipped/)
  expect(client.stats()).toMatchObject({ undecodable: 2, skipped: 2, deadLettered: 0, consumed: 4, blockedQueues: 0 })
  expect(client.health()).toEqual({ ok: true, problems: [] })
})

test('deadLetter: its bytes as they were stored are in the dead-letter queue, where any client reads them', async () => {
  const topic = await damagedTopic()
  const seen = []
  const { client, told } = consumer(topic, 'deadLetter', (message) => void seen.push(message.text()))
  await client.start()
  await until(async () => (await admin.committedOffset(client.groupId, topic, 0)) === 6)
  expect(seen).toEqual(['a', 'b', 'e', 'f'])
  const dlq = `%DLQ%${client.groupId}`
  const [zlib, lz4] = await admin.readBack(dlq, { expected: 2 })
  expect(zlib).toMatchObject({ sysFlag: 0, msgId: '0A0000010BAD18B4AAC2000000090000', shardingKey: 'order-1' })
  expect(zlib.body.toString()).toBe('no zlib at all')
  expect(zlib.properties).toMatchObject({
    colour: 'red',
    ORIGIN_MESSAGE_ID: zlib.msgId,
    UNDECODABLE_REASON: expect.stringContaining('decompression'),
    UNDECODABLE_SYS_FLAG: '1',
  })
  expect([lz4.body.toString(), lz4.properties.UNDECODABLE_SYS_FLAG]).toEqual(['as LZ4 would be', '257'])
  expect(told.map(({ error }) => error.message)).toEqual([
    expect.stringContaining(`dead-letter queue ${dlq}`),
    expect.stringContaining(`dead-letter queue ${dlq}`),
  ])
  expect(client.stats()).toMatchObject({ undecodable: 2, skipped: 0, deadLettered: 2, blockedQueues: 0 })
  const letters = []
  const reader = makeConsumer()
  reader.subscribe(dlq, (message) => void letters.push([message.text(), message.properties.colour]))
  await reader.start()
  await until(() => letters.length === 2)
  expect(letters).toEqual([
    ['no zlib at all', 'red'],
    ['as LZ4 would be', undefined],
  ])
})

test('a member that takes over sends nothing away a second time, and a paused queue stands before the message', async () => {
  const topic = await damagedTopic()
  const groupId = uniqueGroup()
  const first = consumer(topic, 'deadLetter', () => first.client.pause(), { groupId })
  await first.client.start()
  await until(async () => (await admin.committedOffset(groupId, topic, 0)) === 1)
  first.client.resume()
  await until(async () => (await admin.committedOffset(groupId, topic, 0)) === 2)
  expect(first.client.stats()).toMatchObject({ undecodable: 0, deadLettered: 0 })
  await first.client.close()
  const seen = []
  const second = consumer(topic, 'deadLetter', (message) => void seen.push(message.text()), { groupId })
  await second.client.start()
  await until(async () => (await admin.committedOffset(groupId, topic, 0)) === 6)
  expect(seen).toEqual(['e', 'f'])
  expect((await admin.readBack(`%DLQ%${groupId}`, { expected: 2 })).length).toBe(2)
})
