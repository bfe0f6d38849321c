'use strict'
const { keys, hashes, topics } = require('../scripts/vectors/sharding.json')
const { clients, startCluster, startProducer, uniqueTopic, until } = require('./support')

jest.setTimeout(400_000)

let cluster
beforeAll(async () => {
  cluster = await startCluster({ brokers: 2 })
})

const producer = (options) => startProducer({ nameServer: cluster.nameServer, ...options })

/** A topic with so many queues on each broker. @param {Record<string, number>} queues */
async function topicOn(queues) {
  const topic = uniqueTopic()
  for (const [broker, count] of Object.entries(queues)) {
    await cluster.admin.createTopic(topic, { queues: count, brokers: [broker] })
  }
  return topic
}

const name = ({ brokerName, queueId }) => `${brokerName}/${queueId}`

describe.each(Object.keys(hashes))("1 000 keys go where the clients of '%s' send them", (hash) => {
  test.each(Object.keys(topics))('over %s queues of two brokers', async (count) => {
    const topic = await topicOn(topics[count])
    const client = await producer({ shardingHash: hash })
    const list = await client.queues(topic)
    expect(list.map(name)).toEqual(
      Object.entries(topics[count]).flatMap(([broker, queues]) =>
        Array.from({ length: queues }, (_, i) => `${broker}/${i}`),
      ),
    )
    const sent = await Promise.all(keys.map((key) => client.sendOrderly({ topic, body: 'x' }, key)))
    const theirs = [...hashes[hash][count]].map((digit) => list[Number.parseInt(digit, 36)])
    expect(sent.map(({ queue }, i) => [keys[i], name(queue)])).toEqual(keys.map((key, i) => [key, name(theirs[i])]))
  })
})

describe('a function', () => {
  test('is asked for each send, with the queues as queues() lists them, and chooses', async () => {
    const topic = await topicOn({ 'broker-a': 2, 'broker-b': 3 })
    const asked = []
    const shardingHash = (key, queues) => {
      asked.push([key, queues])
      return Number(key) % queues.length
    }
    const client = await producer({ topics: [topic], shardingHash })
    const sends = Array.from({ length: 50 }, (_, i) => client.sendOrderly({ topic, body: `${i}` }, `${i % 10}`))
    expect(asked.map(([key]) => key)).toEqual(sends.map((_, i) => `${i % 10}`))
    const list = await client.queues(topic)
    const results = await Promise.all(sends)
    expect(results.map(({ queue }) => queue)).toEqual(results.map((_, i) => list[(i % 10) % 5]))
    const [[, first]] = asked
    expect(first).toEqual(list)
    expect(Object.isFrozen(first) && first.every(Object.isFrozen)).toBe(true)
    for (const [, queues] of asked) expect(queues).toBe(first)
    const batch = await client.sendOrderlyBatch(
      [
        { topic, body: 'x' },
        { topic, body: 'y' },
      ],
      '3',
    )
    expect(batch.map(({ queue }) => queue)).toEqual([list[3], list[3]])
  })

  test('is asked later where the route is not known at the call, and everything stays in order', async () => {
    const topic = await topicOn({ 'broker-a': 2, 'broker-b': 2 })
    const client = await producer({ shardingHash: (key, queues) => (queues.length - 1 - Number(key)) % queues.length })
    const sends = Array.from({ length: 40 }, (_, i) => client.sendOrderly({ topic, body: `${i}` }, `${i % 4}`))
    const results = await Promise.all(sends)
    const list = await client.queues(topic)
    expect(results.map(({ queue }) => queue)).toEqual(results.map((_, i) => list[3 - (i % 4)]))
    const stored = await cluster.admin.readBack(topic, { expected: 40 })
    for (const key of ['0', '1', '2', '3']) {
      const bodies = stored.filter(({ shardingKey }) => shardingKey === key).map(({ body }) => Number(body))
      expect(bodies).toEqual(Array.from({ length: 10 }, (_, i) => Number(key) + 4 * i))
    }
  })

  test.each([
    ['an index too large', () => 4, 'must return an integer from 0 to 3, an index of the queues, not 4'],
    ['an index below 0', () => -1, 'not -1'],
    ['half an index', () => 1.5, 'not 1.5'],
    ['no number', () => NaN, 'not NaN'],
    ['a promise', () => Promise.resolve(0), 'not an object'],
    ['nothing', () => {}, 'not undefined'],
    [
      'an exception',
      () => {
        throw new TypeError('no such shard')
      },
      'has thrown TypeError: no such shard',
    ],
  ])('%s refuses its send, at the call or later, and nothing else', async (_, wrong, text) => {
    const topic = await topicOn({ 'broker-a': 2, 'broker-b': 2 })
    const client = await producer({ shardingHash: (key) => (key === 'bad' ? wrong() : 1) })
    const refusal = expect.objectContaining({
      code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
      message: expect.stringMatching(/^shardingHash: /),
      outcome: 'not-stored',
      topic,
    })
    const send = (body, key) => client.sendOrderly({ topic, body }, key).catch((error) => error)
    // The first of its topic: nobody knows the queues yet.
    const early = ['bad', 'good', 'bad', 'good'].map((key, i) => send(`early ${i}`, key))
    const [refused, stored, behind, next] = await Promise.all(early)
    expect(refused).toEqual(refusal)
    expect(refused.message).toContain(text)
    expect(behind.code).toMatch(/^ERR_ROCKETMQ_(ORDER_BROKEN|INVALID_ARGUMENT)$/)
    expect([stored.queueOffset, next.queueOffset]).toEqual([0, 1])
    const late = await send('late', 'bad')
    expect(late).toEqual(refusal)
    expect(late.message).toContain(text)
    expect((await send('late', 'good')).queueOffset).toBe(2)
    expect(client.stats().pendingMessages).toBe(0)
    const bodies = (await cluster.admin.readBack(topic, { expected: 3 })).map(({ body }) => body.toString())
    expect(bodies).toEqual(['early 1', 'early 3', 'late'])
  })

  test('a key whose broker is gone moves to the queue that is chosen then, in order', async () => {
    const topic = await topicOn({ 'broker-a': 1, 'broker-b': 1 })
    const client = await producer({
      topics: [topic],
      sendTimeoutMs: 120_000,
      shardingHash: (key, queues) => queues.length - 1,
    })
    await client.sendOrderly({ topic, body: '0' }, 'k')
    const [, victim] = cluster.brokers
    clients.add({ close: () => victim.start() })
    const changes = []
    client.on('routeChanged', (changed, queues) => changes.push(queues.length))
    // What is written into a dying connection may be stored, and stays with its broker.
    const disconnected = new Promise((resolve) => client.once('disconnected', resolve))
    await victim.kill9()
    await disconnected
    const sends = Array.from({ length: 20 }, (_, i) => client.sendOrderly({ topic, body: `${i + 1}` }, 'k'))
    await until(() => changes.includes(1), { timeoutMs: 60_000, what: 'the route to shrink' })
    const results = await Promise.all([...sends, client.sendOrderly({ topic, body: '21' }, 'k')])
    expect(new Set(results.map(({ queue }) => queue.brokerName))).toEqual(new Set(['broker-a']))
    const there = (await cluster.admin.readBack(topic, { expected: 21 })).filter((m) => m.brokerName === 'broker-a')
    expect(there.map(({ body }) => body.toString())).toEqual(Array.from({ length: 21 }, (_, i) => `${i + 1}`))
  })
})
