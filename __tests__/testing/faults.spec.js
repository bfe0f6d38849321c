'use strict'
// What goes wrong on purpose, and what our own clients make of it.

const net = require('node:net')
const { Producer, PushConsumer } = require('../..')
const { TestBroker } = require('../../testing')
const { PATIENT, until } = require('../support/until')
const { track } = require('./track')

/** What a request waits for an answer that never comes. */
const IMPATIENT = { requestTimeoutMs: 3_000 }

const start = async (options) => track(await TestBroker.start({ topics: { orders: 2 }, ...options }))

const producer = (broker, options = {}) =>
  track(
    new Producer({ groupId: 'GID-producer', nameServer: broker.nameServer, requestTimeoutMs: 30_000, ...options }),
  ).start()

const send = (client, body = 'x', key = 'k') => client.sendOrderly({ topic: 'orders', body }, key)

test('busy answers are sent again until they end', async () => {
  const broker = await start()
  const busy = broker.fault({ request: 'send', answer: 2, remark: '[PCBUSY_CLEAN_QUEUE]', times: 3 })
  const client = await producer(broker)
  await send(client)
  expect(busy.hits).toBe(3)
  expect(await broker.messages('orders')).toHaveLength(1)
})

test('a refusal rejects with its code and words', async () => {
  const broker = await start()
  broker.fault({ request: 'send', answer: 13, remark: 'not this one' })
  const client = await producer(broker)
  await expect(send(client)).rejects.toMatchObject({ brokerCode: 13, message: expect.stringContaining('not this one') })
})

test.each([
  ['an answer that is dropped', { drop: 'answer' }, IMPATIENT],
  ['a connection that ends after the message was stored', { disconnect: 'after' }, {}],
  ['an answer cut in its frame', { cutAnswerAt: 5 }, {}],
  ['garbage instead of an answer', { garbage: Buffer.from('00000000ffffffff', 'hex') }, {}],
])('%s: sent again with the same id, so stored twice', async (_name, effect, options) => {
  const broker = await start()
  const fault = broker.fault({ request: 'send', nth: 1, ...effect })
  const client = await producer(broker, options)
  const { msgId } = await send(client)
  expect(fault.hits).toBe(1)
  const stored = await broker.messages('orders')
  expect(stored.map((message) => message.msgId)).toEqual([msgId, msgId])
})

test.each([
  ['a request that is never seen', { drop: 'request' }, IMPATIENT],
  ['a connection that ends before', { disconnect: 'before' }, {}],
])('%s: sent again, stored once', async (_name, effect, options) => {
  const broker = await start()
  broker.fault({ request: 'send', nth: 1, ...effect })
  const client = await producer(broker, options)
  await send(client)
  expect(await broker.messages('orders')).toHaveLength(1)
})

test('a connection that falls silent is given up for another', async () => {
  const broker = await start()
  broker.fault({ request: 'send', nth: 1, blackhole: true })
  const client = await producer(broker, IMPATIENT)
  await send(client)
  expect(await broker.messages('orders')).toHaveLength(1)
})

test('a store that stands still refuses who waits longer than 200 ms', async () => {
  const broker = await start()
  broker.fault({ request: 'send', nth: 1, stallMs: 400 })
  const client = await producer(broker)
  const began = performance.now()
  await Promise.all([send(client, 'first', 'key-1'), send(client, 'second', 'key-2'), send(client, 'third', 'key-3')])
  expect(performance.now() - began).toBeGreaterThan(390)
  expect(await broker.messages('orders')).toHaveLength(3)
})

test('faults match a client by a pattern, a topic, a queue', async () => {
  const broker = await start()
  const client = await producer(broker, { instanceName: 'shop-1', topics: ['orders'] })
  const theirs = broker.fault({ request: 'send', clientId: /@shop-[2-9]/, answer: 13 })
  const elsewhere = broker.fault({ request: 'send', topic: 'other', answer: 13 })
  const ours = broker.fault({ request: 'send', clientId: client.clientId, delayMs: 1 })
  const pattern = broker.fault({ request: 310, clientId: /SHOP-\d/i, delayMs: 1 })
  const { queue } = await send(client)
  const same = broker.fault({ request: 'send', topic: 'orders', queueId: queue.queueId, delayMs: 1 })
  await send(client)
  expect([theirs.hits, elsewhere.hits, ours.hits, pattern.hits, same.hits]).toEqual([0, 0, 2, 2, 1])
  ours.remove()
  await send(client)
  expect([ours.hits, pattern.hits]).toEqual([2, 3])
  broker.clearFaults()
  await send(client)
  expect(pattern.hits).toBe(3)
})

test('the same seed hits the same requests', async () => {
  const hit = async (seed) => {
    const broker = await start({ seed })
    const fault = broker.fault({ request: 30, probability: 0.3, delayMs: 0 })
    const hits = []
    const client = await RawClient.connect(broker.brokers[0])
    for (let i = 0; i < 40; i++) {
      const before = fault.hits
      await client.maxOffset('orders', 0)
      if (fault.hits > before) hits.push(i)
    }
    client.close()
    return hits
  }
  const first = await hit(42)
  expect(first.length).toBeGreaterThan(3)
  expect(await hit(42)).toEqual(first)
  expect(await hit(43)).not.toEqual(first)
})

