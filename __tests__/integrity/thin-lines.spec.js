'use strict'
// What a slow network does to those who judge by whole frames: megabytes take seconds, and neither a request nor a lock, nor a
// connection fails of that.

const { setImmediate: immediate, setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer } = require('../..')
const { admin, backend, clients, createTopic, uniqueGroup, until } = require('../support')
const { ProxiedCluster } = require('../support/proxy')

const MIB = 1024 * 1024
/** Of the time that the line itself takes. */
const MOST = 1.3
/** What is not the line's: the first requests, and the broker. */
const START_MS = 500

async function proxied() {
  const cluster = clients.add(await ProxiedCluster.start(backend))
  return { cluster, line: cluster.brokers[0] }
}

/** With the times of a user who has set none but that of a send; and what should not be told of it. */
async function producer(cluster, options = {}) {
  const told = []
  // Of connections that end, why.
  const note = (fields, text) => void (text.startsWith('disconnected') && told.push(`${text}: ${fields.reason}`))
  const logger = { info: note, warn: note, error: note }
  const { address: nameServer } = cluster.nameServer
  const client = clients.add(
    new Producer({ groupId: uniqueGroup('P'), nameServer, sendTimeoutMs: 60_000, logger, ...options }),
  )
  client.on('warning', (error) => told.push(error.message))
  return { client: await client.start(), told }
}

/** The longest that so many bytes may take. */
function mostMs(bytes, rate) {
  return (MOST * 1_000 * bytes) / rate + START_MS
}

function body(bytes, text) {
  return Buffer.alloc(bytes, text)
}

test('18 000 sends of 1 KiB over a thin up-link: at its pace, in order, each once, and without a time-out', async () => {
  const { cluster, line } = await proxied()
  const topic = await createTopic({ queues: 8 })
  const { client, told } = await producer(cluster, { topics: [topic] })
  line.up.rate = 2_500_000
  const sends = []
  let idleMs
  let before
  for (let i = 0; i < 18_000; i++) {
    const text = `${i % 64}:${i}:`
    sends.push(client.sendOrderly({ topic, body: text.padEnd(1024, '.') }, `key-${i % 64}`))
    sends[i].catch(() => {})
    if (i === 0) [idleMs, before] = await until(() => line.up.idleMs > 0 && [line.up.idleMs, line.up.passed])
    // The proxy shares this thread: it must not stand still for as long as so many calls take.
    if (i % 200 === 199) await immediate()
  }
  await Promise.all(sends)
  expect(client.stats()).toMatchObject({ sent: 18_000, failed: 0 })
  expect(told).toEqual([])
  // The line was kept busy: a machine that is itself too slow for 2.5 MB/s makes the time longer, and this not.
  const idealMs = (1_000 * (line.up.passed - before)) / 2_500_000
  expect(line.up.idleMs - idleMs).toBeLessThan((MOST - 1) * idealMs + START_MS)
  const stored = await admin.readBack(topic, { expected: 18_000 })
  // Whatever had timed out would lie there twice. A busy machine's broker may refuse a request at first; that is stored once.
  expect(stored.length).toBe(18_000)
  const next = Array.from({ length: 64 }, (_, key) => key)
  for (const message of stored) {
    const [key, number] = message.body.toString('utf8', 0, 20).split(':').map(Number)
    expect(number).toBe(next[key])
    next[key] += 64
  }
}, 90_000)

