'use strict'
// F20, C10: a member that closes on SIGTERM hands its queues over within 2 s, in the middle of its work.
const { allHandled, byQueue, handled, overlapping } = require('../support/handled')
const { backend, childProcess, createTopic, startProducer, uniqueGroup, until } = require('../support')

const now = () => Number(process.hrtime.bigint() / 1_000n)

test('SIGTERM with close() in its handler: the other member goes on within 2 s, nothing twice, nothing missing', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  const member = () => childProcess('integrity/member.js', [backend.nameServer, group, topic, '10'])
  const members = [member(), member()]
  await Promise.all(members.map((child) => child.line(({ event }) => event === 'started')))
  const sender = await startProducer()
  const count = 8_000
  const sent = Promise.all(
    Array.from({ length: count }, (_, i) => sender.sendOrderly({ topic, body: 'x' }, `key-${i % 256}`)),
  )
  await until(() => members.every((child) => handled([child]).length > 200))
  const terminatedAt = now()
  members[0].kill('SIGTERM')
  await members[0].line(({ event }) => event === 'closed')
  expect(await members[0].ended).toEqual({ code: 0, signal: null })
  await sent
  const stored = await allHandled(topic, count, () => handled(members).length, { timeoutMs: 60_000 })
  const calls = handled(members)
  expect(overlapping(calls)).toEqual([])
  const pauses = []
  for (const list of byQueue(calls).values()) {
    expect(list.map(({ offset }) => offset)).toEqual(list.map((_, i) => i))
    const next = list.find(({ began, child }) => child === 1 && began > terminatedAt)
    pauses.push((next.began - terminatedAt) / 1_000)
  }
  // The queues are at work again within 2 s of the signal; the last one of a busy machine long before the next look at all members.
  pauses.sort((a, b) => a - b)
  expect(pauses).toHaveLength(8)
  expect(pauses[5]).toBeLessThan(2_000)
  expect(pauses[7]).toBeLessThan(10_000)
  expect(calls).toHaveLength(stored)
}, 240_000)
