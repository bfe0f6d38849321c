'use strict'
// What a test does to its broker and reads of it, with our own producer and consumer as clients.

const { Producer, PushConsumer } = require('../..')
const { TestBroker } = require('../../testing')
const { PATIENT, until } = require('../support/until')
const { track } = require('./track')

const start = async (options) => track(await TestBroker.start(options))

async function producer(broker, options = {}) {
  return track(new Producer({ groupId: 'GID-producer', nameServer: broker.nameServer, ...options })).start()
}

async function consumer(broker, topic, handler, options = {}) {
  const made = new PushConsumer({
    groupId: 'GID-consumer',
    nameServer: broker.nameServer,
    initialPosition: 'first',
    commitIntervalMs: 20,
    ...options,
  })
  return track(made).subscribe(topic, handler).start()
}

describe.each(['5.5', '4.9'])('version %s', (version) => {
  test('a message sent is consumed, and can be read back', async () => {
    const broker = await start({ topics: { orders: 3 }, version })
    const received = []
    await consumer(broker, 'orders', (message) => void received.push(message.text()))
    const client = await producer(broker)
    const message = { topic: 'orders', body: 'first', tags: 'TagA', keys: ['k1', 'k2'], properties: { colour: 'red' } }
    const sent = await client.sendOrderly(message, 'customer-7')
    await broker.caughtUp('GID-consumer', PATIENT)
    expect(received).toEqual(['first'])
    const [stored, ...others] = await broker.messages('orders')
    expect(others).toEqual([])
    expect(stored).toMatchObject({
      topic: 'orders',
      queue: sent.queue,
      queueOffset: 0,
      tags: 'TagA',
      keys: ['k1', 'k2'],
      shardingKey: 'customer-7',
      msgId: sent.msgId,
      offsetMsgId: sent.offsetMsgId,
      reconsumeTimes: 0,
    })
    expect(stored.body).toEqual(Buffer.from('first'))
    expect(stored.properties.colour).toBe('red')
    expect(Object.getPrototypeOf(stored.properties)).toBeNull()
    expect(Math.abs(stored.storeTimestamp - Date.now())).toBeLessThan(60_000)
  })

  test('published messages go where a producer sends them', async () => {
    const broker = await start({ topics: { orders: 8 }, brokers: 2, version })
    const client = await producer(broker)
    for (let i = 0; i < 20; i++) {
      const sent = await client.sendOrderly({ topic: 'orders', body: 'x' }, `key-${i}`)
      const published = await broker.publish({ topic: 'orders', body: 'y' }, `key-${i}`)
      expect(published).toMatchObject({ status: 0, queue: sent.queue, queueOffset: sent.queueOffset + 1 })
    }
    expect(new Set((await broker.messages('orders')).map(({ queue }) => queue.brokerName)).size).toBe(2)
  })

  test('offsets, members and locks of a group at work', async () => {
    const broker = await start({ topics: { orders: 2 }, version })
    const worker = await consumer(broker, 'orders', () => {})
    for (let i = 0; i < 5; i++) await broker.publish({ topic: 'orders', body: 'x' }, `key-${i}`)
    await broker.caughtUp('GID-consumer', PATIENT)
    expect(broker.members('GID-consumer')).toEqual([worker.clientId])
    const locks = broker.locks('GID-consumer').filter(({ queue }) => queue.topic === 'orders')
    expect(locks.map(({ clientId }) => clientId)).toEqual([worker.clientId, worker.clientId])
    expect(locks[0].expiresAt).toBeGreaterThan(Date.now())
    const offsets = broker.offsets('GID-consumer').filter(({ queue }) => queue.topic === 'orders')
    expect(offsets.reduce((sum, { committedOffset }) => sum + committedOffset, 0)).toBe(5)
    expect(offsets.every(({ lag, committedOffset, maxOffset }) => lag === 0 && committedOffset === maxOffset)).toBe(
      true,
    )
    await worker.close()
    await until(() => broker.members('GID-consumer').length === 0)
    expect(broker.locks('GID-consumer')).toEqual([])
  })

  test('a reset delivers again from there', async () => {
    const broker = await start({ topics: { orders: 1 }, version })
    const received = []
    await consumer(broker, 'orders', (message) => void received.push(message.text()))
    for (const body of ['a', 'b', 'c']) await broker.publish({ topic: 'orders', body }, 'k')
    await broker.caughtUp('GID-consumer', PATIENT)
    await broker.resetOffset('GID-consumer', 'orders', 1)
    // What wakes a held pull of 5.5, which only then hears of the reset.
    await broker.publish({ topic: 'orders', body: 'd' }, 'k')
    // It may have come once before the reset did.
    await until(() => received.length >= 6 && received.at(-1) === 'd')
    expect(received.slice(-3)).toEqual(['b', 'c', 'd'])
  })

  test('dead letters are read like any topic', async () => {
    const broker = await start({ topics: { orders: 1 }, version })
    expect(await broker.messages('%DLQ%GID-consumer')).toEqual([])
    const refuse = () => {
      throw new Error('no')
    }
    const worker = await consumer(broker, 'orders', refuse, { maxReconsumeTimes: 1, suspendMs: 10 })
    worker.on('suspended', () => {})
    await broker.publish({ topic: 'orders', body: 'bad' }, 'k')
    await broker.caughtUp('GID-consumer', PATIENT)
    const [dead] = await broker.messages('%DLQ%GID-consumer')
    expect(dead.body.toString()).toBe('bad')
    expect(dead.properties.RETRY_TOPIC).toBe('orders')
  })
})

