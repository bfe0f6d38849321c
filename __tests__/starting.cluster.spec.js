'use strict'
// Servers that are not up yet, go, come back or move, under clients that start or work.

const { setTimeout: delay } = require('node:timers/promises')
const { Producer, PushConsumer, deadLetter } = require('..')
const { backend, clients, startCluster, uniqueGroup, uniqueTopic, until } = require('./support')

jest.setTimeout(400_000)

let cluster
beforeAll(async () => {
  cluster = await startCluster()
})

const producer = (options) =>
  clients.add(new Producer({ groupId: uniqueGroup('P'), nameServer: cluster.nameServer, ...options }))
const consumer = (options) =>
  clients.add(
    new PushConsumer({
      groupId: uniqueGroup(),
      nameServer: cluster.nameServer,
      initialPosition: 'first',
      commitIntervalMs: 50,
      ...options,
    }),
  )

/** Makes a topic when the name server knows the broker, and returns its name. */
async function created({ name = uniqueTopic(), ...options } = {}) {
  await until(async () => (await cluster.admin.masters()).size > 0, { what: 'a registered broker' })
  await cluster.admin.createTopic(name, { queues: 1, ...options })
  return name
}

/** A producer and a consumer of a topic, not started; `seen` is what was handled. */
function pair(topic, options) {
  const seen = []
  const receiver = consumer(options).subscribe(topic, (message) => void seen.push(message.text()))
  return { sender: producer({ topics: [topic], ...options }), receiver, seen }
}

const failure = (client) =>
  client.start().then(
    () => undefined,
    (error) => error,
  )

/** Whether it stays true for so long. */
async function holds(condition, ms) {
  const end = performance.now() + ms
  while (performance.now() < end) {
    expect(condition()).toBe(true)
    await delay(50)
  }
}

test('name server and broker that are not up yet are waited for, and start() succeeds when they come', async () => {
  const [broker] = cluster.brokers
  const topic = await created({ queues: 2 })
  await cluster.stopNameServer()
  await broker.stop()
  const { sender, receiver, seen } = pair(topic, { startTimeoutMs: 180_000 })
  let started = 0
  const starting = [sender.start(), receiver.start()].map((start) => start.then(() => started++))
  await holds(() => started === 0, 3_000)
  expect([sender.state, receiver.state]).toEqual(['starting', 'starting'])
  await cluster.startNameServer() // which knows nothing: no topic and no broker
  await holds(() => started === 0, 2_000)
  await broker.start()
  const up = performance.now()
  await Promise.all(starting)
  expect(performance.now() - up).toBeLessThan(20_000)
  await sender.sendOrderly({ topic, body: 'x' }, 'k')
  await until(() => seen.length > 0)
})

test('when the time is up, start() rejects with what it has waited for, and may be called again', async () => {
  const [broker] = cluster.brokers
  const topic = await created()
  const told = async (code, words) => {
    const { sender, receiver } = pair(topic, { startTimeoutMs: 2_500 })
    for (const error of await Promise.all([failure(sender), failure(receiver)])) {
      expect(error).toMatchObject({ name: 'RocketMQError', code, retriable: true })
      expect(error.message).toMatch(/^start\(\) did not finish within 2500 ms/)
      expect(error.message).toMatch(words)
    }
    return [sender, receiver]
  }
  await cluster.stopNameServer()
  await told('ERR_ROCKETMQ_CONNECTION', /no name server answers/)
  await broker.stop()
  await cluster.startNameServer()
  const waiting = await told('ERR_ROCKETMQ_NO_MASTER', /no broker is registered with the name servers/)
  await broker.start()
  for (const client of waiting) {
    client.on('warning', () => {})
    await until(async () => (await failure(client)) === undefined, { what: 'a start that succeeds' })
  }
})

test('a topic that does not exist: rejected at once where brokers are known, not retriable, with a command to paste', async () => {
  const topic = uniqueTopic('missing')
  const { sender, receiver } = pair(topic, { startTimeoutMs: 60_000 })
  const began = performance.now()
  for (const error of await Promise.all([failure(sender), failure(receiver)])) {
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND', retriable: false, topic })
    const typed = backend.major >= 5 ? ' -a +message.type=FIFO' : ''
    const command = `mqadmin updateTopic -n ${cluster.nameServer} -c DefaultCluster -t ${topic} -r 8 -w 8${typed}`
    expect(error.message.endsWith(command) && error.message).toContain(command)
  }
  expect(performance.now() - began).toBeLessThan(30_000)
})

test('waitForTopics: start() waits for a topic until it is made, within startTimeoutMs', async () => {
  const topic = uniqueTopic('awaited')
  const { sender, receiver, seen } = pair(topic, { waitForTopics: true, startTimeoutMs: 120_000 })
  let started = 0
  const starting = [sender.start(), receiver.start()].map((start) => start.then(() => started++))
  await holds(() => started === 0, 2_000)
  await created({ name: topic })
  await Promise.all(starting)
  await sender.sendOrderly({ topic, body: 'x' }, 'k')
  await until(() => seen.length > 0)
  const never = pair(uniqueTopic('never'), { waitForTopics: true, startTimeoutMs: 1_500 })
  for (const error of await Promise.all([failure(never.sender), failure(never.receiver)])) {
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND', retriable: true })
    expect(error.message).toContain('startTimeoutMs')
  }
})

