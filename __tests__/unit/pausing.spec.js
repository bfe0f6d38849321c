'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { PushConsumer } = require('../../index.js')
const { NativeConsumer, reset } = require('./fake-native.js')

const QUEUE = { topic: 'orders', brokerName: 'broker-a', queueId: 1 }
const NOTHING = { everything: false, topics: [], queues: [] }
const consumers = []

function create() {
  const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1' })
  consumers.push(consumer)
  return consumer.subscribe('orders', () => {}).subscribe('payments', () => {})
}

async function start(consumer = create()) {
  await consumer.start()
  return [consumer, NativeConsumer.last]
}

beforeEach(reset)
afterEach(() => Promise.all(consumers.splice(0).map((consumer) => consumer.close())))

test('native hears of all that is paused, at each change', async () => {
  const [consumer, native] = await start()
  expect(native.paused).toEqual(NOTHING)
  consumer.pause(QUEUE)
  expect(native.paused).toEqual({ ...NOTHING, queues: [QUEUE] })
  consumer.pause('payments')
  expect(native.paused).toEqual({ everything: false, topics: ['payments'], queues: [QUEUE] })
  consumer.pause()
  expect(native.paused).toEqual({ everything: true, topics: ['payments'], queues: [QUEUE] })
  consumer.resume()
  expect(native.paused).toEqual(NOTHING)
})

test('what is paused before start(), native hears before it can deliver', async () => {
  const consumer = create()
  consumer.pause('orders')
  const [, native] = await start(consumer)
  expect(native.paused).toEqual({ ...NOTHING, topics: ['orders'] })
})

test('a queue may come from assignment(), and is the same queue however often it is named', async () => {
  const [consumer, native] = await start()
  consumer.pause({ ...QUEUE, state: 'running', lag: 0 })
  consumer.pause(QUEUE)
  expect(native.paused.queues).toEqual([QUEUE])
  consumer.resume({ ...QUEUE, state: 'paused' })
  expect(native.paused).toEqual(NOTHING)
})

test('a topic is resumed with its queues, and no other', async () => {
  const [consumer, native] = await start()
  const other = { topic: 'payments', brokerName: 'broker-a', queueId: 0 }
  for (const target of [QUEUE, other, 'orders']) consumer.pause(target)
  consumer.resume('orders')
  expect(native.paused).toEqual({ ...NOTHING, queues: [other] })
})

test('what is not paused can be resumed: nothing changes', async () => {
  const [consumer, native] = await start()
  for (const target of [undefined, 'orders', QUEUE]) consumer.resume(target)
  expect(native.paused).toEqual(NOTHING)
})

test('a pause of more than what is resumed does not go on unseen', async () => {
  const [consumer, native] = await start()
  consumer.pause('orders')
  expect(() => consumer.resume(QUEUE)).toThrow(
    expect.objectContaining({
      code: 'ERR_ROCKETMQ_INVALID_STATE',
      message: "topic orders is paused, and would stay so: call resume('orders')",
    }),
  )
  consumer.pause()
  for (const target of [QUEUE, 'orders']) {
    expect(() => consumer.resume(target)).toThrow('everything is paused, and would stay so: call resume()')
  }
  expect(native.paused).toEqual({ everything: true, topics: ['orders'], queues: [] })
})

test.each([
  ['a topic without a subscription', 'ordres', /^target: there is no subscription to ordres/],
  ['a queue of such a topic', { ...QUEUE, topic: 'ordres' }, /^target\.topic: there is no subscription/],
  ['an empty topic', '', /^target: /],
  ['null', null, /^target: /],
  ['a number', 3, /^target: /],
  ['a queue without a broker', { topic: 'orders', queueId: 1 }, /^target\.brokerName: /],
  ['a queue without a number', { topic: 'orders', brokerName: 'broker-a' }, /^target\.queueId: .* not undefined/],
  ['a list', [QUEUE], /^target\.topic: /],
])('%s is refused', async (_, target, message) => {
  const [consumer, native] = await start()
  const refusal = { code: 'ERR_ROCKETMQ_INVALID_ARGUMENT', message: expect.stringMatching(message) }
  expect(() => consumer.pause(target)).toThrow(expect.objectContaining(refusal))
  expect(() => consumer.resume(target)).toThrow(expect.objectContaining(refusal))
  expect(native.paused).toEqual(NOTHING)
})

test('a closed consumer refuses', async () => {
  const [consumer] = await start()
  await consumer.close()
  const closed = expect.objectContaining({ code: 'ERR_ROCKETMQ_CLOSED' })
  expect(() => consumer.pause()).toThrow(closed)
  expect(() => consumer.resume()).toThrow(closed)
})
