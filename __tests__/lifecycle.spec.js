'use strict'
const { setTimeout: delay } = require('node:timers/promises')
const { PushConsumer } = require('..')
const { admin, backend, childProcess, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

const consumer = (options = {}) =>
  clients.add(
    new PushConsumer({ groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first', ...options }),
  )

/** close() waits a second for the answer to its leave; a busy broker takes it in later. */
const left = (group) => until(async () => (await admin.members(group)).length === 0, { what: 'the member to be gone' })

async function produce(topic, count) {
  const client = await startProducer()
  return Promise.all(
    Array.from({ length: count }, (_, i) => client.sendOrderly({ topic, body: String(i) }, `key-${i % 16}`)),
  )
}

test('close() waits for the running handler, commits its result, unlocks and unregisters', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, 10)
  let release
  let aborted = false
  const seen = []
  const client = consumer().subscribe(topic, async (message, { signal }) => {
    seen.push(message.queueOffset)
    if (message.queueOffset === 3) await new Promise((resolve) => (release = resolve))
    aborted = signal.aborted
  })
  await client.start()
  await until(() => release)
  const closing = client.close()
  await delay(100)
  expect(client.state).toBe('closing')
  release()
  await closing
  expect([client.state, aborted, seen]).toEqual(['closed', false, [0, 1, 2, 3]])
  expect(await admin.committedOffset(client.groupId, topic, 0)).toBe(4)
  expect(await admin.lockProbe(client.groupId, topic, [0])).toEqual([0])
  await left(client.groupId)
})

test('a handler that outlives the bound: close() resolves, its queue stays locked and uncommitted, a warning names it', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, 3)
  const warnings = []
  let reason
  let release
  const client = consumer({ closeTimeoutMs: 500 }).subscribe(topic, async (message, { signal }) => {
    if (message.queueOffset !== 1) return
    signal.addEventListener('abort', () => (reason = signal.reason))
    await new Promise((resolve) => (release = resolve))
  })
  client.on('warning', (warning) => warnings.push(warning))
  await client.start()
  await until(() => release)
  const began = performance.now()
  await client.close()
  expect(performance.now() - began).toBeLessThan(5_000) // the bound of 0.5 s, not the usual one of 15 s
  // What is told does not wait for close(), nor close() for it.
  await until(() => reason && warnings.some(({ code }) => code === 'ERR_ROCKETMQ_HANDLER'), {
    what: () => `the end of the signal, ${reason}, and the warning, ${warnings}`,
  })
  expect(reason).toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
  expect(await admin.lockProbe(client.groupId, topic, [0])).toEqual([])
  release()
})

test('await using closes a consumer', async () => {
  const topic = await createTopic({ queues: 1 })
  const client = consumer().subscribe(topic, () => {})
  await client.start()
  await client[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]()
  expect(client.state).toBe('closed')
  await left(client.groupId)
})

test('a process that closes its clients exits by itself; one that does not stays alive', async () => {
  const topic = await createTopic({ queues: 2 })
  const child = childProcess('integrity/member.js', [backend.nameServer, uniqueGroup(), topic])
  await child.line(({ event }) => event === 'started')
  await delay(500)
  expect(child.end).toBe(undefined)
  child.send('close')
  expect(await child.ended).toEqual({ code: 0, signal: null })
})

test('a handler that never ends does not keep a process alive after close(), whatever handlerTimeoutMs is', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, 1)
  const child = childProcess('integrity/hanging.js', [backend.nameServer, uniqueGroup(), topic])
  await child.line(({ event }) => event === 'closed')
  const closed = performance.now()
  expect(await child.ended).toEqual({ code: 0, signal: null })
  expect(performance.now() - closed).toBeLessThan(20_000) // far from handlerTimeoutMs
})
