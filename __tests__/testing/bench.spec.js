'use strict'
// The benchmarks work: one short round of this package and of the limit, on a broker in memory. Its figures mean nothing.

const { TestBroker } = require('../../testing')
const { Bench } = require('../../benches/bench')
const { WORKLOADS } = require('../../benches/workloads')

const PEERS = ['ours', 'limit', 'rocketmq-client-nodejs']

let bench

beforeAll(async () => {
  const broker = await TestBroker.start({ topics: [] })
  bench = new Bench({ version: '4.9.7', isQuick: true, profile: 'debug' })
  await bench.start(PEERS, {
    nameServer: broker.nameServer,
    createTopic: (topic, { queues }) => broker.createTopic(topic, { queues }),
    stop: () => broker.close(),
  })
}, 300_000) // the limit is compiled where it was not

afterAll(() => bench?.stop())

const run = (name) => bench.run(name, WORKLOADS[name], { rounds: 1, peers: PEERS })

test.each(['await', 'burst', 'keys-8'])('%s: what was sent is read back, in order', async (name) => {
  const { ours, limit, 'rocketmq-client-nodejs': without } = await run(name)
  for (const { rounds } of [ours, limit]) {
    expect(rounds).toEqual([expect.objectContaining({ inversions: 0, duplicates: 0, missing: 0, spreadKeys: 0 })])
    expect(rounds[0].stored).toBe(rounds[0].messages)
    expect(rounds[0].messages).toBeGreaterThan(0)
  }
  expect(without).toEqual({ cannot: 'speaks to proxies of 5.x only' })
})

test('drain: a backlog is handled in order', async () => {
  const { ours, limit } = await run('drain')
  expect(ours.rounds).toEqual([expect.objectContaining({ inversions: 0 })])
  expect(ours.rounds[0].messages).toBeGreaterThan(0)
  expect(limit.rounds[0].messages).toBeGreaterThan(ours.rounds[0].messages / 100)
})

test('latency: from the call to the handler', async () => {
  const { ours, limit } = await run('latency')
  for (const { rounds } of [ours, limit]) expect(rounds[0].p50Micros).toBeGreaterThan(0)
  expect(ours.rounds[0].inversions).toBe(0)
})

test('cold: a process begins, and its first send is acknowledged', async () => {
  const { ours } = await run('cold')
  expect(ours.rounds[0].coldMs).toBeGreaterThan(0)
  expect(ours.rounds[0].installMiB).toBeGreaterThan(0)
})

test('what lies out of order in the store is seen', async () => {
  const topic = await bench.createTopic('bench-shuffled', 1)
  const { Producer } = require('../..')
  const producer = await new Producer({ groupId: 'GID_shuffled', nameServer: bench.at.nameServer }).start()
  // Key 7 has its messages 0, 2, 1, and 1 once more.
  for (const number of [0, 2, 1, 1]) {
    await producer.sendOrderly({ topic, body: `0007${String(number).padStart(8, '0')}` }, 'one')
  }
  await producer.close()
  expect(await bench.readBack(topic, 1, 3)).toEqual({
    stored: 3,
    inversions: 1,
    duplicates: 1,
    spreadKeys: 0,
    missing: 0,
  })
}, 30_000)
