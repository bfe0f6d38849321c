'use strict'
// What a client says when it meets something else than it was told: the classics of a wrong address.

const http = require('node:http')
const net = require('node:net')
const tls = require('node:tls')
const http2 = require('node:http2')
const { Producer, PushConsumer } = require('../..')
const { TestBroker } = require('../../testing')
const { Authority } = require('../support/certificates')
const { FakeServer, route } = require('../support/fake-server')

const open = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** Listens on a free port; returns its address. */
async function listening(server) {
  const sockets = new Set()
  server.on('connection', (socket) =>
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket))),
  )
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return `127.0.0.1:${server.address().port}`
}

/** A server's certificate. */
function certificate() {
  const authority = new Authority('ours')
  open.push(() => authority.close())
  return authority.sign('DNS:localhost')
}

/** What the starts of both kinds of client are refused with, and how long that took. */
async function refusals(nameServer, options = {}) {
  const clients = [
    new Producer({ groupId: 'GID-wrong', nameServer, ...options }),
    new PushConsumer({ groupId: 'GID-wrong', nameServer, ...options }).subscribe('orders', () => {}),
  ]
  return Promise.all(
    clients.map(async (client) => {
      open.push(() => client.close())
      const began = performance.now()
      const error = await client.start().then(
        () => undefined,
        (reason) => reason,
      )
      return { error, took: performance.now() - began }
    }),
  )
}

/** Told at once, as no time will mend it. */
async function expectWrong(nameServer, ...words) {
  for (const { error, took } of await refusals(nameServer, { startTimeoutMs: 30_000 })) {
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_PROTOCOL', retriable: false, address: nameServer })
    for (const word of words) expect(error.message).toContain(word)
    expect(took).toBeLessThan(20_000)
  }
}

test('an HTTP server in the place of a name server is called by its name', async () => {
  await expectWrong(await listening(http.createServer((_, answer) => answer.end('hello'))), 'HTTP server', 'port 9876')
})

test('a server that speaks TLS is called by its name, as far as it says anything', async () => {
  const alert = Buffer.from([0x15, 3, 1, 0, 2, 2, 70]) // fatal, protocol_version
  await expectWrong(await listening(net.createServer((socket) => socket.end(alert))), 'speaks TLS')
  // OpenSSL hangs up without a word.
  const nameServer = await listening(tls.createServer(certificate()))
  for (const { error } of await refusals(nameServer, { startTimeoutMs: 1_000 })) {
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_CONNECTION', retriable: true })
    expect(error.message).toMatch(/startTimeoutMs.*no name server answers.*with TLS or without/)
  }
})

test('a gRPC server (port 8081 of a proxy) is called by its name', async () => {
  await expectWrong(await listening(http2.createServer()), 'HTTP/2', '8081')
})

test('any other server is quoted', async () => {
  const server = net.createServer((socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n'))
  await expectWrong(await listening(server), '"SSH-2.0-OpenSSH_9.6"')
})

test.each(['4.9', '5.5'])('a broker of %s in the place of a name server is called by its name', async (version) => {
  const broker = await TestBroker.start({ version })
  open.push(() => broker.close())
  await expectWrong(broker.brokers[0], 'is no name server, but a broker', 'port 9876')
})

test('a route that leads to a gRPC port, as that of a proxy in local mode, is told with the address', async () => {
  const address = await listening(http2.createServer())
  const names = await FakeServer.start(() => route(address))
  open.push(() => names.close())
  for (const Kind of [Producer, PushConsumer]) {
    const options = { groupId: 'GID-wrong', nameServer: names.address, startTimeoutMs: 1_000 }
    const client = Kind === Producer ? new Kind({ ...options, topics: ['orders'] }) : new Kind(options)
    if (Kind === PushConsumer) client.subscribe('orders', () => {})
    open.push(() => client.close())
    const error = await client.start().catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_PROTOCOL', retriable: false, address })
    expect(error.message).toContain('8081')
  }
})

test('brokerIP1 is a matter of brokers: what a name server that is down is told with', async () => {
  const address = await listening(net.createServer())
  await open.pop()()
  for (const { error } of await refusals(address, { startTimeoutMs: 500 })) {
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_CONNECTION', retriable: true, cause: { address } })
    expect(`${error.message} ${error.cause.message}`).not.toContain('brokerIP1')
  }
  const names = await FakeServer.start(() => route(address))
  open.push(() => names.close())
  const producer = new Producer({
    groupId: 'GID-wrong',
    nameServer: names.address,
    topics: ['orders'],
    startTimeoutMs: 500,
  })
  open.push(() => producer.close())
  const error = await producer.start().catch((reason) => reason)
  expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_CONNECTION', retriable: true, address })
  expect(error.message).toContain('brokerIP1')
})
