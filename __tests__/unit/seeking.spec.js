'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { PushConsumer } = require('../../index.js')
const { NativeConsumer, reset } = require('./fake-native.js')

const QUEUE = { topic: 'orders', brokerName: 'broker-a', queueId: 1 }
const consumers = []

async function start() {
  const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1' })
  consumers.push(consumer)
  await consumer.subscribe('orders', () => {}).start()
  return [consumer, NativeConsumer.last]
}

beforeEach(reset)
afterEach(() => Promise.all(consumers.splice(0).map((consumer) => consumer.close())))

test('native hears of each position in the call', async () => {
  const [consumer, native] = await start()
  const all = [0, Number.MAX_SAFE_INTEGER, 'first', 'last', new Date(1_700_000_000_000)].map((to) =>
    consumer.seek({ ...QUEUE, state: 'running' }, to),
  )
  expect(native.seeks).toEqual(
    [
      ['offset', 0],
      ['offset', Number.MAX_SAFE_INTEGER],
      ['first', 0],
      ['last', 0],
      ['timestamp', 1_700_000_000_000],
    ].map(([to, value]) => ({ ...QUEUE, to, value })),
  )
  expect(await Promise.all(all)).toEqual(all.map(() => undefined))
})

test.each([
  ['a negative offset', QUEUE, -1, /^to: must be an integer from 0 /],
  ['a fraction', QUEUE, 1.5, /^to: must be an integer/],
  ['no number', QUEUE, NaN, /^to: must be an integer/],
  ['an offset that no number can hold', QUEUE, 2 ** 53, /^to: must be an integer/],
  ['a bigint', QUEUE, 3n, /^to: must be an offset, 'first', 'last' or a Date, not 3/],
  ['another word', QUEUE, 'latest', /^to: must be 'first' or 'last', not "latest"; did you mean last\?/],
  ['no date', QUEUE, new Date(NaN), /^to: must be a valid date/],
  ['nothing', QUEUE, undefined, /^to: must be an offset/],
  ['a topic', 'orders', 0, /^queue: must be a queue, as assignment\(\) lists them/],
  [
    'a topic without a subscription',
    { ...QUEUE, topic: 'ordres' },
    0,
    /^queue\.topic: there is no subscription to ordres/,
  ],
  ['a queue without a broker', { topic: 'orders', queueId: 1 }, 0, /^queue\.brokerName: /],
  ['a queue without a number', { ...QUEUE, queueId: -1 }, 0, /^queue\.queueId: /],
])('%s is refused', async (_, queue, to, message) => {
  const [consumer, native] = await start()
  await expect(consumer.seek(queue, to)).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
    message: expect.stringMatching(message),
  })
  expect(native.seeks).toEqual([])
})

const failure = (queueId, code, outcome) => ({ code, message: `no ${queueId}`, outcome, queue: { ...QUEUE, queueId } })

test('commit() resolves when nothing has failed, and rejects with the only failure', async () => {
  const [consumer, native] = await start()
  expect(await consumer.commit()).toBeUndefined()
  native.uncommitted = [failure(3, 'ERR_ROCKETMQ_LOCK_LOST')]
  await expect(consumer.commit()).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_LOCK_LOST',
    message: 'no 3',
    queue: { queueId: 3 },
  })
})

test('of several failures it names all: the first as such, each as one of the causes', async () => {
  const [consumer, native] = await start()
  native.uncommitted = [failure(3, 'ERR_ROCKETMQ_TIMEOUT', 'unknown'), failure(0, 'ERR_ROCKETMQ_LOCK_LOST')]
  const error = await consumer.commit().catch((error) => error)
  expect(error).toMatchObject({
    code: 'ERR_ROCKETMQ_TIMEOUT',
    outcome: 'unknown',
    retriable: true,
    queue: { queueId: 3 },
  })
  expect(error.message).toBe(
    'commit(): what was handled of 2 queues is not acknowledged (orders@broker-a:3, orders@broker-a:0); first: no 3',
  )
  expect(error.cause.errors.map(({ code, queue }) => [code, queue.queueId])).toEqual([
    ['ERR_ROCKETMQ_TIMEOUT', 3],
    ['ERR_ROCKETMQ_LOCK_LOST', 0],
  ])
  expect(JSON.parse(JSON.stringify(error)).cause.errors).toHaveLength(2)
})

test('a consumer that does not run refuses both', async () => {
  const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1' }).subscribe('orders', () => {})
  await expect(consumer.commit()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_STATE' })
  await expect(consumer.seek(QUEUE, 0)).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_STATE' })
  await consumer.close()
  await expect(consumer.commit()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
  await expect(consumer.seek(QUEUE, 0)).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
})
