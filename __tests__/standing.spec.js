'use strict'
// What stands says so: queues that are allocated to a consumer and not its own yet, handlers that run, and what a rebalance tells.
const { PushConsumer } = require('..')
const { admin, backend, childProcess, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

const QUEUES = [0, 1, 2, 3]

/** A consumer with a logger: its records, warnings and assigned queues. */
function member(groupId, topic, handler, options = {}) {
  const records = []
  const [info, warn, error] = ['info', 'warn', 'error'].map(
    (level) => (fields, text) => records.push({ level, text, ...fields }),
  )
  const client = clients.add(
    new PushConsumer({
      groupId,
      nameServer: backend.nameServer,
      initialPosition: 'first',
      logger: { info, warn, error },
      ...options,
    }),
  )
  client.subscribe(topic, handler)
  return Object.assign(client, { records })
}

const inState = (client, state) => client.assignment().filter((queue) => queue.state === state)
const shown = (client) => JSON.stringify(client.assignment())

async function produce(topic, count) {
  const client = await startProducer()
  return Promise.all(
    Array.from({ length: count }, (_, i) => client.sendOrderly({ topic, body: String(i) }, `key-${i}`)),
  )
}

test('the queues of a killed member wait, and lag, the log and assignment() tell it at once', async () => {
  const topic = await createTopic({ queues: 4 })
  const group = uniqueGroup()
  const child = childProcess('integrity/member.js', [backend.nameServer, group, topic])
  const { clientId } = await child.line(({ event }) => event === 'started')
  const heir = member(group, topic, () => {})
  await heir.start()
  await until(() => inState(heir, 'running').length === 2, { what: () => `its share: ${shown(heir)}` })
  await until(async () => (await admin.lockProbe(group, topic, QUEUES)).length === 0, {
    what: 'the share of the other',
  })
  await child.kill9()
  const killed = Date.now()
  const sent = await produce(topic, 200)
  await until(() => heir.assignment().length === 4, { what: () => `all queues: ${shown(heir)}` })
  const told = () => heir.records.filter(({ text }) => text.includes('member that has gone'))
  await until(() => told().length > 0, { what: () => `a record: ${JSON.stringify(heir.records)}` })
  const waiting = inState(heir, 'locking')
  expect(waiting).toHaveLength(2)
  const ids = waiting.map(({ queueId }) => queueId).sort()
  expect(told()).toEqual([expect.objectContaining({ level: 'info', topic, queueIds: ids })])
  expect(told()[0].text).toContain(`queues ${ids.join(', ')} of ${topic}`)
  expect(told()[0].text).toContain(clientId)
  const stored = sent.filter(({ queue }) => ids.includes(queue.queueId)).length
  expect(stored).toBeGreaterThan(0)
  await until(() => heir.stats().lag === stored, {
    timeoutMs: 30_000,
    what: () => `a lag of ${stored}: ${shown(heir)} ${JSON.stringify(heir.stats())}`,
  })
  for (const queue of inState(heir, 'locking')) {
    expect(queue).toMatchObject({ nextOffset: undefined, committedOffset: 0, inFlight: 0 })
    expect(Math.abs(queue.since - killed)).toBeLessThan(30_000)
  }
  expect(Date.now() - killed).toBeLessThan(55_000) // while the broker keeps the lock
  expect(heir.health()).toEqual({ ok: true, problems: [] }) // it will end by itself
})

test('locks that another client has: told at once, shown with what is stored, and all taken when it gives them back', async () => {
  const topic = await createTopic({ queues: 4 })
  const group = uniqueGroup()
  const sent = await produce(topic, 40)
  expect(await admin.lock(group, topic, QUEUES, { clientId: 'stranger' })).toHaveLength(4)
  const seen = []
  const client = member(group, topic, (message) => void seen.push(message.msgId))
  const assigned = []
  client.on('assigned', (queues) => assigned.push(queues))
  await client.start()
  await until(() => client.records.some(({ text }) => text.startsWith(`queues 0..3 of ${topic} at `)), {
    what: () => `a record: ${JSON.stringify(client.records)}`,
  })
  expect(inState(client, 'locking')).toHaveLength(4)
  expect(client.health().ok).toBe(true)
  expect([seen, assigned]).toEqual([[], []])
  // Nothing is committed, so nobody can say what is behind; it is not 0.
  expect(client.assignment().map(({ nextOffset, lag }) => [nextOffset, lag === 0])).toEqual(
    QUEUES.map(() => [undefined, false]),
  )
  await admin.unlock(group, topic, QUEUES, { clientId: 'stranger' })
  await until(() => inState(client, 'running').length === 4, { what: () => `all queues: ${shown(client)}` })
  await until(() => sent.every(({ msgId }) => seen.includes(msgId)), { what: 'the messages' })
  expect(assigned.flat().map(({ queueId }) => queueId)).toEqual(expect.arrayContaining(QUEUES))
})

test('a rebalance is one event and one record, with all its queues', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  const [first, second] = [member(group, topic, () => {}), member(group, topic, () => {})]
  const events = []
  for (const [name, client] of Object.entries({ first, second })) {
    for (const event of ['assigned', 'revoked'])
      client.on(event, (queues) => events.push([name, event, queues.map(({ queueId }) => queueId)]))
  }
  const told = (name, event) => events.filter((one) => one[0] === name && one[1] === event)
  const queues = (name, event) => told(name, event).flatMap(([, , ids]) => ids)
  await first.start()
  await until(() => queues('first', 'assigned').length === 8, { what: () => JSON.stringify(events) })
  await second.start()
  await until(() => queues('second', 'assigned').length === 4, { what: () => JSON.stringify(events) })
  await until(() => queues('first', 'revoked').length === 4, { what: () => JSON.stringify(events) })
  await second.close()
  await until(() => queues('first', 'assigned').length === 12, { what: () => JSON.stringify(events) })
  // A busy machine may need more than the tenth of a second for which queues wait for each other.
  expect(events.length).toBeLessThanOrEqual(8)
  const records = first.records.filter(({ text }) => text === 'queues assigned')
  expect(records.map((record) => record.queues.map(({ queueId }) => queueId))).toEqual(
    told('first', 'assigned').map(([, , ids]) => ids),
  )
})

test('assignment() tells since when a handler runs', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, 1)
  let release
  const client = member(uniqueGroup(), topic, () => new Promise((resolve) => (release = resolve)))
  const before = Date.now()
  await client.start()
  await until(() => release)
  const [running] = client.assignment()
  expect(running).toMatchObject({ state: 'running', inFlight: 1 })
  expect(running.since).toBeGreaterThanOrEqual(before - 1)
  expect(running.runningSince).toBeGreaterThanOrEqual(running.since - 1)
  expect(running.runningSince).toBeLessThanOrEqual(Date.now() + 1)
  release()
  await until(() => client.assignment()[0].inFlight === 0)
  expect(client.assignment()[0]).not.toHaveProperty('runningSince')
})
