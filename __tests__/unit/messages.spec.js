'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { setImmediate: turn } = require('node:timers/promises')
const { PushConsumer } = require('../../index.js')
const { NativeConsumer, reset } = require('./fake-native.js')

const consumers = []

function create(options) {
  const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1', ...options })
  consumers.push(consumer)
  return consumer
}

/** A loop whose consumer runs, and its native side; the first call of `next()` waits. */
async function started(options) {
  const consumer = create()
  const messages = consumer.messages('orders', options)
  const first = messages.next()
  await turn()
  return { consumer, messages, first, native: NativeConsumer.last }
}

const offsetOf = async (result) => (await result).value.queueOffset
const isPending = async (promise) => (await Promise.race([promise, turn('pending')])) === 'pending'
const DONE = { value: undefined, done: true }
const LEFT = 4

beforeEach(reset)
afterEach(() => Promise.all(consumers.splice(0).map((consumer) => consumer.close())))

test('nothing is started before the first message is asked for', async () => {
  const consumer = create()
  const messages = consumer.messages('orders')
  expect([consumer.state, NativeConsumer.instances]).toEqual(['idle', []])
  expect(messages[Symbol.asyncIterator]()).toBe(messages)
  const first = messages.next()
  expect(consumer.state).toBe('starting')
  await turn()
  NativeConsumer.last.deliver(0, 1, [7])
  expect(await offsetOf(first)).toBe(7)
})

test('the next message is not begun before it is asked for, of any queue', async () => {
  const { messages, first, native } = await started()
  native.deliver(0, 1, [0, 1])
  native.deliver(1, 1, [5])
  const began = []
  native.allows = (queue, _generation, offset) => began.push([queue, offset])
  expect(await offsetOf(first)).toBe(0)
  await turn()
  expect([began, native.acks]).toEqual([[[0, 0]], []])
  const second = messages.next()
  expect(await offsetOf(second)).toBe(5)
  expect(native.acks.map(({ queue, offset, outcome }) => [queue, offset, outcome])).toEqual([[0, 0, 0]])
  expect(await offsetOf(messages.next())).toBe(1)
})

test('calls at once are served in order, as those of an async generator', async () => {
  const { messages, first, native } = await started()
  const [second, third] = [messages.next(), messages.next()]
  native.deliver(0, 1, [0, 1, 2])
  expect(await Promise.all([first, second, third].map(offsetOf))).toEqual([0, 1, 2])
  await turn()
  expect(native.acks.map(({ offset }) => offset)).toEqual([0, 1])
})

test('return() pauses all, leaves the message as if it had not begun, and awaits close()', async () => {
  const { consumer, messages, first, native } = await started()
  native.deliver(0, 1, [0, 1])
  await first
  let closed
  native.onClose = (slot) => (closed = () => native.calls.answer(slot, null, 'null'))
  const waiting = messages.return('early')
  await turn()
  expect(native.paused).toEqual({ everything: true, topics: [], queues: [] })
  expect(native.acks).toMatchObject([{ offset: 0, outcome: LEFT }])
  expect(await isPending(waiting)).toBe(true)
  closed()
  expect(await waiting).toEqual({ value: 'early', done: true })
  expect([consumer.state, await messages.next()]).toEqual(['closed', DONE])
  expect(await messages.return()).toEqual(DONE)
})

test('throw() does the same, and rejects', async () => {
  const { consumer, messages, first, native } = await started()
  native.deliver(0, 1, [0])
  await first
  await expect(messages.throw(new Error('mine'))).rejects.toThrow('mine')
  expect([consumer.state, native.acks[0].outcome]).toEqual(['closed', LEFT])
  await expect(messages.throw(new Error('again'))).rejects.toThrow('again')
})

test('close() waits for the loop, and its message is left when it asks for the next one', async () => {
  const { consumer, messages, first, native } = await started()
  native.deliver(0, 1, [0])
  await first
  let closed
  native.onClose = (slot) => (closed = () => native.calls.answer(slot, null, 'null'))
  const closing = consumer.close()
  await turn()
  expect(native.acks).toEqual([])
  const next = messages.next()
  await turn()
  expect(native.acks).toMatchObject([{ offset: 0, outcome: LEFT }])
  closed()
  expect([await next, await closing]).toEqual([DONE, undefined])
})

