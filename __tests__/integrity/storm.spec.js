'use strict'
// F9: members come and go in peace, all the time: nothing twice, nothing missing, never two handlers of a queue at once.
const { setTimeout: delay } = require('node:timers/promises')
const { PushConsumer } = require('../..')
const { backend, clients, createTopic, startProducer, uniqueGroup } = require('../support')
const { allHandled } = require('../support/handled')

const STORM_MS = 20_000
/** A slow machine takes longer for so many messages. */
const LEAST_LOAD = 4_000

test('four members, one leaves or joins every second under load: no duplicate, no gap, no overlap', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  const seen = new Map()
  const running = new Set()
  const overlaps = []
  let total = 0
  const handler = async ({ queue: { queueId }, queueOffset }) => {
    if (running.has(queueId)) overlaps.push([queueId, queueOffset])
    running.add(queueId)
    if (!seen.has(queueId)) seen.set(queueId, [])
    seen.get(queueId).push(queueOffset)
    total++
    await delay(Math.random() * 3)
    running.delete(queueId)
  }
  const join = async () => {
    const client = new PushConsumer({ groupId: group, nameServer: backend.nameServer, initialPosition: 'first' })
    await clients.add(client).subscribe(topic, handler).start()
    return client
  }
  const members = await Promise.all([join(), join(), join(), join()])
  const sender = await startProducer()
  let sent = 0
  let ends = false
  const load = (async () => {
    while (!ends) {
      await Promise.all(
        Array.from({ length: 20 }, () => sender.sendOrderly({ topic, body: 'x' }, `key-${sent++ % 101}`)),
      )
      await delay(20)
    }
  })()
  clients.add({ close: () => ((ends = true), load) })
  const until20 = performance.now() + STORM_MS
  for (let turn = 0; performance.now() < until20 || sent <= LEAST_LOAD; turn++) {
    await delay(700 + Math.random() * 600)
    if (turn % 2 === 0) await members.splice(Math.floor(Math.random() * members.length), 1)[0].close()
    else members.push(await join())
  }
  ends = true
  await load
  const stored = await allHandled(topic, sent, () => total)
  await Promise.all(members.map((member) => member.close()))
  expect(overlaps).toEqual([])
  for (const offsets of seen.values()) expect(offsets).toEqual(offsets.map((_, i) => i))
  expect(total).toBe(stored)
  expect(sent).toBeGreaterThan(LEAST_LOAD)
}, 240_000)
