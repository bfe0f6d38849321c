'use strict'
const { setTimeout: delay } = require('node:timers/promises')
const { PushConsumer } = require('..')
const { clients, startCluster, startProducer, uniqueGroup, uniqueTopic, until } = require('./support')

jest.setTimeout(400_000)

let cluster
beforeAll(async () => {
  cluster = await startCluster({ brokers: 2 })
})

const producer = (options) => startProducer({ nameServer: cluster.nameServer, ...options })

async function topicOnBoth() {
  const topic = uniqueTopic()
  await cluster.admin.createTopic(topic, { queues: 8 })
  return topic
}

test('one of two brokers killed and back: every acknowledged message is there, in call order per key and queue', async () => {
  const topic = await topicOnBoth()
  const client = await producer({ sendTimeoutMs: 60_000 })
  const changes = []
  client.on('routeChanged', (changed, queues) => changes.push([changed, queues.length]))
  await client.queues(topic)
  const [, victim] = cluster.brokers
  const results = []
  let sequence = 0
  let sending = true
  const loop = (async () => {
    while (sending) {
      for (let i = 0; i < 32; i++) {
        const number = sequence++
        const key = `key-${number % 32}`
        results.push(
          client.sendOrderly({ topic, body: `${number}` }, key).then(
            (result) => ({ number, key, result }),
            (error) => ({ number, key, error }),
          ),
        )
      }
      await delay(20)
    }
  })()
  clients.add({ close: () => ((sending = false), loop) })
  await until(() => sequence > 1_000)
  await victim.kill9()
  await until(() => changes.some(([, count]) => count === 8), { timeoutMs: 60_000, what: 'the route to shrink' })
  await victim.restart()
  await until(() => changes.some(([, count], i) => count === 16 && i > 0), {
    timeoutMs: 60_000,
    what: 'the route to grow again',
  })
  const until32more = sequence + 320
  await until(() => sequence > until32more)
  sending = false
  await loop
  const settled = await Promise.all(results)
  const stored = await cluster.admin.readBack(topic, { expected: settled.filter(({ result }) => result).length })
  const at = new Map(stored.map((m) => [`${m.brokerName}/${m.queueId}/${m.queueOffset}`, m]))
  const isThere = ({ number, result: { queue, queueOffset, msgId } }) => {
    const message = at.get(`${queue.brokerName}/${queue.queueId}/${queueOffset}`)
    return message?.body.toString() === String(number) && message.msgId === msgId
  }
  // Tens of thousands: an assertion for each would take longer than all else.
  expect(settled.filter((send) => send.result && !isThere(send))).toEqual([])
  // First stored copies per key and queue are in call order.
  const unknown = new Set(settled.filter(({ error }) => error?.outcome === 'unknown').map(({ number }) => number))
  const lanes = new Map()
  for (const m of stored) {
    const lane = `${m.shardingKey}@${m.brokerName}/${m.queueId}`
    const seen = lanes.get(lane) ?? { ids: new Set(), numbers: [] }
    lanes.set(lane, seen)
    if (seen.ids.has(m.msgId) || unknown.has(Number(m.body.toString()))) continue
    seen.ids.add(m.msgId)
    seen.numbers.push(Number(m.body.toString()))
  }
  for (const [lane, { numbers }] of lanes) expect([lane, numbers]).toEqual([lane, [...numbers].sort((a, b) => a - b)])
  const stats = client.stats()
  expect(stats.sent + stats.failed).toBe(settled.length)
  expect(settled.filter(({ error }) => error && !String(error.code).startsWith('ERR_ROCKETMQ_'))).toEqual([])
})

test("onRouteChange 'hold': the keys of a broker that is away wait for it, those of the other go on", async () => {
  const topic = await topicOnBoth()
  const client = await producer({ onRouteChange: 'hold', sendTimeoutMs: 300_000, topics: [topic] })
  const keys = Array.from({ length: 64 }, (_, i) => `key-${i}`)
  const send = (body) => keys.map((key) => client.sendOrderly({ topic, body }, key))
  const homes = (await Promise.all(send('1'))).map(({ queue }) => queue)
  let away = false
  client.on('routeChanged', (_topic, queues) => (away ||= queues.length === 8))
  const [, victim] = cluster.brokers
  await victim.kill9()
  const sends = send('2')
  // They are awaited below; a test that fails before says why it did, not how they ended.
  for (const sent of sends) sent.catch(() => {})
  await until(() => away, { timeoutMs: 60_000, what: 'the route to shrink' })
  const isHeld = ({ brokerName }) => brokerName === victim.name
  await Promise.all(sends.filter((_, i) => !isHeld(homes[i])))
  expect(client.stats().pendingMessages).toBe(homes.filter(isHeld).length)
  expect(homes.filter(isHeld).length).toBeGreaterThan(0)
  await victim.restart()
  expect((await Promise.all(sends)).map(({ queue }) => queue)).toEqual(homes)
})

test('a broker restarted under a consumer: its queues go on from where they were, nothing is lost or overtaken', async () => {
  const topic = await topicOnBoth()
  const sender = await producer({ sendTimeoutMs: 60_000 })
  const seen = new Map()
  const warnings = []
  const client = clients.add(
    new PushConsumer({ groupId: uniqueGroup(), nameServer: cluster.nameServer, initialPosition: 'first' }),
  )
  client.subscribe(topic, async (message) => {
    await delay(1)
    const queue = `${message.queue.brokerName}/${message.queue.queueId}`
    seen.set(queue, [...(seen.get(queue) ?? []), message.queueOffset])
  })
  client.on('warning', (warning) => warnings.push(warning.code))
  await client.start()
  const send = (count) =>
    Promise.all(
      Array.from({ length: count }, (_, i) => sender.sendOrderly({ topic, body: String(i) }, `key-${i % 64}`)),
    )
  const total = () => [...seen.values()].reduce((sum, offsets) => sum + new Set(offsets).size, 0)
  await send(640)
  await until(() => total() >= 640)
  await cluster.brokers[0].kill9()
  await cluster.brokers[0].restart()
  await send(640)
  await until(() => total() >= 1_280, { timeoutMs: 60_000 })
  for (const [queue, offsets] of seen) {
    // Repeats are allowed after a crash, as a suffix; going back to something never handled is not.
    const firsts = offsets.filter((offset, i) => offsets.indexOf(offset) === i)
    expect([queue, firsts]).toEqual([queue, firsts.map((_, i) => i)])
  }
})
