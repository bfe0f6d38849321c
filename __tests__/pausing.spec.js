'use strict'
// pause() and resume(): nothing starts meanwhile, queues keep their locks and are handed over, and go on where they were.

const { PushConsumer } = require('..')
const { backend, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

const KEYS = 16

/** Messages 0, 1, … of some keys. */
async function fill(topic, count) {
  const producer = await startProducer()
  const body = (i) => JSON.stringify({ key: i % KEYS, number: i })
  await Promise.all(
    Array.from({ length: count }, (_, i) => producer.sendOrderly({ topic, body: body(i) }, `key-${i % KEYS}`)),
  )
}

/** Handlers remember what they were given, by topic. */
function consumer(groupId, topics, seen, then = () => {}) {
  const client = new PushConsumer({ groupId, nameServer: backend.nameServer, initialPosition: 'first' })
  for (const topic of topics) {
    seen[topic] ??= []
    client.subscribe(topic, (message) => {
      seen[topic].push({ ...message.json(), queue: message.queue.queueId })
      return then(client, message)
    })
  }
  return clients.add(client)
}

const numbers = (seen) => seen.map(({ number }) => number)
const states = (client, topic) => client.assignment().flatMap((queue) => (queue.topic === topic ? [queue.state] : []))
const all = (count) => Array.from({ length: count }, (_, i) => i)

function expectOrder(seen, count) {
  expect(numbers(seen).sort((a, b) => a - b)).toEqual(all(count))
  for (let key = 0; key < KEYS; key++) {
    const ofKey = numbers(seen.filter((message) => message.key === key))
    expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b))
  }
}

test('a topic that is paused by its handler stands behind that message; the other topic goes on', async () => {
  const [paused, other] = [await createTopic({ queues: 1 }), await createTopic({ queues: 1 })]
  await Promise.all([fill(paused, 200), fill(other, 200)])
  const seen = {}
  const client = consumer(uniqueGroup(), [paused, other], seen, (client, { topic }) => {
    if (topic === paused && seen[topic].length === 20) client.pause(topic)
  })
  await client.start()
  await until(() => seen[other].length === 200, { what: () => `${seen[other].length} of the other topic` })
  await until(() => client.assignment().find(({ topic }) => topic === paused)?.committedOffset === 20, {
    what: () => JSON.stringify(client.assignment()),
  })
  expect(numbers(seen[paused])).toEqual(all(20))
  expect([states(client, paused), states(client, other)]).toEqual([['paused'], ['running']])
  expect(client.health()).toEqual({ ok: true, problems: [] })
  client.resume(paused)
  await until(() => seen[paused].length === 200, { what: () => `${seen[paused].length} of the paused topic` })
  expect(numbers(seen[paused])).toEqual(all(200))
  expect(states(client, paused)).toEqual(['running'])
})

test('one queue stands, the others of its topic go on', async () => {
  const topic = await createTopic({ queues: 4 })
  const seen = {}
  const client = consumer(uniqueGroup(), [topic], seen)
  await client.start()
  await until(() => states(client, topic).filter((state) => state === 'running').length === 4)
  const queue = client.assignment().find(({ queueId }) => queueId === 2)
  client.pause(queue)
  await fill(topic, 400)
  const ofQueue = () => seen[topic].filter((message) => message.queue === 2).length
  await until(() => client.assignment().every(({ lag, queueId }) => queueId === 2 || lag === 0), {
    what: () => JSON.stringify(client.assignment()),
  })
  await until(() => client.assignment().find(({ queueId }) => queueId === 2).lag > 0)
  expect(ofQueue()).toBe(0)
  client.resume(queue)
  await until(() => seen[topic].length === 400, { what: () => `${seen[topic].length} of 400` })
  expectOrder(seen[topic], 400)
})

test('paused before start(), a consumer has its queues and handles nothing; others get their share and give it back', async () => {
  const topic = await createTopic({ queues: 4 })
  await fill(topic, 400)
  const groupId = uniqueGroup()
  const [ofFirst, ofSecond] = [{}, {}]
  const first = consumer(groupId, [topic], ofFirst)
  first.pause()
  await first.start()
  await until(() => states(first, topic).filter((state) => state === 'paused').length === 4)
  const second = consumer(groupId, [topic], ofSecond)
  await second.start()
  await until(() => second.assignment().length === 2 && second.assignment().every(({ lag }) => lag === 0), {
    what: () => JSON.stringify(second.assignment()),
  })
  await second.close()
  await until(() => states(first, topic).filter((state) => state === 'paused').length === 4, {
    what: () => JSON.stringify(first.assignment()),
  })
  expect(ofFirst[topic]).toEqual([])
  first.resume()
  await until(() => ofFirst[topic].length + ofSecond[topic].length >= 400, { what: () => `${ofFirst[topic].length}` })
  expectOrder([...ofSecond[topic], ...ofFirst[topic]], 400)
})

test('a paused consumer closes as quickly as any other', async () => {
  const topic = await createTopic({ queues: 2 })
  await fill(topic, 100)
  const seen = {}
  const client = consumer(uniqueGroup(), [topic], seen, (client) => client.pause())
  await client.start()
  await until(() => states(client, topic).every((state) => state === 'paused') && seen[topic].length > 0)
  const handled = seen[topic].length
  const began = performance.now()
  await client.close()
  expect(performance.now() - began).toBeLessThan(5_000)
  expect(seen[topic]).toHaveLength(handled)
  expect(() => client.pause()).toThrow(expect.objectContaining({ code: 'ERR_ROCKETMQ_CLOSED' }))
})
