'use strict'
// The genuine Java client compresses for us, and we for it.

const java = require('./support/java')
const { admin, createTopic, makeConsumer, startProducer, uniqueGroup, until } = require('./support')

jest.setTimeout(600_000)

const KINDS = { ZLIB: 0x301, LZ4: 0x101, ZSTD: 0x201, NONE: 0 }

/** The numbers behind each key, in the order of the bodies. */
function perKey(bodies) {
  const keys = new Map()
  for (const body of bodies) {
    const [key, sequence] = body.split(':')
    keys.set(key, [...(keys.get(key) ?? []), Number(sequence)])
  }
  return keys
}

test('what Java compresses, by each of its ways in turn, is handled in order', async () => {
  const topic = await createTopic({ queues: 4 })
  // A number of keys that has nothing in common with that of the ways.
  const sent = await java.produce({ topic, count: 360, keys: 9, kinds: Object.keys(KINDS), size: 6000 })
  const stored = await admin.readBack(topic, { expected: 360 })
  const flags = stored.map(({ sysFlag }) => sysFlag)
  for (const flag of Object.values(KINDS)) expect(flags.filter((it) => it === flag)).toHaveLength(90)
  const bodies = []
  const client = makeConsumer()
  client.subscribe(topic, (message) => void bodies.push(message.text()))
  await client.start()
  await until(() => bodies.length >= 360, { timeoutMs: 60_000, what: () => `${bodies.length} of 360` })
  expect([...bodies].sort()).toEqual(sent.map(({ body }) => body).sort())
  expect(bodies.every((body) => body.length === 6000)).toBe(true)
  for (const [key, sequences] of perKey(bodies))
    expect([key, sequences]).toEqual([key, Array.from({ length: 40 }, (_, i) => i)])
})

test('what we compress, by each of the ways and in between plain, Java reads in our order', async () => {
  const topic = await createTopic({ queues: 4 })
  const group = uniqueGroup()
  const bodies = []
  for (const compression of ['zlib', 'lz4', 'zstd']) {
    const producer = await startProducer({ compression })
    const sends = Array.from({ length: 120 }, () => {
      const [i, key] = [Math.floor(bodies.length / 9), `key-${bodies.length % 9}`]
      const body = `${key}:${i}:`.padEnd([6000, 60, 30_000, 70_000][bodies.length % 4], 'order ')
      bodies.push(body)
      return producer.sendOrderly({ topic, body }, key)
    })
    await Promise.all(sends)
  }
  const stored = await admin.readBack(topic, { expected: bodies.length })
  const flags = stored.map(({ sysFlag }) => sysFlag)
  for (const kind of ['ZLIB', 'LZ4', 'ZSTD']) expect(flags.filter((it) => it === KINDS[kind])).toHaveLength(90)
  const messages = await java.consume({ group, topic, count: bodies.length })
  expect(messages.map(({ body }) => body).sort()).toEqual([...bodies].sort())
  expect([...perKey(messages.map(({ body }) => body))].sort()).toEqual([...perKey(bodies)].sort())
})