test('calls that wait end with close() and with the signal', async () => {
  const controller = new AbortController()
  for (const end of [(consumer) => consumer.close(), () => controller.abort()]) {
    const { consumer, messages, first } = await started({ signal: controller.signal })
    const second = messages.next()
    void end(consumer)
    expect([await first, await second, consumer.state]).toEqual([DONE, DONE, 'closed'])
  }
})

test('a signal that was aborted before starts nothing', async () => {
  const consumer = create()
  const messages = consumer.messages('orders', { signal: AbortSignal.abort() })
  expect([await messages.next(), NativeConsumer.instances, consumer.state]).toEqual([DONE, [], 'closed'])
})

test('close() in the middle of the start ends the loop', async () => {
  NativeConsumer.onStart = () => {}
  const { consumer, first } = await started()
  await consumer.close()
  expect(await first).toEqual(DONE)
})

test('a start that fails rejects all who wait, and the next call starts again', async () => {
  NativeConsumer.onStart = (native, slot) =>
    void native.calls.answer(slot, JSON.stringify({ code: 'ERR_ROCKETMQ_CONNECTION', message: 'nobody' }), '')
  const consumer = create()
  const messages = consumer.messages('orders')
  const waiting = [messages.next(), messages.next()]
  for (const next of waiting) await expect(next).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CONNECTION' })
  NativeConsumer.onStart = undefined
  const next = messages.next()
  await turn()
  await turn()
  NativeConsumer.last.deliver(0, 1, [3])
  expect(await offsetOf(next)).toBe(3)
})

test('what was delivered to a consumer that was started by hand waits for the loop', async () => {
  const consumer = create()
  const messages = consumer.messages('orders')
  await consumer.start()
  const native = NativeConsumer.last
  native.deliver(0, 1, [0, 1])
  await turn()
  expect(await offsetOf(messages.next())).toBe(0)
  expect(await offsetOf(messages.next())).toBe(1)
})

test('what nobody has asked for is left at once when the consumer closes', async () => {
  const consumer = create()
  consumer.messages('orders')
  await consumer.start()
  const native = NativeConsumer.last
  native.deliver(0, 1, [0])
  await turn()
  await consumer.close()
  expect(native.acks).toMatchObject([{ offset: 0, outcome: LEFT }])
})

test('it is instead of handlers, and once', () => {
  const refusal = expect.objectContaining({ code: 'ERR_ROCKETMQ_INVALID_STATE' })
  const looping = create()
  looping.messages('orders')
  expect(() => looping.subscribe('orders', () => {})).toThrow(refusal)
  expect(() => looping.messages('payments')).toThrow(refusal)
  const handling = create().subscribe('orders', () => {})
  expect(() => handling.messages('orders')).toThrow(refusal)
})

test.each([
  ['no topic', undefined, undefined, /^topic: /],
  ['an unknown option', 'orders', { singal: undefined }, /^options\.singal: unknown option; did you mean signal\?/],
  ['no signal', 'orders', { signal: {} }, /^options\.signal: must be an AbortSignal/],
  ['no expression', 'orders', { expression: 3 }, /^expression: /],
])('%s is refused', (_, topic, options, message) => {
  expect(() => create().messages(topic, options)).toThrow(
    expect.objectContaining({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT', message: expect.stringMatching(message) }),
  )
})

test('more than one message at a time is refused', () => {
  expect(() => create({ concurrency: 2 }).messages('orders')).toThrow(/^concurrency: a loop over messages\(\)/)
  create({ concurrency: { max: 1 } }).messages('orders')
})

test('a filter and a topic go to native', async () => {
  const { native } = await started({ expression: { sql92: 'price > 3' } })
  expect(native.settings.subscriptions).toEqual([{ topic: 'orders', expressionType: 'SQL92', expression: 'price > 3' }])
})