test('a message of 4 MiB over a thin down-link: delivered at its pace, locks and connections kept, other queues go on', async () => {
  const { cluster, line } = await proxied()
  const topic = await createTopic({ queues: 2 })
  const seen = []
  const told = []
  const consumer = clients.add(
    new PushConsumer({ groupId: uniqueGroup(), nameServer: cluster.nameServer.address, initialPosition: 'first' }),
  )
  consumer.subscribe(topic, ({ queue, body: { length } }) => void seen.push([queue.queueId, length]))
  for (const event of ['lockLost', 'disconnected', 'revoked', 'warning']) {
    consumer.on(event, (what) => told.push(`${event}: ${what?.message ?? JSON.stringify(what)}`))
  }
  await consumer.start()
  await until(() => consumer.assignment().filter(({ state }) => state === 'running').length === 2)
  line.down.rate = 300_000
  line.down.trickle = 1_500
  const large = 4 * MIB - 64 * 1024
  const before = line.down.passed
  await admin.send(topic, 0, body(large, 'x'))
  const began = performance.now()
  await admin.send(topic, 1, 'small')
  await delay(1_000)
  await admin.send(topic, 1, 'later')
  await until(() => seen.length === 3, {
    timeoutMs: 60_000,
    what: () => `3 messages, after ${JSON.stringify(seen)}, ${told}`,
  })
  const took = performance.now() - began
  expect(took).toBeLessThan(mostMs(line.down.passed - before, 300_000))
  expect(seen.filter(([queueId]) => queueId === 0)).toEqual([[0, large]])
  expect(seen.filter(([queueId]) => queueId === 1)).toEqual([
    [1, 5],
    [1, 5],
  ])
  expect(told).toEqual([])
  expect(consumer.health()).toMatchObject({ ok: true })
  expect(line.accepted).toBe(1)
}, 90_000)

test('a send of 4 MiB over a thin up-link: one attempt, at its pace; what waits behind it in vain was never stored', async () => {
  const { cluster, line } = await proxied()
  const topic = await createTopic({ queues: 2 })
  const { client, told } = await producer(cluster, { topics: [topic] })
  const queueIdOf = async (key) => (await client.sendOrderly({ topic, body: 'where' }, key)).queue.queueId
  const queueId = await queueIdOf('k')
  let other = 'l'
  while ((await queueIdOf(other)) === queueId) other += 'l'
  // What the proxy's own system takes in at once, up to 1 MB, counts as arrived: it must pass within a request's time.
  line.up.rate = 600_000
  const large = 4 * MIB - 64 * 1024
  const [before, began] = [line.up.passed, performance.now()]
  const sending = client.sendOrderly({ topic, body: body(large, 'x') }, 'k')
  await delay(300)
  const [hasty, patient] = [
    client.sendOrderly({ topic, body: 'in vain' }, other, { timeoutMs: 1_500 }).catch((error) => error),
    client.sendOrderly({ topic, body: 'patient' }, 'k'),
  ]
  expect(await hasty).toMatchObject({ code: 'ERR_ROCKETMQ_TIMEOUT', outcome: 'not-stored', topic })
  expect(performance.now() - began).toBeLessThan(5_000)
  await sending
  expect(performance.now() - began).toBeLessThan(mostMs(line.up.passed - before, 600_000))
  await patient
  expect(client.stats().retries).toBe(0)
  expect(told).toEqual([])
  const stored = await admin.readBack(topic)
  expect(stored.filter(({ body: { length } }) => length === large).length).toBe(1)
  expect(stored.filter(({ body: text }) => text.toString() === 'in vain')).toEqual([])
  expect(stored.filter(({ body: text }) => text.toString() === 'patient').length).toBe(1)
}, 90_000)

test('a broker far away that is read in small pieces: what is called at once leaves together, and order holds', async () => {
  const { cluster, line } = await proxied()
  const topic = await createTopic({ queues: 1 })
  const { client, told } = await producer(cluster, { topics: [topic] })
  for (const way of [line.up, line.down]) Object.assign(way, { latencyMs: 150, window: 1, trickle: 100 })
  const began = performance.now()
  const sends = Array.from({ length: 500 }, (_, i) => client.sendOrderly({ topic, body: String(i) }, 'k'))
  const results = await Promise.all(sends)
  const took = performance.now() - began
  expect(took).toBeGreaterThan(300) // there and back
  expect(client.stats().requests).toBeLessThanOrEqual(3)
  expect(results.map(({ queueOffset }) => queueOffset)).toEqual(sends.map((_, i) => i))
  expect(client.stats()).toMatchObject({ sent: 500, failed: 0, retries: 0 })
  expect(told).toEqual([])
}, 90_000)
