'use strict'
// A producer among servers that fail in ways that real ones show rarely.

const { setTimeout: delay } = require('node:timers/promises')
const { CHANNELS, Producer } = require('../..')
const { FakeServer, SILENCE, route, stored } = require('../support/fake-server')
const { observe } = require('../support/observer')
const { until } = require('../support/until')

const SEND = 310
const SEND_BATCH = 320
const HEARTBEAT = 34
const GET_ROUTE = 105
/** Where no other program takes a port while a server of ours is away. */
const OUR_OWN_HOST = process.platform === 'linux' ? '127.7.7.7' : '127.0.0.1'
const NO_ROUTE = { code: 17, remark: 'No topic route info in name server for the topic: orders' }
const topic = 'orders'

const open = []
const server = async (...args) => {
  open.unshift(await FakeServer.start(...args))
  return open[0]
}
const producer = (nameServers, options = {}) => {
  const nameServer = nameServers.map(({ address }) => address)
  open.unshift(new Producer({ groupId: 'GID-fake', nameServer, ...options }))
  return open[0]
}
/** A broker that stores everything, and may do something else first. */
const broker = (handle = () => undefined, offset = 0, at = {}) =>
  server((request) => {
    const answer = handle(request)
    if (answer !== undefined || (request.code !== SEND && request.code !== SEND_BATCH)) return answer ?? {}
    offset += 10
    return stored(request, offset - 10)
  }, at)
/** A route with a fixed order of queues. */
const orderedBy = (orderTopicConf) => {
  const body = { ...JSON.parse(route('127.0.0.1:10911').body), orderTopicConf }
  return { body: Buffer.from(JSON.stringify(body)) }
}
afterEach(async () => {
  for (const it of open.splice(0)) await it.close({ timeoutMs: 50 })
})

test('a name server that was just started knows nothing, or says so with an error: the others are asked', async () => {
  const { address } = await broker()
  for (const answer of [NO_ROUTE, { code: 1, remark: 'name server not ready' }]) {
    const servers = [await server(() => answer), await server(() => route(address)), await server(() => answer)]
    const client = await producer(servers, { topics: [topic] }).start()
    expect(await client.sendOrderly({ topic, body: 'x' }, 'k')).toMatchObject({ queue: { brokerName: 'broker-a' } })
  }
})

test('a topic that no name server knows is reported soon, though one of them is dead', async () => {
  const servers = [await server(() => SILENCE), await server(() => NO_ROUTE)]
  const began = performance.now()
  await expect(producer(servers, { topics: [topic], requestTimeoutMs: 9_000 }).start()).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND',
    topic,
  })
  expect(performance.now() - began).toBeLessThan(5_000)
})

