'use strict'
// F13: a process that was stopped for longer than its leases starts nothing before it has fresh locks, and what it was doing does
// not count. The broker keeps the lock for 60 s, so nobody else gets the queue in between.
const { setTimeout: delay } = require('node:timers/promises')
const { Producer } = require('../..')
const { byQueue, handled, overlapping } = require('../support/handled')
const { admin, backend, childProcess, clients, createTopic, uniqueGroup, until } = require('../support')

const STOPPED_MS = 35_000
const now = () => Number(process.hrtime.bigint() / 1_000n)

test('after 35 s of SIGSTOP: no start before a fresh lock, the stale result is not committed, no overlap', async () => {
  const topic = await createTopic({ queues: 4 })
  const group = uniqueGroup()
  const member = () => childProcess('integrity/member.js', [backend.nameServer, group, topic, '100'])
  const members = [member(), member()]
  await Promise.all(members.map((child) => child.line(({ event }) => event === 'started')))
  const sender = await clients.add(new Producer({ groupId: uniqueGroup('P'), nameServer: backend.nameServer })).start()
  await Promise.all(Array.from({ length: 400 }, (_, i) => sender.sendOrderly({ topic, body: 'x' }, `key-${i % 64}`)))
  const [stopped] = members
  const last = (queueId, event, child) =>
    child.lines.findLast((line) => line.event === event && line.queueId === queueId)
  const queuesOf = (child) => [...byQueue(handled([child])).keys()]
  await until(() => queuesOf(members[1]).length >= 2 && handled([stopped]).length > 20, { timeoutMs: 30_000 })
  await until(() => last(queuesOf(members[1])[0], 'began', members[1]), {})
  await delay(1_500) // past the hand-over of the second member's share, and at least one commit
  stopped.kill('SIGSTOP')
  await delay(200) // what it has said before arrives
  const stoppedAt = now()
  const running = [0, 1, 2, 3].flatMap((queueId) => {
    const began = last(queueId, 'began', stopped)
    const ended = last(queueId, 'handled', stopped)
    return began && began.offset !== ended?.offset ? [began] : []
  })
  expect(running.length).toBeGreaterThan(0)
  const committed = await Promise.all(running.map(({ queueId }) => admin.committedOffset(group, topic, queueId)))
  await delay(STOPPED_MS)
  const continuedAt = now()
  stopped.kill('SIGCONT')
  await until(() => new Set(handled(members).map(({ queueId, offset }) => `${queueId}/${offset}`)).size === 400, {
    timeoutMs: 60_000,
    what: () => `400 messages, ${handled(members).length} calls so far`,
  })

  const calls = handled(members)
  expect(overlapping(calls)).toEqual([])
  expect(calls.filter(({ began }) => began > stoppedAt && began < continuedAt && began.child === 0)).toEqual([])
  for (const [i, { queueId, offset, began }] of running.entries()) {
    const list = byQueue(calls).get(queueId)
    // The lease was over while it ran: told, and not counted. The next epoch begins where the last commit was.
    const lost = stopped.lines.find((line) => line.event === 'lockLost' && line.queueId === queueId)
    expect(lost.at).toBeGreaterThan(continuedAt)
    const stale = list.find((call) => call.began === began)
    const next = list[list.indexOf(stale) + 1]
    expect(next.began).toBeGreaterThan(stale.ended)
    expect(next.offset).toBeLessThanOrEqual(offset)
    expect(next.offset).toBeGreaterThanOrEqual(committed[i])
    // From there on without a gap and without another repetition.
    const after = list.slice(list.indexOf(next)).map((call) => call.offset)
    expect(after).toEqual(after.map((_, k) => next.offset + k))
    const before = list.slice(0, list.indexOf(next)).map((call) => call.offset)
    expect(before).toEqual(before.map((_, k) => k))
  }
}, 150_000)
