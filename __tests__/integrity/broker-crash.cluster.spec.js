'use strict'
// A broker is killed while messages flow, and stays away for longer than a lock counts. It begins with the offsets that its disk had, up to 5 s
// old ones; the process that has handled what came since goes on behind it.
const { PushConsumer } = require('../..')
const { clients, startCluster, startProducer, uniqueGroup, until } = require('../support')

jest.setTimeout(300_000)

const QUEUES = 4
const KEYS = 16
/** Longer than a broker takes to write offsets to its disk, so that some are there. */
const BEFORE_MS = 7_000

/** A consumer that remembers what it has handled, by queue and offset, in the order of the calls. */
function remembering(nameServer, by) {
  const calls = []
  const lost = new Set()
  const options = { groupId: uniqueGroup(by), nameServer, initialPosition: 'first', startTimeoutMs: 30_000 }
  const consumer = clients.add(new PushConsumer({ ...options, concurrency: { max: 20, by } }))
  consumer.on('warning', () => {}).on('lockLost', ({ queueId }) => lost.add(queueId))
  consumer.subscribe('orders', ({ queue: { queueId }, queueOffset, shardingKey }) => {
    calls.push({ queueId, queueOffset, shardingKey })
  })
  return { consumer, calls, lost }
}

const nameOf = ({ queueId, queueOffset }) => `${queueId}/${queueOffset}`
const repeated = (calls) => calls.length - new Set(calls.map(nameOf)).size

/** Whether the offsets of each of these rise, which are told apart by a name. */
function inOrder(calls, name) {
  const last = new Map()
  return calls.every((call) => {
    const before = last.get(name(call)) ?? -1
    last.set(name(call), call.queueOffset)
    return call.queueOffset > before
  })
}

test('after a killed broker nothing that this process has handled comes again, though its locks have run out', async () => {
  const cluster = await startCluster()
  const [broker] = cluster.brokers
  await cluster.createTopic('orders', { queues: QUEUES })
  const members = ['queue', 'key'].map((by) => remembering(cluster.nameServer, by))
  for (const { consumer } of members) await consumer.start()
  const sender = await startProducer({ nameServer: cluster.nameServer, sendTimeoutMs: 120_000 })
  sender.on('warning', () => {})
  let count = 0
  let isOver = false
  const sending = (async () => {
    while (!isOver) {
      const keys = Array.from({ length: KEYS }, (_, i) => `key-${i}`)
      await Promise.all(keys.map((key) => sender.sendOrderly({ topic: 'orders', body: 'x' }, key)))
      count += KEYS
    }
  })()
  await new Promise((resolve) => setTimeout(resolve, BEFORE_MS))
  await broker.kill9()
  const before = members.map(({ calls }) => calls.length)
  expect(before.every((calls) => calls > 500)).toBe(true)
  await until(() => members.every(({ lost }) => lost.size === QUEUES), { timeoutMs: 60_000, what: 'locks run out' })
  await broker.start()
  const again = members.map(({ calls }) => calls.length)
  await until(() => members.every(({ calls }, i) => calls.length > again[i] + 500), { timeoutMs: 120_000 })
  isOver = true
  await sending
  const ends = await Promise.all(Array.from({ length: QUEUES }, (_, i) => cluster.admin.maxOffset('orders', i)))
  const stored = ends.reduce((sum, end) => sum + end, 0)
  expect(stored).toBeGreaterThanOrEqual(count)
  for (const { consumer, calls } of members) {
    const handled = () => new Set(calls.map(nameOf)).size
    await until(() => handled() === stored, { timeoutMs: 60_000, what: () => `${handled()} of ${stored} handled` })
    await consumer.close()
    expect(repeated(calls)).toBe(0)
    for (const [queueId, end] of ends.entries()) {
      expect(await cluster.admin.committedOffset(consumer.groupId, 'orders', queueId)).toBe(end)
    }
  }
  const [byQueue, byKey] = members.map(({ calls }) => calls)
  expect(inOrder(byQueue, ({ queueId }) => queueId)).toBe(true)
  expect(inOrder(byKey, ({ queueId, shardingKey }) => `${queueId} ${shardingKey}`)).toBe(true)
})
