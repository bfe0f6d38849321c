'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { Message, Producer, PushConsumer } = require('../../index.js')
const { NativeProducer, reset } = require('./fake-native.js')
const { received } = require('./received.js')

let producer

beforeEach(async () => {
  reset()
  producer = await new Producer({ groupId: 'g', nameServer: 'a:1', maxMessageBytes: 1000 }).start()
})
afterEach(() => producer.close({ timeoutMs: 50 }))

/** What native gets of a message that is sent. */
function sent(message) {
  producer.sendOrderly(message, 'key').catch(() => {})
  return NativeProducer.last.taken.at(-1)
}

describe('a message is refused for', () => {
  const body = 'hello'
  test.each([
    ['message', null],
    ['message', 'orders'],
    ['message.topic', { body }],
    ['message.topic', { topic: '', body }],
    ['message.topic', { topic: 'a b', body }],
    ['message.topic', { topic: 't'.repeat(128), body }],
    ['message.topic', { topic: 'OFFSET_MOVED_EVENT', body }],
    ['message.body', { topic: 'orders' }],
    ['message.body', { topic: 'orders', body: '' }],
    ['message.body', { topic: 'orders', body: Buffer.alloc(0) }],
    ['message.body', { topic: 'orders', body: 5 }],
    ['message.body', { topic: 'orders', body: new ArrayBuffer(3) }],
    ['message.body', { topic: 'orders', body: '\udc00' }],
    ['message.body', { topic: 'orders', body: 'x'.repeat(1001) }],
    ['message.body', { topic: 'orders', body: 'é'.repeat(501) }],
    ['message.tags', { topic: 'orders', body, tags: '' }],
    ['message.tags', { topic: 'orders', body, tags: ' ' }],
    ['message.tags', { topic: 'orders', body, tags: 5 }],
    ['message.tags', { topic: 'orders', body, tags: 'a\x02b' }],
    ['message.keys', { topic: 'orders', body, keys: ' ' }],
    ['message.keys', { topic: 'orders', body, keys: 5 }],
    ['message.keys[1]', { topic: 'orders', body, keys: ['a', 'b c'] }],
    ['message.keys[0]', { topic: 'orders', body, keys: [''] }],
    ['message.properties', { topic: 'orders', body, properties: ['a'] }],
    ['message.properties', { topic: 'orders', body, properties: { a: 'x'.repeat(32_000) } }],
    ['message.properties', { topic: 'orders', body, properties: { a: 'é'.repeat(16_000) } }],
    ['message.properties.a', { topic: 'orders', body, properties: { a: '' } }],
    ['message.properties.a', { topic: 'orders', body, properties: { a: 5 } }],
    ['message.properties.a', { topic: 'orders', body, properties: { a: 'x\x01y' } }],
    ['message.properties.a', { topic: 'orders', body, properties: { a: '\ud800' } }],
    ['message.properties.KEYS', { topic: 'orders', body, properties: { KEYS: 'x' } }],
    ['message.properties.DELAY', { topic: 'orders', body, properties: { DELAY: '3' } }],
    ['message.properties.TIMER_DELAY_MS', { topic: 'orders', body, properties: { TIMER_DELAY_MS: '3' } }],
    ['message.properties: the name of a property', { topic: 'orders', body, properties: { 'a\x01': 'x' } }],
  ])('%s: %j', async (field, message) => {
    await expect(producer.sendOrderly(message, 'key')).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
      message: expect.stringContaining(`${field}: `),
      outcome: 'not-stored',
      ...(typeof message?.topic === 'string' ? { topic: message.topic } : {}),
    })
    expect(NativeProducer.last.taken).toEqual([])
  })

  test('holes in a batch', async () => {
    const messages = [
      { topic: 'orders', body },
      { topic: 'orders', body },
    ]
    delete messages[1]
    await expect(producer.sendOrderlyBatch(messages, 'key')).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
      message: expect.stringContaining('messages[1]: '),
      outcome: 'not-stored',
      topic: 'orders',
    })
    expect(NativeProducer.last.taken).toEqual([])
  })

  test.each(['', 5, undefined, null, 'a\x01b', '\ud800'])('the sharding key %p', async (key) => {
    await expect(producer.sendOrderly({ topic: 'orders', body }, key)).rejects.toMatchObject({
      message: expect.stringContaining('shardingKey: '),
    })
  })

  test.each([
    ['options', null],
    ['options.signal', { signal: {} }],
    ['options.timeoutMs', { timeoutMs: 0 }],
    ['options.timeout', { timeout: 5 }],
  ])('%s: %j', async (field, options) => {
    await expect(producer.sendOrderly({ topic: 'orders', body }, 'key', options)).rejects.toMatchObject({
      message: expect.stringContaining(`${field}: `),
    })
  })
})