test('a standing repair consumer starts before there is a dead letter, and gets the first one', async () => {
  const topic = await created()
  const { sender } = pair(topic)
  const groupId = uniqueGroup()
  const failing = consumer({ groupId }).subscribe(topic, () => deadLetter('no order'))
  const dead = `%DLQ%${groupId}`
  const repaired = []
  const repair = (options) => consumer(options).subscribe(dead, (message) => void repaired.push(message.text()))

  const error = await failure(repair())
  expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND', topic: dead, retriable: true })
  expect(error.message).toContain(`the broker makes it with the first dead letter of group ${groupId}`)
  expect(error.message).not.toContain('mqadmin')

  const standing = repair({ waitForTopics: true, startTimeoutMs: 30_000 })
  await standing.start()
  expect(standing.health()).toEqual({ ok: true, problems: [] })
  await Promise.all([sender.start(), failing.start()])
  await sender.sendOrderly({ topic, body: 'the first' }, 'k')
  await until(() => repaired.length > 0, { timeoutMs: 90_000, what: 'the dead letter' })
  expect(repaired).toEqual(['the first'])
  expect(standing.health()).toEqual({ ok: true, problems: [] })
})

test('a topic that nobody may read is a warning and a problem, until it may be read', async () => {
  const topic = await created({ queues: 1, perm: 2 })
  const { sender, receiver, seen } = pair(topic)
  const warnings = []
  receiver.on('warning', (warning) => warnings.push(warning))
  await Promise.all([sender.start(), receiver.start()])
  await sender.sendOrderly({ topic, body: 'x' }, 'k')
  await until(() => warnings.length > 0 && !receiver.health().ok, { what: 'a warning and a problem' })
  for (const told of [warnings[0], receiver.health().problems[0]]) {
    expect(told).toMatchObject({ code: 'ERR_ROCKETMQ_ACCESS_DENIED', topic })
    const command = `mqadmin updateTopicPerm -n ${cluster.nameServer} -c DefaultCluster -t ${topic} -p 6`
    expect(told.message).toContain(command)
  }
  await cluster.admin.createTopic(topic, { queues: 1, perm: 6 })
  await until(() => seen.length > 0, { timeoutMs: 90_000, what: 'the message' })
  expect([receiver.health(), warnings.length]).toEqual([{ ok: true, problems: [] }, 1])
})

test('an idle producer notices that its broker has stopped, and that it is back', async () => {
  const [broker] = cluster.brokers
  const topic = await created()
  const { sender } = pair(topic)
  await sender.start()
  const seen = []
  for (const event of ['connected', 'disconnected']) {
    sender.on(event, (address, { server }) => seen.push([event, server, address]))
  }
  expect(sender.health()).toEqual({ ok: true, problems: [] })
  await broker.kill9()
  const stopped = performance.now()
  await until(() => !sender.health().ok, { intervalMs: 10, what: 'a problem' })
  expect(performance.now() - stopped).toBeLessThan(5_000)
  expect(sender.health().problems).toMatchObject([{ code: 'ERR_ROCKETMQ_CONNECTION', address: broker.address }])
  await broker.start()
  const back = performance.now()
  await until(() => sender.health().ok, { intervalMs: 10, what: () => `${sender.health().problems}` })
  expect(performance.now() - back).toBeLessThan(15_000) // not the next heartbeat; 2 s and a little on a machine at leisure
  await until(() => seen.length > 1)
  expect(seen).toEqual([
    ['disconnected', 'broker', broker.address],
    ['connected', 'broker', broker.address],
  ])
})

test('a name server that is started again is a problem while it is away, and none while everything works', async () => {
  const topic = await created()
  const { sender, receiver, seen } = pair(topic)
  await Promise.all([sender.start(), receiver.start()])
  await sender.sendOrderly({ topic, body: '1' }, 'k')
  await cluster.stopNameServer()
  await until(() => !sender.health().ok && !receiver.health().ok, { what: 'a problem' })
  for (const client of [sender, receiver]) {
    expect(client.health().problems[0]).toMatchObject({ code: 'ERR_ROCKETMQ_CONNECTION', address: cluster.nameServer })
  }
  await sender.sendOrderly({ topic, body: '2' }, 'k') // what is known stays in use
  await cluster.startNameServer()
  const back = performance.now()
  // It knows no topic until the brokers register; all works, and that is what counts.
  await until(() => sender.health().ok && receiver.health().ok, {
    what: () => `${[...sender.health().problems, ...receiver.health().problems]}`,
  })
  expect(performance.now() - back).toBeLessThan(15_000) // looked at again after 5 s at most, not after 30
  await sender.sendOrderly({ topic, body: '3' }, 'k')
  await until(() => seen.length === 3)
})

test('a topic that has lost its route is not to be created: the text says when it was seen, and that it may come back', async () => {
  const topic = await created()
  const { sender } = pair(topic)
  await sender.start()
  await cluster.admin.deleteTopic(topic)
  sender.sendOrderly({ topic, body: 'x' }, 'k', { timeoutMs: 1_000 }).catch(() => {}) // has it looked at
  const problem = await until(
    () => sender.health().problems.find(({ code }) => code === 'ERR_ROCKETMQ_TOPIC_NOT_FOUND'),
    {
      timeoutMs: 90_000,
      what: 'a problem',
    },
  )
  expect(problem).toMatchObject({ topic, retriable: true })
  expect(problem.message).toMatch(/has no route any more: .*last seen \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/)
  expect(problem.message).not.toContain('mqadmin')
})
