'use strict'
// A broker that is found at another address, or has got a master again: routes are asked for when something fails, not at their next
// tick of 30 s.

const { Producer, PushConsumer } = require('../..')
const { admin, backend, clients, createTopic, uniqueGroup, until } = require('../support')
const { ProxiedCluster } = require('../support/proxy')

/** Above what a busy machine takes, and below the mean of what waiting for the next tick takes. */
const SOON_MS = 12_000

async function working() {
  const cluster = clients.add(await ProxiedCluster.start(backend))
  const topic = await createTopic({ queues: 2 })
  const nameServer = cluster.nameServer.address
  const seen = []
  const consumer = clients.add(
    new PushConsumer({ groupId: uniqueGroup(), nameServer, initialPosition: 'first', commitIntervalMs: 50 }),
  )
  consumer.subscribe(topic, (message) => void seen.push(`${message.queue.queueId}: ${message.text()}`))
  const producer = clients.add(new Producer({ groupId: uniqueGroup('P'), nameServer, topics: [topic] }))
  for (const client of [consumer, producer]) client.on('warning', () => {}) // of what the proxies do
  await Promise.all([consumer.start(), producer.start()])
  const store = async (text) => {
    for (const queueId of [0, 1]) await admin.send(topic, queueId, text)
  }
  /** Waits until both queues have handled it; in milliseconds. */
  const handled = async (text, since) => {
    const all = () => [0, 1].every((queueId) => seen.includes(`${queueId}: ${text}`))
    await until(all, { intervalMs: 5, what: () => `${text}, after ${seen}` })
    return performance.now() - since
  }
  await store('a')
  await handled('a', 0)
  return { cluster, topic, seen, consumer, producer, store, handled }
}

test('a broker that has moved: its consumer goes on within seconds, nothing lost or overtaken, and a producer finds it', async () => {
  const { cluster, topic, seen, consumer, producer, store, handled } = await working()
  const moved = performance.now()
  await cluster.move()
  await store('b')
  const took = await handled('b', moved)
  expect(took).toBeLessThan(SOON_MS)
  await store('c')
  await handled('c', moved)
  for (const queueId of [0, 1]) {
    const own = seen.filter((text) => text.startsWith(`${queueId}: `))
    expect(own.filter((text, i) => own.indexOf(text) === i)).toEqual(
      ['a', 'b', 'c'].map((text) => `${queueId}: ${text}`),
    )
  }
  await producer.sendOrderly({ topic, body: 'd' }, 'k', { timeoutMs: SOON_MS })
  await until(() => consumer.health().ok && producer.health().ok, {
    what: () => `${[...consumer.health().problems, ...producer.health().problems]}`,
  })
})

test('a broker without a master pauses its queues, and they go on within seconds of its return', async () => {
  const { cluster, consumer, store, handled } = await working()
  cluster.isHeadless = true
  cluster.brokers[0].reset() // has the routes looked at
  await until(() => consumer.health().problems.some(({ code }) => code === 'ERR_ROCKETMQ_NO_MASTER'), {
    what: 'NO_MASTER',
  })
  await store('b')
  cluster.isHeadless = false
  const took = await handled('b', performance.now())
  expect(took).toBeLessThan(SOON_MS)
})