test('a plain message crosses flat', () => {
  const properties = { tenant: 'blue', empty: ' x ' }
  expect(sent({ topic: 'orders', body: 'héllo', tags: 'TagA', keys: ['k1', 'k2'], properties })).toEqual({
    slot: 0,
    topic: 'orders',
    key: 'key',
    body: 'héllo',
    tags: 'TagA',
    keys: 'k1 k2',
    properties: ['tenant', 'blue', 'empty', ' x '],
    timeoutMs: 0,
  })
  expect(sent({ topic: 'orders', body: 'x', keys: 'k1 k2', tags: undefined })).toMatchObject({ keys: 'k1 k2' })
  expect(sent({ topic: 'orders', body: 'x', keys: ' k1  k2 ' })).toMatchObject({ keys: 'k1 k2' })
  expect(sent({ topic: 'orders', body: 'x', keys: [], properties: {} })).toMatchObject({
    keys: undefined,
    properties: undefined,
  })
})

test('a body may be any Uint8Array, also a part of a larger buffer', () => {
  const bytes = new TextEncoder().encode('..abc..').subarray(2, 5)
  expect(sent({ topic: 'orders', body: bytes }).body).toBe('abc')
  expect(sent({ topic: 'orders', body: Buffer.from('def') }).body).toBe('def')
})

test('the builder makes the same message', () => {
  const message = new Message('orders').setBody('x').setTags('T').setKeys('k').setProperty('a', 'b')
  expect(sent(message)).toMatchObject({ topic: 'orders', body: 'x', tags: 'T', keys: 'k', properties: ['a', 'b'] })
  expect(sent(new Message('orders', 'y').setProperty('__proto__', 'p'))).toMatchObject({
    body: 'y',
    properties: ['__proto__', 'p'],
  })
})

describe('a received message', () => {
  let consumer

  beforeEach(async () => {
    consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1' }).subscribe('orders', () => {})
    await consumer.start()
  })
  afterEach(() => consumer.close())

  test('has all fields', () => {
    const message = received({ attempt: 3, tags: 'T', keys: 'a  b', shardingKey: 's', body: '{"n":1}' })
    expect(message).toMatchObject({
      topic: 'orders',
      tags: 'T',
      keys: ['a', 'b'],
      msgId: 'id-0-7',
      offsetMsgId: 'offset-id-7',
      queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
      queueOffset: 7,
      shardingKey: 's',
      reconsumeTimes: 2,
      bornTimestamp: 1_700_000_000_000,
      storeTimestamp: 1_700_000_000_001,
      bornHost: '10.0.0.1:5000',
      storeHost: '10.0.0.2:10911',
    })
    expect(Buffer.isBuffer(message.body)).toBe(true)
    expect(message.text()).toBe('{"n":1}')
    expect(message.json()).toEqual({ n: 1 })
  })

  test('may lack what is optional', () => {
    const message = received({ body: '' })
    expect(message.tags).toBeUndefined()
    expect(message.keys).toEqual([])
    expect(message.shardingKey).toBeUndefined()
    expect(message.body).toHaveLength(0)
    expect(message.properties).toEqual({})
  })

  test('splits its properties into the sender’s and RocketMQ’s, both without prototype', () => {
    const message = received({
      properties: '\x02a\x01b\x02\x02UNIQ_KEY\x01u\x02v\x01v\x01w\x02a\x01c\x02none\x01\x02\x01x\x02KEYS\x01k',
    })
    expect({ ...message.properties }).toEqual({ a: 'c', v: 'v\x01w' })
    expect({ ...message.systemProperties }).toEqual({ UNIQ_KEY: 'u', KEYS: 'k' })
    expect(Object.getPrototypeOf(message.properties)).toBe(null)
    expect(Object.getPrototypeOf(message.systemProperties)).toBe(null)
    expect(message.properties).toBe(message.properties)
  })

  test('can be forwarded', () => {
    const properties = 'x\x01y\x02TAGS\x01T\x02__proto__\x01p\x02TIMER_DELIVER_MS\x011\x02'
    const message = received({ tags: 'T', keys: 'a b\tc', properties })
    expect(sent(message)).toMatchObject({
      topic: 'orders',
      body: 'm7',
      tags: 'T',
      keys: 'a b\tc',
      properties: ['x', 'y', '__proto__', 'p'],
    })
  })
})
