'use strict'
const nodeTls = require('node:tls')
const util = require('node:util')
const { Producer, PushConsumer } = require('..')
const { TestBroker } = require('../testing')
const { backend, clients, startCluster, uniqueGroup, uniqueTopic, until } = require('./support')
const { Authority } = require('./support/certificates')

jest.setTimeout(400_000)

const [ours, theirs] = [new Authority('ours'), new Authority('theirs')]
const server = ours.sign('DNS:localhost,IP:127.0.0.1')
const member = ours.sign('DNS:member')
const stranger = theirs.sign('DNS:stranger')

/** A server that asks nothing of its clients, as those of clouds; and one that wants their certificates. */
let oneWay
let mutual
let topic
beforeAll(async () => {
  const admin = { ca: ours.pem, ...member }
  ;[oneWay, mutual] = await Promise.all([
    startCluster({ tls: { ...server, admin } }),
    startCluster({ tls: { ...server, clientCa: ours.pem, client: member, admin } }),
  ])
  topic = uniqueTopic()
  await Promise.all([oneWay, mutual].map((cluster) => cluster.admin.createTopic(topic, { queues: 2 })))
})
afterAll(() => {
  ours.close()
  theirs.close()
})

const client = (Kind, nameServer, options) =>
  clients.add(new Kind({ groupId: uniqueGroup(), nameServer, startTimeoutMs: 20_000, ...options }))

/** What starts of both kinds are refused with. */
function refusals(nameServer, options) {
  const started = [
    client(Producer, nameServer, { topics: [topic], ...options }),
    client(PushConsumer, nameServer, options).subscribe(topic, () => {}),
  ]
  return Promise.all(
    started.map((one) =>
      one.start().then(
        () => undefined,
        (error) => error,
      ),
    ),
  )
}

test('one-way: what is sent without awaiting comes in order, in bodies of every size, also when the broker was killed', async () => {
  const tls = { ca: ours.pem }
  const producer = await client(Producer, oneWay.nameServer, { topics: [topic], tls, requestTimeoutMs: 20_000 }).start()
  const received = []
  const consumer = client(PushConsumer, oneWay.nameServer, { initialPosition: 'first', tls })
  consumer.subscribe(topic, (message) => void received.push(Number(message.text().slice(0, 8))))
  await consumer.start()
  const body = (number) => String(number).padEnd([8, 1000, 70_000, 1_000_000][number % 4])
  const send = (number) => producer.sendOrderly({ topic, body: body(number) }, 'order-1')
  const first = Array.from({ length: 40 }, (_, number) => send(number))
  await Promise.all(first)
  const [broker] = oneWay.brokers
  await broker.kill9()
  const second = Array.from({ length: 40 }, (_, number) => send(40 + number))
  await broker.start()
  await Promise.all(second)
  await until(() => new Set(received).size === 80)
  // What the broker had not answered may have come twice, never out of order.
  const firsts = received.filter((number, i) => received.indexOf(number) === i)
  expect(firsts).toEqual(Array.from({ length: 80 }, (_, number) => number))
})

test('mutual: with a certificate of the right authority', async () => {
  const tls = { ca: [ours.pem, theirs.pem], ...member, servername: 'localhost' }
  const producer = await client(Producer, mutual.nameServer, { topics: [topic], tls }).start()
  const received = []
  const consumer = client(PushConsumer, mutual.nameServer, { initialPosition: 'first', tls })
  await consumer.subscribe(topic, (message) => void received.push(message.text())).start()
  await Promise.all(['a', 'b', 'c'].map((body) => producer.sendOrderly({ topic, body: Buffer.from(body) }, 'order-1')))
  await until(() => received.length >= 3)
  expect(received).toEqual(['a', 'b', 'c'])
  expect(util.inspect([producer, consumer], { depth: 9, showHidden: true })).not.toContain('PRIVATE KEY')
})

test.each([
  ['an unknown authority', () => oneWay, { ca: theirs.pem }, 'not signed by an authority that is trusted: give tls.ca'],
  ["the system's authorities", () => oneWay, true, 'give tls.ca the certificate (PEM) of the one that has signed it'],
  [
    'another host',
    () => oneWay,
    { ca: ours.pem, servername: 'broker-z' },
    'is for localhost, 127.0.0.1, not for broker-z',
  ],
  [
    'no certificate of ours',
    () => mutual,
    { ca: ours.pem },
    'asks for a certificate of its clients: give tls.cert and tls.key',
  ],
  [
    'a certificate of another authority',
    () => mutual,
    { ca: ours.pem, ...stranger },
    'does not accept the certificate of this client',
  ],
])('%s is told at once, and what to do', async (_, cluster, tls, words) => {
  const { nameServer } = cluster()
  for (const error of await refusals(nameServer, { tls, startTimeoutMs: 60_000 })) {
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_TLS', retriable: false, address: nameServer })
    expect(error.message).toContain(words)
  }
})

test('a server without TLS may be one that starts: it is waited for, and told what it may be', async () => {
  for (const error of await refusals(backend.nameServer, { tls: { ca: ours.pem }, startTimeoutMs: 1_000 })) {
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_TLS', retriable: true })
    expect(error.message).toContain('does it take connections with TLS')
  }
})

test('a broker that cannot be trusted any more is told of while a client runs: by its sends, and by health()', async () => {
  const cluster = await TestBroker.start({ topics: [topic], tls: { ...server } })
  clients.add(cluster)
  const tls = { ca: ours.pem }
  const producer = await client(Producer, cluster.nameServer, { topics: [topic], tls, sendTimeoutMs: 3_000 }).start()
  const consumer = client(PushConsumer, cluster.nameServer, { tls }).subscribe(topic, () => {})
  await consumer.start()
  await producer.sendOrderly({ topic, body: 'x' }, 'order-1')
  const [address] = cluster.brokers
  await cluster.stopBroker()
  const impostor = nodeTls.createServer(theirs.sign('IP:127.0.0.1')).on('tlsClientError', () => {})
  clients.add({ close: () => new Promise((resolve) => impostor.close(resolve)) })
  await new Promise((resolve) => impostor.listen(Number(address.split(':')[1]), '127.0.0.1', resolve))
  const told = { code: 'ERR_ROCKETMQ_TLS', address, message: expect.stringContaining('give tls.ca') }
  await expect(producer.sendOrderly({ topic, body: 'x' }, 'order-1')).rejects.toMatchObject(told)
  await until(() => [producer, consumer].every((one) => one.health().problems.some(({ code }) => code === told.code)))
  for (const one of [producer, consumer]) {
    expect(one.health().problems).toContainEqual(expect.objectContaining(told))
  }
  await Promise.all([producer, consumer].map((one) => one.close({ timeoutMs: 1_000 })))
})

test('a client without TLS is told what it may be', async () => {
  for (const error of await refusals(oneWay.nameServer, { startTimeoutMs: 1_000 })) {
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_CONNECTION', retriable: true })
    expect(error.message).toContain('with TLS or without?')
  }
})

test('whoever trusts anybody is warned once', async () => {
  const producer = client(Producer, oneWay.nameServer, { topics: [topic], tls: { rejectUnauthorized: false } })
  const warnings = []
  producer.on('warning', (error) => warnings.push(error))
  await producer.start()
  await producer.sendOrderly({ topic, body: 'x' }, 'order-2')
  expect(warnings).toMatchObject([{ code: 'ERR_ROCKETMQ_TLS', message: expect.stringContaining('Give tls.ca') }])
})