test('caughtUp() names what lags, and ends when the broker is closed', async () => {
  const broker = await start({ topics: { orders: 1 } })
  await expect(broker.caughtUp('GID-consumer', { timeoutMs: 20 })).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_TIMEOUT',
    message: expect.stringContaining('no consumer of this group has come'),
  })
  let release
  const held = new Promise((resolve) => (release = resolve))
  const worker = await consumer(broker, 'orders', () => held, { closeTimeoutMs: 200 })
  worker.on('warning', () => {}) // nothing can be committed any more
  await broker.publish({ topic: 'orders', body: 'x' }, 'k')
  await expect(broker.caughtUp('GID-consumer', { timeoutMs: 50 })).rejects.toThrow('orders@broker-a:0 lacks 1')
  const waiting = broker.caughtUp('GID-consumer', { timeoutMs: 60_000 })
  const closed = expect(waiting).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
  await broker.close()
  await closed
  release()
})

test('requests are seen, and a producer that keeps order has one of a key in flight', async () => {
  const broker = await start({ topics: { orders: 4 } })
  broker.fault({ request: 'send', delayMs: 5 })
  const client = await producer(broker)
  const sends = Array.from({ length: 50 }, (_, i) =>
    client.sendOrderly({ topic: 'orders', body: `${i}` }, `key-${i % 3}`),
  )
  await Promise.all(sends)
  expect(broker.maxInFlightPerKey()).toBe(1)
  const seen = broker.requests()
  const route = { code: 105, name: 'GET_ROUTEINFO_BY_TOPIC', broker: '', topic: 'orders' }
  expect(seen).toContainEqual(expect.objectContaining(route))
  const sent = seen.filter(({ name }) => name.startsWith('SEND'))
  expect(new Set(sent.flatMap(({ shardingKeys }) => shardingKeys))).toEqual(new Set(['key-0', 'key-1', 'key-2']))
  expect(sent.every(({ client: id, broker: name }) => id === client.clientId && name === 'broker-a')).toBe(true)
  expect(sent.every(({ at, answered }) => answered >= at + 5)).toBe(true)
})

test('a topic changes its queues and permissions, a queue its beginning and its end', async () => {
  const broker = await start({ topics: { orders: 2 } })
  const client = await producer(broker)
  expect(await client.queues('orders')).toHaveLength(2)
  await broker.createTopic('orders', { queues: 5 })
  await broker.publish({ topic: 'orders', body: 'x' }, 'k')
  const [{ queue }] = await broker.messages('orders')
  await broker.truncate(queue, 1)
  expect(await broker.messages('orders')).toEqual([])
  const again = []
  for (const body of ['y', 'z']) again.push((await broker.publish({ topic: 'orders', body }, 'k')).queueOffset)
  await broker.setBack(queue, 2)
  again.push((await broker.publish({ topic: 'orders', body: 'other' }, 'k')).queueOffset)
  expect(again).toEqual([1, 2, 2])
  expect((await broker.messages('orders')).map(({ body }) => `${body}`)).toEqual(['y', 'other'])
  await expect(broker.setBack({ ...queue, queueId: 9 }, 0)).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
  })
  await broker.createTopic('sealed', { perm: 'r' })
  const other = track(
    new Producer({ groupId: 'GID-other', nameServer: broker.nameServer, topics: ['sealed'], startTimeoutMs: 2_000 }),
  )
  await expect(other.start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_NO_WRITABLE_QUEUE' })
})

test('with access control only the right keys get in', async () => {
  for (const version of ['5.5', '4.9']) {
    const credentials = { accessKey: 'test-key', secretKey: 'test-secret' }
    const broker = await start({ topics: ['orders'], credentials, version })
    const good = await producer(broker, { credentials, topics: ['orders'] })
    await good.sendOrderly({ topic: 'orders', body: 'x' }, 'k')
    const wrong = { ...credentials, secretKey: 'other' }
    await expect(producer(broker, { credentials: wrong, topics: ['orders'] })).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_ACCESS_DENIED',
      brokerCode: version === '5.5' ? 16 : 1,
    })
  }
})

