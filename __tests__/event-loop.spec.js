'use strict'
// The event loop is the program's: whatever comes from native by the ten thousand is taken a little in each turn. Counts of what happens
// in one turn, since times are the machine's.

const { setImmediate: turn } = require('node:timers/promises')
const { setTimeout: delay } = require('node:timers/promises')
const { PushConsumer } = require('..')
const native = require('../src/js/addon.js')
const { backend, clients, createTopic, startProducer, uniqueGroup } = require('./support')

const MESSAGES = 30_000
/** Half a millisecond of work is some hundreds of settlements, however fast the machine. */
const MOST_PER_TURN = 4_000

/** Counts how many of these promises settle in one turn of the event loop, at most, and how they do. */
async function watch(promises) {
  const codes = new Map()
  let settled = 0
  for (const promise of promises) {
    const note = (code) => {
      codes.set(code, (codes.get(code) ?? 0) + 1)
      settled++
    }
    promise.then(
      () => note('stored'),
      ({ code }) => note(code),
    )
  }
  let most = 0
  for (let before = 0; settled < promises.length; before = settled) {
    await turn()
    most = Math.max(most, settled - before)
  }
  return { most, codes }
}

test('a burst of sends settles a little in each turn', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  const sends = Array.from({ length: MESSAGES }, () => producer.sendOrderly({ topic, body: 'x' }, 'one'))
  const { most, codes } = await watch(sends)
  expect([...codes]).toEqual([['stored', MESSAGES]])
  expect(most).toBeLessThan(MOST_PER_TURN)
  const offsets = (await Promise.all(sends)).map(({ queueOffset }) => queueOffset)
  expect(offsets).toEqual(offsets.map((_, i) => offsets[0] + i))
})

test('sends that all fail at once are rejected a little in each turn', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  await producer.sendOrderly({ topic, body: 'x' }, 'warm-up')
  const sends = Array.from({ length: MESSAGES }, (_, i) =>
    producer.sendOrderly({ topic, body: 'x' }, `key-${i % 100}`, { timeoutMs: 1 }),
  )
  const { most, codes } = await watch(sends)
  // Those whose request had left before their time was up may be stored, or unknown.
  const failed = (codes.get('ERR_ROCKETMQ_ORDER_BROKEN') ?? 0) + (codes.get('ERR_ROCKETMQ_TIMEOUT') ?? 0)
  expect(failed + (codes.get('stored') ?? 0)).toBe(MESSAGES)
  expect(failed).toBeGreaterThan(0)
  expect(most).toBeLessThan(MOST_PER_TURN)
  await producer.sendOrderly({ topic, body: 'afresh' }, 'key-0')
})

test('a signal that twenty thousand sends share is quick, and takes out what waits', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer({ batching: 'off' }) // so that most wait
  await producer.sendOrderly({ topic, body: 'x' }, 'warm-up')
  const controller = new AbortController()
  const began = performance.now()
  const { signal } = controller
  const sends = Array.from({ length: 20_000 }, (_, i) =>
    producer.sendOrderly({ topic, body: 'x' }, `key-${i % 64}`, { signal }),
  )
  const called = performance.now()
  controller.abort('enough')
  const aborted = performance.now()
  const { most, codes } = await watch(sends)
  expect((codes.get('stored') ?? 0) + (codes.get('ERR_ROCKETMQ_ABORTED') ?? 0)).toBe(sends.length)
  expect(codes.get('ERR_ROCKETMQ_ABORTED')).toBeGreaterThan(0)
  expect(most).toBeLessThan(MOST_PER_TURN)
  // Much less than to call them; one by one it was about as much.
  expect(aborted - called).toBeLessThan((called - began) / 2)
})

test('a backlog of many queues is handled a little in each turn', async () => {
  const topic = await createTopic({ queues: 64 })
  const producer = await startProducer()
  const sends = Array.from({ length: MESSAGES }, (_, i) =>
    producer.sendOrderly({ topic, body: 'x' }, `key-${i % 1_000}`),
  )
  await Promise.all(sends)
  let handled = 0
  const options = { groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first', concurrency: 20 }
  await clients
    .add(new PushConsumer(options))
    .subscribe(topic, () => void handled++)
    .start()
  let most = 0
  for (let before = 0; handled < MESSAGES; before = handled) {
    await turn()
    most = Math.max(most, handled - before)
  }
  expect(handled).toBe(MESSAGES)
  expect(most).toBeLessThan(MOST_PER_TURN)
})

test('a lone send costs a few calls of native, and no turns of the loop behind it', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  await producer.sendOrderly({ topic, body: 'x' }, 'warm-up')
  await delay(50)
  const take = jest.spyOn(native, 'producerTake')
  const turned = jest.spyOn(native, 'producerTurned')
  try {
    for (let i = 0; i < 20; i++) {
      await producer.sendOrderly({ topic, body: 'x' }, `key-${i}`)
      await delay(20)
    }
    // Its outcome, "a turn, please", "nothing more"; and what brokers have to say meanwhile.
    expect(take.mock.calls.length).toBeLessThan(5 * 20)
    expect(turned.mock.calls.length).toBeLessThanOrEqual(20)
  } finally {
    take.mockRestore()
    turned.mockRestore()
  }
})
