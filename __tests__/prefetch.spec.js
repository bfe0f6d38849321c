'use strict'
// What a consumer takes in ahead of its handlers has a bound, whatever brokers answer.

const { deflateSync } = require('node:zlib')
const { PushConsumer } = require('..')
const { admin, backend, clients, createTopic, uniqueGroup, until } = require('./support')

const MIB = 1024 * 1024
/** Bit of `sysFlag`: the body is compressed, with zlib. */
const COMPRESSED = 1

/** Stores messages of so many zeros each, which are a thousandth of that in the store and on the wire. */
async function storeZeros(topic, count, bytes) {
  const body = deflateSync(Buffer.alloc(bytes))
  for (let i = 0; i < count; i++) await admin.send(topic, 0, body, { sysFlag: COMPRESSED })
}

function consumer(topic, handler, options) {
  const groupId = uniqueGroup()
  const client = new PushConsumer({ groupId, nameServer: backend.nameServer, initialPosition: 'first', ...options })
  return clients.add(client.subscribe(topic, handler))
}

test('compressed messages are taken in as far as prefetch.bytes allows, and all of them come, in order', async () => {
  const topic = await createTopic({ queues: 1 })
  const [count, bytes] = [24, 12 * MIB]
  await storeZeros(topic, count, bytes)
  const before = process.memoryUsage().rss
  const offsets = []
  let go
  const held = new Promise((resolve) => (go = resolve))
  const client = consumer(
    topic,
    async (message) => {
      if (offsets.length === 0) await held
      expect(message.body).toHaveLength(bytes)
      offsets.push(message.queueOffset)
    },
    { prefetch: { bytes: 8 * MIB } },
  )
  await client.start()
  await until(() => client.stats().running === 1, { what: () => 'the first handler' })
  // The answer that brought the first message brought the others, too.
  expect(client.stats().buffered).toBe(1)
  const grown = process.memoryUsage().rss - before
  process.stdout.write(
    `RocketMQ ${backend.version}: +${(grown / MIB).toFixed(0)} MiB with the first of ${count} messages of 12 MiB\n`,
  )
  expect(grown).toBeLessThan(150 * MIB)
  go()
  await until(() => offsets.length === count, { timeoutMs: 60_000, what: () => `${offsets.length} of ${count}` })
  expect(offsets).toEqual(Array.from({ length: count }, (_, i) => i))
})

test('close() keeps its bound while an answer of a gigabyte is unpacked', async () => {
  const topic = await createTopic({ queues: 1 })
  await storeZeros(topic, 32, 31 * MIB)
  const client = consumer(topic, () => {}, { prefetch: { bytes: 1024 * MIB } })
  await client.start()
  await until(() => client.assignment().some(({ lag }) => lag !== undefined && lag > 0), { what: () => 'the pull' })
  const began = performance.now()
  await client.close({ timeoutMs: 1_000 })
  expect(performance.now() - began).toBeLessThan(2_000)
})
