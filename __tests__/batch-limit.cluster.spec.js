'use strict'
// A broker that takes less in one request than brokers do by default: batches of its size, in order, and one warning.
const { startCluster, startProducer, uniqueTopic } = require('./support')

const LIMIT = 64 * 1024
const MESSAGES = 6_000

let cluster

beforeAll(async () => {
  cluster = await startCluster({ brokerProperties: { maxMessageSize: LIMIT } })
}, 240_000)

async function start(queues) {
  const topic = uniqueTopic()
  await cluster.createTopic(topic, { queues })
  const producer = await startProducer({ nameServer: cluster.nameServer })
  const warnings = []
  producer.on('warning', (error) => warnings.push(error))
  return { topic, producer, warnings }
}

/** Bodies of a KiB that can be told apart. */
const bodies = (from, count) => Array.from({ length: count }, (_, i) => `${from + i}`.padStart(1_024, '0'))

test('a burst of small messages goes on in batches that the broker takes, in order, and is told once', async () => {
  const { topic, producer, warnings } = await start(1)
  const all = bodies(0, MESSAGES)
  const requests = []
  for (let from = 0; from < MESSAGES; from += MESSAGES / 3) {
    const before = producer.stats().requests
    const sent = all.slice(from, from + MESSAGES / 3)
    const results = await Promise.all(sent.map((body) => producer.sendOrderly({ topic, body }, 'one')))
    expect(results.map(({ queueOffset }) => queueOffset)).toEqual(sent.map((_, i) => from + i))
    requests.push(producer.stats().requests - before)
  }
  // About 50 messages fit; where JavaScript is the slower one, few are waiting. One by one they would be 2 000 each time.
  expect(requests.filter((count) => count > MESSAGES / 3 / 2)).toEqual([])
  const stored = await cluster.admin.readBack(topic, { expected: MESSAGES })
  expect(stored.map(({ body }) => body.toString())).toEqual(all)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toMatchObject({ code: 'ERR_ROCKETMQ_BROKER', topic, address: cluster.brokers[0].address })
  expect(warnings[0].message).toContain('maxMessageSize')
  expect(producer.health().ok).toBe(true)
})

test('one message that is too large fails alone, and is found without sending the others one by one', async () => {
  const { topic, producer } = await start(2)
  const sends = bodies(0, 1_000).map((body, i) => [i === 500 ? 'x'.repeat(LIMIT + 1) : body, `key-${i}`])
  const settled = await Promise.allSettled(sends.map(([body, key]) => producer.sendOrderly({ topic, body }, key)))
  const failed = settled.flatMap(({ reason }, i) => (reason ? [[i, reason.outcome, reason.brokerCode]] : []))
  expect(failed).toEqual([[500, 'not-stored', 13]])
  // How many wait for one request depends on the machine; one by one they would be 1 000.
  expect(producer.stats().requests).toBeLessThan(800)
})

test("a batch of the user's that is too large is refused whole, and says so", async () => {
  const { topic, producer } = await start(1)
  const messages = bodies(0, 100).map((body) => ({ topic, body }))
  const error = await producer.sendOrderlyBatch(messages, 'one').catch((reason) => reason)
  expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_BROKER', outcome: 'not-stored' })
  expect(error.message).toContain('maxMessageSize')
  expect(await cluster.admin.maxOffset(topic, 0)).toBe(0)
})
