'use strict'
// A topic that is deleted and made anew counts from 0 again: nothing of the new one is skipped, and it is told.
const { setTimeout } = require('node:timers/promises')
const { PushConsumer } = require('..')
const { admin, backend, clients, createTopic, uniqueGroup, until } = require('./support')

/** The group's member: { client, seen, resets, health }. */
async function started(topic, options = {}) {
  const seen = []
  const resets = []
  const defaults = {
    groupId: uniqueGroup(),
    nameServer: backend.nameServer,
    initialPosition: 'first',
    commitIntervalMs: 50,
  }
  const client = clients.add(new PushConsumer({ ...defaults, ...options }))
  client.on('offsetReset', (_queue, detail) => resets.push(detail))
  await client.subscribe(topic, (message) => void seen.push(message.text())).start()
  return { client, seen, resets }
}

const names = (prefix, count) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

async function send(topic, bodies) {
  for (const body of bodies) await admin.send(topic, 0, body, { properties: { UNIQ_KEY: `${topic}-${body}` } })
}

const committed = (client, topic, offset) =>
  until(async () => (await admin.committedOffset(client.groupId, topic, 0)) === offset, {
    what: `a commit of ${offset}`,
  })

async function anew(topic) {
  // What is replaced within 100 ms of the last answer is not told apart: no operator is so quick.
  await setTimeout(250)
  await admin.deleteTopic(topic)
  await admin.createTopic(topic, { queues: 1 })
}

test.each([
  ['fewer', 5],
  ['as many', 10],
  ['more', 25],
])(
  'a topic made anew under a running consumer, with %s messages than before: all are handled, in order',
  async (_, count) => {
    const topic = await createTopic({ queues: 1 })
    const { client, seen, resets } = await started(topic)
    await send(topic, names('old-', 10))
    await committed(client, topic, 10)
    await anew(topic)
    const bodies = names('new-', count)
    await send(topic, bodies)
    // One more: as many as before is what an idle queue looks like, until the next comes.
    if (count === 10) await send(topic, ['new-10'])
    const all = count === 10 ? [...bodies, 'new-10'] : bodies
    await until(() => seen.length >= 10 + all.length, { what: () => `${all.length} new messages: ${seen.slice(10)}` })
    expect(seen.slice(10)).toEqual(all)
    await committed(client, topic, all.length)
    expect(resets).toEqual([{ from: 10, to: 0, reason: 'store-set-back' }])
    expect(client.health()).toMatchObject({ ok: false, problems: [{ code: 'ERR_ROCKETMQ_OFFSET_RESET', topic }] })
    expect(client.assignment()[0]).toMatchObject({ lag: 0, lastReset: { from: 10, to: 0, reason: 'store-set-back' } })
  },
)

test('a topic made anew while the group is stopped: the group begins with its first message', async () => {
  const topic = await createTopic({ queues: 1 })
  const before = await started(topic)
  await send(topic, names('old-', 10))
  await committed(before.client, topic, 10)
  await before.client.close()
  await anew(topic)
  await send(topic, names('new-', 3))
  const { client, seen, resets } = await started(topic, { groupId: before.client.groupId })
  await until(() => seen.length >= 3)
  await committed(client, topic, 3)
  expect(seen).toEqual(names('new-', 3))
  // 5.x deletes a topic with its groups' offsets, 4.9 keeps them.
  expect(resets).toEqual(backend.major < 5 ? [{ from: 10, to: 0, reason: 'store-set-back' }] : [])
})

test.each([0, 3])(
  'a Date that the broker has not reached yet: all that is stored after start() is handled, with %i messages before',
  async (count) => {
    const topic = await createTopic({ queues: 1 })
    await send(topic, names('before-', count))
    // All of it can be seen.
    await admin.readBack(topic, { expected: count })
    const { client, seen } = await started(topic, { initialPosition: new Date(Date.now() + 3_000) })
    const after = names('after-', 5)
    await send(topic, after)
    await committed(client, topic, count + 5)
    // A 4.9 broker says of a young topic that the group begins with its first message.
    expect(seen).toEqual(backend.major < 5 ? [...names('before-', count), ...after] : after)
  },
)
