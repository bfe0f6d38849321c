'use strict'
// F12: locks and heartbeats do not depend on the event loop. Without renewals a lease would end after 30 s.
const { allHandled, byQueue, handled, overlapping } = require('../support/handled')
const { admin, backend, childProcess, createTopic, startProducer, uniqueGroup, until } = require('../support')

const BLOCKED_MS = 35_000

test('an event loop that stands still for 35 s keeps its queues, and goes on with the next message', async () => {
  const topic = await createTopic({ queues: 4 })
  const group = uniqueGroup()
  const member = () => childProcess('integrity/member.js', [backend.nameServer, group, topic])
  const members = [member(), member()]
  await Promise.all(members.map((child) => child.line(({ event }) => event === 'started')))
  const sender = await startProducer()
  let sent = 0
  const send = async (count) => {
    await Promise.all(Array.from({ length: count }, (_, i) => sender.sendOrderly({ topic, body: 'x' }, `key-${i}`)))
    sent += count
  }
  const queuesOf = (child) => [...byQueue(handled([child])).keys()].sort()
  // Both have their two queues once both have handled something of a new round.
  await until(
    async () => {
      await send(40)
      return queuesOf(members[0]).length >= 2 && queuesOf(members[1]).length >= 2
    },
    { intervalMs: 500 },
  )
  const before = handled(members).length
  await send(400)
  await until(() => handled(members).length > before)
  members[0].send({ blockMs: BLOCKED_MS })
  const { at: blocked } = await members[0].line(({ event }) => event === 'blocked')
  await until(
    async () => {
      await send(20)
      return members[0].lines.some(({ event }) => event === 'unblocked')
    },
    { intervalMs: 1_000, timeoutMs: BLOCKED_MS + 45_000 },
  )
  const { at: unblocked } = members[0].lines.find(({ event }) => event === 'unblocked')
  expect(unblocked - blocked).toBeGreaterThanOrEqual(BLOCKED_MS * 1_000)
  expect(await admin.members(group)).toHaveLength(2)
  await send(20)
  const stored = await allHandled(topic, sent, () => handled(members).length, { timeoutMs: 60_000 })

  const calls = handled(members)
  expect(calls).toHaveLength(stored)
  expect(overlapping(calls)).toEqual([])
  for (const [queueId, list] of byQueue(calls)) {
    expect(list.map(({ offset }) => offset)).toEqual(list.map((_, i) => i))
    const during = list.filter(({ began }) => began > blocked && began < unblocked)
    // Nobody took over: in the meantime a queue belongs to the other member, or rests.
    expect([queueId, during.filter(({ child }) => child === 0)]).toEqual([queueId, []])
    const owner = list.findLast(({ began }) => began < blocked).child
    if (owner === 0) expect([queueId, during]).toEqual([queueId, []])
  }
  expect(members.flatMap(({ lines }) => lines.filter(({ event }) => event === 'lockLost'))).toEqual([])
  // It could not be told while it lasted.
  const told = ({ lines }) => lines.filter(({ text }) => text?.includes('the event loop did not take messages for 3'))
  await until(() => told(members[0]).length > 0, { what: 'the blocked event loop to be told' })
  expect(members.map((child) => told(child).length)).toEqual([1, 0])
}, 240_000)