test('17 for a topic whose route is known changes nothing', async () => {
  let known = true
  let unavailable = false
  const { address } = await broker(({ code }) =>
    code === SEND && unavailable ? { code: 14, remark: 'no' } : undefined,
  )
  const names = await server(() => (known ? route(address) : NO_ROUTE))
  const client = await producer([names], { topics: [topic] }).start()
  await client.sendOrderly({ topic, body: 'a' }, 'k')
  known = false
  unavailable = true // so that the route is looked at again
  const asked = names.requests.length
  const sent = client.sendOrderly({ topic, body: 'b' }, 'k')
  await until(() => names.requests.length > asked && !client.health().ok)
  expect(client.health().problems).toMatchObject([{ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND', topic }])
  unavailable = false
  expect(await sent).toMatchObject({ queueOffset: 10 })
})

test('a broker that has moved is found by whichever topic hears of it first', async () => {
  const before = await broker(undefined, 0, { host: OUR_OWN_HOST })
  const after = await broker(undefined, 100)
  let moved = false
  const names = await server(({ ext }) => route(ext.topic === topic && moved ? after.address : before.address))
  const client = await producer([names], { topics: ['a', 'b', topic, 'x', 'y', 'z'] }).start()
  for (const name of ['a', topic, 'z']) await client.sendOrderly({ topic: name, body: '0' }, 'k')
  moved = true
  await before.close()
  open.splice(open.indexOf(before), 1)
  const began = performance.now()
  await Promise.all(['1', '2'].map((body) => client.sendOrderly({ topic, body }, 'k')))
  expect(performance.now() - began).toBeLessThan(15_000) // not the next look at all routes
  expect(after.of(SEND).length + after.of(SEND_BATCH).length).toBeGreaterThan(0)
})

test('a broker that refuses heartbeats gets no sends, health() says why, and nothing counts as on the wire', async () => {
  let refusing = false
  const names = await server(() => route(one.address))
  const one = await broker(({ code }) =>
    refusing && code === HEARTBEAT ? { code: 1, remark: 'store is closed' } : undefined,
  )
  const client = await producer([names], { sendTimeoutMs: 3_000 }).start()
  refusing = true
  const error = await client.sendOrderly({ topic, body: 'a' }, 'k').catch((reason) => reason)
  expect(error).toMatchObject({ outcome: 'not-stored', retriable: true, topic })
  expect(error.msgId).toBeUndefined()
  expect(JSON.stringify([error.message, error.cause?.message])).toContain('store is closed')
  expect(one.of(SEND)).toEqual([])
  expect(client.health()).toMatchObject({ ok: false, problems: [{ address: one.address, brokerCode: 1 }] })
  refusing = false
  await client.sendOrderly({ topic, body: 'b' }, 'k', { timeoutMs: 30_000 })
  expect(client.health()).toEqual({ ok: true, problems: [] })
})

test('a broker that is down: health() names it, and it is used again within a second or two of its return', async () => {
  const gone = await broker(undefined, 0, { host: OUR_OWN_HOST })
  const { address } = gone
  const names = await server(() => route(address))
  const client = await producer([names], { topics: [topic] }).start()
  await client.sendOrderly({ topic, body: 'a' }, 'k')
  const noticed = new Promise((resolve) => client.once('disconnected', resolve))
  await gone.close()
  open.splice(open.indexOf(gone), 1)
  expect(await noticed).toBe(address)
  const sent = client.sendOrderly({ topic, body: 'b' }, 'k')
  const late = client.sendOrderly({ topic, body: 'late' }, 'l', { timeoutMs: 2_000 }).catch((error) => error)
  await until(() => !client.health().ok)
  expect(client.health().problems).toMatchObject([{ code: 'ERR_ROCKETMQ_CONNECTION', address }])
  const told = await late
  expect(told).toMatchObject({ outcome: 'not-stored', retriable: true, topic })
  expect(told.cause ?? told).toMatchObject({ code: 'ERR_ROCKETMQ_CONNECTION', address })
  await delay(1_000) // into the longest pauses
  const again = await server((request) => (request.code === SEND ? stored(request, 7) : {}), {
    host: OUR_OWN_HOST,
    port: Number(address.split(':')[1]),
  })
  const began = performance.now()
  expect(await sent).toMatchObject({ queueOffset: 7 })
  expect(performance.now() - began).toBeLessThan(5_000) // the pause of a second, and a busy machine
  expect(client.health()).toEqual({ ok: true, problems: [] })
  expect(again.accepted).toBe(1)
})

test('a broker that accepts and never answers: start() rejects in its bound, and says who is silent', async () => {
  const silent = await server(() => SILENCE)
  const names = await server(() => route(silent.address))
  for (const startTimeoutMs of [1_000, 4_000]) {
    const began = performance.now()
    const error = await producer([names], { topics: [topic], startTimeoutMs, requestTimeoutMs: 1_500 })
      .start()
      .catch((reason) => reason)
    expect(performance.now() - began).toBeLessThan(startTimeoutMs + 5_000) // and a busy machine
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_TIMEOUT', retriable: true })
    expect(error.message).toContain('startTimeoutMs')
    if (startTimeoutMs > 1_500) expect(error.message).toContain(`${silent.address} gave no answer to the heartbeat`)
  }
})

test('a server that goes away (1500): what it was asked before is answered, the rest goes over a new connection', async () => {
  let leaving = false
  let release
  const held = new Promise((resolve) => (release = resolve))
  const one = await server(async (request) => {
    if (request.code !== SEND) return {}
    const body = request.body.toString()
    if (body === 'slow') return await held
    return leaving ? ((leaving = false), { code: 1500, remark: 'please go away' }) : stored(request, Number(body))
  })
  const names = await server(() => route(one.address, 8))
  const client = await producer([names], { topics: [topic] }).start()
  const slow = client.sendOrderly({ topic, body: 'slow' }, 'key-0')
  await until(() => one.of(SEND).length === 1)
  leaving = true
  expect(await client.sendOrderly({ topic, body: '5' }, 'key-1')).toMatchObject({ queueOffset: 5 })
  expect(one.accepted).toBe(2)
  release({ ext: { msgId: 'at-9', queueId: '0', queueOffset: '9' } })
  expect(await slow).toMatchObject({ queueOffset: 9 })
  expect(one.of(SEND).map(({ body }) => body.toString())).toEqual(['slow', '5', '5'])
})

test('garbage instead of an answer ends the connection and nothing else', async () => {
  const garbage = [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), Buffer.alloc(64, 0xff), Buffer.alloc(4)]
  const one = await broker(({ code }) => (code === SEND ? garbage.pop() : undefined))
  const names = await server(() => route(one.address))
  const client = await producer([names], { topics: [topic], batching: 'off' }).start()
  const lost = []
  client.on('disconnected', (address) => lost.push(address))
  const results = await Promise.all(['a', 'b', 'c'].map((body) => client.sendOrderly({ topic, body }, body)))
  expect(results.length).toBe(3)
  await until(() => lost.length >= 3)
  expect(names.of(GET_ROUTE).length).toBeLessThan(10)
})

test('many clients that lose a broker at once ask for its route scattered, and more and more rarely', async () => {
  const CLIENTS = 20
  const gone = await broker(undefined, 0, { host: OUR_OWN_HOST })
  const asked = []
  const names = await server(({ code }) => (code === GET_ROUTE && asked.push(performance.now()), route(gone.address)))
  const fleet = Array.from({ length: CLIENTS }, () => producer([names], { topics: [topic] }))
  await Promise.all(fleet.map((client) => client.start()))
  asked.length = 0
  await gone.close()
  open.splice(open.indexOf(gone), 1)
  await until(() => fleet.every((client) => !client.health().ok))
  await delay(6_000)
  // At 0, 0.5, 1.5, 3.5 and 5.5 s, and never at once.
  expect(asked.length).toBeGreaterThanOrEqual(3 * CLIENTS)
  expect(asked.length).toBeLessThanOrEqual(8 * CLIENTS)
  asked.sort((a, b) => a - b)
  expect(asked[CLIENTS - 1] - asked[0]).toBeGreaterThan(20) // of 200; a busy machine hears of several at once
})

test('no client asks for routes or connects in a loop while a broker is down', async () => {
  const gone = await broker(undefined, 0, { host: OUR_OWN_HOST })
  const port = Number(gone.address.split(':')[1])
  const names = await server(() => route(gone.address))
  const client = await producer([names], { topics: [topic] }).start()
  await gone.close()
  open.splice(open.indexOf(gone), 1)
  // Lets everybody in, and out.
  let attempts = 0
  const door = await new Promise((resolve) => {
    const listener = require('node:net').createServer((socket) => (attempts++, socket.destroy()))
    listener.listen(port, OUR_OWN_HOST, () => resolve(listener))
  })
  await delay(6_000)
  await new Promise((resolve) => door.close(resolve))
  expect(client.health().ok).toBe(false)
  expect(attempts).toBeGreaterThanOrEqual(2)
  expect(attempts).toBeLessThanOrEqual(12)
})

test('observers of a send are told how many requests have carried it, of a batch and of a failure as well', async () => {
  const BUSY = { code: 2, remark: 'busy' }
  let answers = []
  const { address } = await broker(({ code }) => (code === SEND || code === SEND_BATCH ? answers.shift() : undefined))
  const client = await producer([await server(() => route(address))], { topics: [topic] }).start()
  const told = []
  observe(CHANNELS.send, (event, { attempt, outcome }) => event === 'asyncEnd' && told.push([attempt, outcome]))
  const sent = async (answered, send) => {
    answers = answered
    await send().catch(() => {})
    return told.splice(0)
  }
  const one = () => client.sendOrderly({ topic, body: 'a' }, 'k')
  const two = () => client.sendOrderlyBatch([1, 2].map((body) => ({ topic, body: `${body}` })), 'k') // prettier-ignore
  expect(await sent([], one)).toEqual([[1, 'stored']])
  expect(await sent([BUSY, BUSY], one)).toEqual([[3, 'stored']])
  expect(await sent([], two)).toEqual([[1, 'stored']])
  expect(await sent([BUSY], two)).toEqual([[2, 'stored']])
  expect(await sent([BUSY, { code: 16, remark: 'no' }], one)).toEqual([[2, 'not-stored']])
  const aborted = () => client.sendOrderly({ topic, body: 'a' }, 'k', { signal: AbortSignal.abort() })
  expect(await sent([], aborted)).toEqual([[0, 'not-stored']])
})

test.each([
  ['a route that is none', { body: Buffer.from(JSON.stringify({ queueDatas: ['x'.repeat(900_000)] })) }],
  ['a route with a name that no broker has', route('127.0.0.1:10911', 1, 'x'.repeat(900_000))],
  ['an address that no broker has', route(`${'x'.repeat(900_000)}:10911`)],
  ['an order of queues that cannot be read', orderedBy('x'.repeat(900_000))],
  ['a refusal', { code: 1, remark: 'x'.repeat(900_000) }],
])('%s of 900 KB does not get into a message as a whole', async (_, answer) => {
  const client = producer([await server(() => answer)], { topics: [topic], startTimeoutMs: 2_000 })
  const error = await client.start().catch((reason) => reason)
  const texts = []
  for (let each = error; each; each = each.cause) texts.push(each.message)
  expect(texts.join('').length).toBeGreaterThan(10)
  expect(texts.filter((text) => Buffer.byteLength(text) > 4096)).toEqual([])
})
