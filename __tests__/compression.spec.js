'use strict'
// Compressed bodies on their way out, in order and elsewhere than on the event loop, and back; and those that nobody may inflate.

const { randomBytes } = require('node:crypto')
const { performance } = require('node:perf_hooks')
const { admin, backend, createTopic, makeConsumer, startProducer, until } = require('./support')
const { BOMBS } = require('./support/bombs')

const KIB = 1024
const MIB = 1024 * KIB
const SYS_FLAGS = { zlib: 0x301, lz4: 0x101, zstd: 0x201 }
const kinds = Object.keys(SYS_FLAGS)

/** A body of so many bytes that begins with its number. */
const filled = (i, bytes) => `${i}:`.padEnd(bytes, 'order ')

/** Starts a consumer from the first message on, and resolves with the texts of that many. */
async function received(topic, count) {
  const texts = []
  const client = makeConsumer()
  client.subscribe(topic, (message) => void texts.push(message.text()))
  await client.start()
  await until(() => texts.length >= count, { timeoutMs: 60_000, what: () => `${texts.length} of ${count}` })
  return texts
}

describe.each(kinds)('%s', (compression) => {
  test.each(['queue', 'key', 'off'])(
    'compressed and plain sends of one key, none awaited, keep their order (batching: %s)',
    async (batching) => {
      const topic = await createTopic({ queues: 1 })
      const producer = await startProducer({ compression, batching, topics: [topic] })
      const sizes = [100, 4096, 4095, 200, 20 * KIB, 300 * KIB, 50, 50, 17 * KIB]
      const bodies = Array.from({ length: 180 }, (_, i) => filled(i, sizes[i % sizes.length]))
      const results = await Promise.all(bodies.map((body) => producer.sendOrderly({ topic, body }, 'one')))
      expect(results.map(({ queueOffset }) => queueOffset)).toEqual(bodies.map((_, i) => i))
      const stored = await admin.readBack(topic, { expected: bodies.length })
      expect(stored).toHaveLength(bodies.length)
      for (const [i, { sysFlag, storedBody }] of stored.entries()) {
        const isCompressed = bodies[i].length >= 4096
        expect([i, sysFlag]).toEqual([i, isCompressed ? SYS_FLAGS[compression] : 0])
        expect(storedBody.length < bodies[i].length).toBe(isCompressed)
      }
      expect(await received(topic, bodies.length)).toEqual(bodies)
    },
  )

  test('a body that does not get smaller goes as it is, and a batch of the program is not compressed', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer({ compression, compressOverBytes: 100 })
    const noise = randomBytes(50 * KIB)
    await producer.sendOrderly({ topic, body: noise }, 'one')
    await producer.sendOrderlyBatch([{ topic, body: filled(1, 5000) }], 'one')
    await producer.sendOrderlyBatch(
      [2, 3].map((i) => ({ topic, body: filled(i, 5000) })),
      'one',
    )
    await producer.sendOrderly({ topic, body: filled(4, 100) }, 'one')
    const stored = await admin.readBack(topic, { expected: 5 })
    expect(stored.map(({ sysFlag }) => sysFlag)).toEqual([0, 0, 0, 0, SYS_FLAGS[compression]])
    expect(stored[0].storedBody.equals(noise)).toBe(true)
    expect(stored[2].storedBody.toString()).toBe(filled(2, 5000))
  })

  test('maxMessageBytes is of the body as it is given, and what is sent may be less than the broker takes', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer({ compression, maxMessageBytes: 12 * MIB })
    const tooMuch = producer.sendOrderly({ topic, body: Buffer.alloc(12 * MIB + 1) }, 'one')
    await expect(tooMuch).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
    // More than a broker takes, but for the compression.
    const body = Buffer.alloc(12 * MIB, 'x')
    await producer.sendOrderly({ topic, body }, 'one')
    const [stored] = await admin.readBack(topic, { expected: 1 })
    expect(stored.storedBody.length).toBeLessThan(MIB)
    expect(await received(topic, 1)).toEqual([body.toString()])
  })
})

test('a bomb of each kind is undecodable, and takes little memory', async () => {
  const topic = await createTopic({ queues: 1 })
  for (const { body, sysFlag } of BOMBS) {
    expect(body.length).toBeLessThan(200 * KIB)
    await admin.send(topic, 0, body, { sysFlag })
  }
  await admin.send(topic, 0, 'behind them')
  const [told, texts] = [[], []]
  const client = makeConsumer({ onUndecodable: 'skip' })
  client.on('undecodable', (_, error) => told.push(error.message))
  client.subscribe(topic, (message) => void texts.push(message.text()))
  const before = process.memoryUsage().rss
  await client.start()
  await until(() => texts.length === 1, { timeoutMs: 60_000, what: () => 'the message behind the bombs' })
  const grown = process.memoryUsage().rss - before
  process.stdout.write(`RocketMQ ${backend.version}: +${(grown / MIB).toFixed(0)} MiB with three bombs\n`)
  expect(grown).toBeLessThan(200 * MIB)
  expect(told).toEqual(BOMBS.map(() => expect.stringContaining('decompression: more than 33554432 bytes')))
  expect([texts, client.stats().undecodable]).toEqual([['behind them'], BOMBS.length])
})

test('the event loop rests while large bodies are compressed', async () => {
  const topic = await createTopic({ queues: 4 })
  const producer = await startProducer({ compression: 'zlib', topics: [topic] })
  // Letters of which zlib makes six eighths, slowly.
  const body = Buffer.from(randomBytes(768 * KIB).toString('base64'))
  const before = performance.eventLoopUtilization()
  await Promise.all(Array.from({ length: 32 }, (_, i) => producer.sendOrderly({ topic, body }, `key-${i}`)))
  const { utilization } = performance.eventLoopUtilization(before)
  expect(utilization).toBeLessThan(0.5)
})