test('a consumer whose locks are stolen stops, and goes on when it has them again', async () => {
  const broker = await start({ topics: { orders: 1 } })
  const received = []
  const lost = []
  const worker = track(
    new PushConsumer({
      groupId: 'GID-consumer',
      nameServer: broker.nameServer,
      initialPosition: 'first',
      commitIntervalMs: 20,
    }),
  )
  worker
    .subscribe('orders', (message) => void received.push(message.text()))
    .on('lockLost', (queue) => lost.push(queue.queueId))
  await worker.start()
  await broker.publish({ topic: 'orders', body: 'before' }, 'k')
  await broker.caughtUp('GID-consumer', PATIENT)
  broker.stealLocks('GID-consumer')
  expect(broker.locks('GID-consumer').every(({ clientId }) => clientId !== worker.clientId)).toBe(true)
  // The end of its connection makes it ask for its locks at once.
  broker.fault({ request: 'commit', nth: 1, disconnect: 'before' })
  await broker.publish({ topic: 'orders', body: 'while it does not know' }, 'k')
  await until(() => lost.length > 0)
  await broker.publish({ topic: 'orders', body: 'after' }, 'k')
  await expect(broker.caughtUp('GID-consumer', { timeoutMs: 500 })).rejects.toThrow('lacks')
  expect(received).not.toContain('after')
  broker.forgetLocks()
  await broker.caughtUp('GID-consumer', { timeoutMs: 60_000 })
  expect(received.at(-1)).toBe('after')
})

test('a broker that is killed and comes back loses locks and young offsets, no message', async () => {
  const broker = await start({ topics: { orders: 1 } })
  const received = []
  const worker = track(
    new PushConsumer({
      groupId: 'GID-consumer',
      nameServer: broker.nameServer,
      initialPosition: 'first',
      commitIntervalMs: 20,
    }),
  )
  await worker.subscribe('orders', (message) => void received.push(message.text())).start()
  await broker.publish({ topic: 'orders', body: 'a' }, 'k')
  await broker.caughtUp('GID-consumer', PATIENT)
  await broker.stopBroker()
  expect(broker.members('GID-consumer')).toEqual([])
  await broker.startBroker()
  await broker.publish({ topic: 'orders', body: 'b' }, 'k')
  await broker.caughtUp('GID-consumer', { timeoutMs: 60_000 })
  expect(received.at(-1)).toBe('b')
})

test('what ruins a real broker is recorded, and makes close() reject', async () => {
  const broker = await TestBroker.start({ topics: ['orders'] })
  const ruin = async () => {
    const client = await RawClient.connect(broker.brokers[0])
    await client.send('orders', 0, 'x', { f: '16' })
    client.close()
  }
  await ruin()
  expect(broker.violations()).toEqual([expect.stringContaining('sysFlag 0x10')])
  expect(broker.violations()).toEqual([])
  await ruin()
  await expect(broker.close()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_PROTOCOL' })
})

/** A client that does what ours never would. */
class RawClient {
  #socket
  #opaque = 0
  #waiting = new Map()
  #input = Buffer.alloc(0)

  static async connect(address) {
    const [host, port] = address.split(':')
    const socket = net.connect(Number(port), host)
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new RawClient(socket)
  }

  constructor(socket) {
    this.#socket = socket
    socket.on('data', (data) => this.#read(data))
  }

  close() {
    this.#socket.destroy()
  }

  #read(data) {
    this.#input = Buffer.concat([this.#input, data])
    while (this.#input.length >= 4 && this.#input.length >= 4 + this.#input.readInt32BE(0)) {
      const header = JSON.parse(this.#input.subarray(8, 8 + this.#input.readInt32BE(4)).toString())
      this.#input = this.#input.subarray(4 + this.#input.readInt32BE(0))
      this.#waiting.get(header.opaque)?.(header)
    }
  }

  #call(code, extFields, body = Buffer.alloc(0)) {
    const opaque = ++this.#opaque
    const header = Buffer.from(JSON.stringify({ code, opaque, extFields }))
    const lengths = Buffer.alloc(8)
    lengths.writeInt32BE(4 + header.length + body.length, 0)
    lengths.writeInt32BE(header.length, 4)
    this.#socket.write(Buffer.concat([lengths, header, body]))
    return new Promise((resolve) => this.#waiting.set(opaque, resolve))
  }

  maxOffset(topic, queueId) {
    return this.#call(30, { topic, queueId: `${queueId}` })
  }

  send(topic, queueId, body, fields) {
    const ext = { a: 'P', b: topic, c: 'TBW102', d: '4', e: `${queueId}`, f: '0', g: '1', h: '0', ...fields }
    return this.#call(310, ext, Buffer.from(body))
  }
}