test('SQL92 selects by properties', async () => {
  const broker = await start({ topics: { orders: 1 } })
  const received = []
  const selecting = track(
    new PushConsumer({
      groupId: 'GID-sql',
      nameServer: broker.nameServer,
      initialPosition: 'first',
      commitIntervalMs: 20,
    }),
  )
  selecting.subscribe('orders', (message) => void received.push(message.text()), {
    sql92: "amount BETWEEN 10 AND 20 AND colour IN ('red', 'blue')",
  })
  await selecting.start()
  for (const [body, amount, colour] of [
    ['no', '9', 'red'],
    ['yes', '10', 'red'],
    ['no', '11', 'green'],
    ['too', '20', 'blue'],
  ]) {
    await broker.publish({ topic: 'orders', body, properties: { amount, colour } }, 'k')
  }
  await broker.caughtUp('GID-sql', PATIENT)
  expect(received).toEqual(['yes', 'too'])
})

describe('bad use gets clear errors', () => {
  test.each([
    [{ topic: ['a'] }, 'topic: unknown option'],
    [{ topics: 'orders' }, 'topics: must be an array or an object, not a string'],
    [{ topics: { orders: 0 } }, 'topics.orders: must be an integer from 1 to 65536, not 0'],
    [{ topics: ['a b'] }, 'topics[0]: may hold'],
    [{ brokers: 0 }, 'brokers: must be an integer from 1 to 64, not 0'],
    [{ version: '5' }, `version: must be '4.9' or '5.5', not "5"`],
    [{ timeFactor: 0 }, 'timeFactor: must be a number'],
    [{ credentials: { accessKey: 'a' } }, 'credentials.secretKey'],
    [{ port: 70_000 }, 'port: must be an integer from 0 to 65535'],
  ])('start(%j)', async (options, text) => {
    await expect(TestBroker.start(options)).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
    await expect(TestBroker.start(options)).rejects.toThrow(text)
  })

  test('a port in use', async () => {
    const broker = await start()
    const port = Number(broker.nameServer.split(':')[1])
    await expect(TestBroker.start({ port })).rejects.toThrow(`port: ${port} is in use on 127.0.0.1`)
  })

  test('faults', async () => {
    const broker = await start()
    for (const [fault, text] of [
      [{ request: 'send' }, 'fault: must say what goes wrong'],
      [{ request: 'fetch', delayMs: 1 }, "fault.request: must be 'send' or"],
      [{ delay: 1 }, 'fault.delay: unknown option'],
      [{ delayMs: 1, drop: 'answer' }, 'fault: does one thing, not delayMs and drop'],
      [{ drop: 'everything' }, "fault.drop: must be 'answer' or 'request'"],
      [{ delayMs: -1 }, 'fault.delayMs: must be an integer'],
      [{ blackhole: false }, 'fault.blackhole: must be true'],
      [{ garbage: 'x' }, 'fault.garbage: must be a Uint8Array'],
      [{ probability: 2, delayMs: 1 }, 'fault.probability: must be a number from 0 to 1'],
      [{ remark: 'x', delayMs: 1 }, 'fault.remark: belongs to an answer'],
    ]) {
      expect(() => broker.fault(fault)).toThrow(text)
    }
    expect(() => broker.fault({ clientId: 7, delayMs: 1 })).toThrow('fault.clientId: must be')
  })

  test('a closed broker, and one that never was', async () => {
    const broker = await start({ topics: ['orders'] })
    const closing = broker.close()
    expect(broker.close()).toBe(closing)
    await closing
    const closed = { code: 'ERR_ROCKETMQ_CLOSED' }
    for (const call of [
      () => broker.messages('orders'),
      () => broker.publish({ topic: 'orders', body: 'x' }, 'k'),
      () => broker.caughtUp('G'),
      () => broker.stopBroker(),
      () => broker.createTopic('x'),
    ]) {
      await expect(call()).rejects.toMatchObject(closed)
    }
    for (const call of [() => broker.members('G'), () => broker.fault({ delayMs: 1 }), () => broker.requests()]) {
      expect(call).toThrow(expect.objectContaining(closed))
    }
    expect(() => new TestBroker()).toThrow('TestBroker.start()')
  })

  test('unknown topics, brokers and options', async () => {
    const broker = await start({ topics: ['orders'] })
    await expect(broker.messages('other')).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND' })
    await expect(broker.publish({ topic: 'other', body: 'x' }, 'k')).rejects.toThrow('createTopic() makes one')
    await expect(broker.stopBroker(1)).rejects.toThrow('index: must be an integer from 0 to 0, not 1')
    await expect(broker.startBroker(0, { keep: 'none' })).rejects.toThrow("keep: must be 'all' or 'stored'")
    await expect(broker.createTopic('orders', { queue: 1 })).rejects.toThrow('queue: unknown option')
  })
})
