'use strict'
// What every spec on a real broker begins with: require('./support').

const { Producer, PushConsumer } = require('../..')
const { Cluster } = require('../../scripts/rocketmq/cluster')
const { TestAdmin } = require('./admin')
const { readBackend } = require('./backends')
const { TestCluster } = require('./test-cluster')
const { ChildProcess } = require('./child-process')
const { ForeignMember } = require('./member')
const { until } = require('./until')

/** The broker of this run: { version: '5.5.0', major: 5, nameServer: 'host:port', brokers: [{ name, address }], testBroker: true if it is one }. */
const backend = readBackend(globalThis.ROCKETMQ_BACKEND)
backend.major = Number(backend.version.split('.')[0])

/** An operator at that broker. */
const admin = new TestAdmin(backend.nameServer)

let counter = 0
const run = `${Date.now().toString(36)}-${process.pid}`

/** A topic name that no other test has. */
function uniqueTopic(prefix = 'topic') {
  return `${prefix}-${run}-${++counter}`
}

/** A group name that no other test has. */
function uniqueGroup(prefix = 'group') {
  return `GID-${prefix}-${run}-${++counter}`
}

/** Makes a topic with a name of its own, and returns that; options as Admin.createTopic(), and `name`. */
async function createTopic({ name = uniqueTopic(), ...options } = {}) {
  await admin.createTopic(name, options)
  return name
}

/** What is closed after each test, however it ended: clients, child processes, foreign members, loops. */
const clients = {
  open: new Set(),
  isOver: false,

  /** Remembers something with close() or kill9(), and returns it. */
  add(client) {
    this.open.add(client)
    // A test whose time was up goes on behind its end, and must not keep the process.
    if (this.isOver) void this.closeAll()
    return client
  },

  async closeAll() {
    const closing = [...this.open].map((client) => (client.close ? client.close() : client.kill9()))
    this.open.clear()
    await Promise.all(closing)
  },
}

/** So long an answer may take: what a busy machine answers later is sent again, and then it is stored twice. */
const PATIENCE_MS = 20_000

/** A producer of this run's broker, or another, started; closed after the test. */
function startProducer(options) {
  const defaults = { groupId: uniqueGroup('P'), nameServer: backend.nameServer, requestTimeoutMs: PATIENCE_MS }
  return clients.add(new Producer({ ...defaults, ...options })).start()
}

/** A consumer of this run's broker, or another, that begins with the first message, not started; closed after the test. */
function makeConsumer(options) {
  const defaults = { groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first' }
  return clients.add(new PushConsumer({ ...defaults, ...options }))
}

/** Runs a script in a process of its own until the test ends; arguments as ChildProcess. */
function childProcess(script, args, options) {
  return clients.add(new ChildProcess(script, args, options))
}

/** Joins a group as a member that is not ours, at the only broker, until the test ends. */
async function foreignMember(options) {
  return clients.add(await ForeignMember.join(backend.brokers[0].address, options))
}

const clusters = new Set()

/** Starts a cluster of this spec's own, of the version under test, stopped after the last test; for *.cluster.spec.js. */
async function startCluster(options) {
  const Kind = backend.testBroker ? TestCluster : Cluster
  const cluster = await Kind.start({ version: backend.version, ...options })
  cluster.admin = new TestAdmin(cluster.nameServer, {
    credentials: cluster.accounts?.admin,
    tls: options?.tls?.admin,
  })
  clusters.add(cluster)
  return cluster
}

afterEach(() => clients.closeAll())

afterAll(async () => {
  clients.isOver = true
  await clients.closeAll()
  await admin.close()
  const stopping = [...clusters].map(async (cluster) => {
    await cluster.admin.close()
    await cluster.stop()
  })
  clusters.clear()
  await Promise.all(stopping)
})

module.exports = {
  admin,
  backend,
  childProcess,
  clients,
  createTopic,
  foreignMember,
  makeConsumer,
  startCluster,
  startProducer,
  uniqueGroup,
  uniqueTopic,
  until,
}
