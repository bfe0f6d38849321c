'use strict'
// F13: a process that was stopped for longer than its leases starts nothing before it has fresh locks. The broker keeps the lock for 60 s, so nobody else gets the queue in between.
const { setTimeout: delay } = require('node:timers/promises')
const { byQueue, handled, overlapping } = require('../support/handled')
const { admin, backend, childProcess, createTopic, startProducer, uniqueGroup, until } = require('../support')
const { now } = require('../support/time')

const STOPPED_MS = 35_000

test('after 35 s of SIGSTOP: no start before a fresh lock, no gap, no overlap', async () => {
  const topic = await createTopic({ queues: 4 })
  const group = uniqueGroup()
  const member = () => childProcess('integrity/member.js', [backend.nameServer, group, topic, '100'])
  const members = [member(), member()]
  await Promise.all(members.map((child) => child.line(({ event }) => event === 'started')))
  const sender = await startProducer()
  let sent = 0
  const send = async (count) => {
    await Promise.all(
      Array.from({ length: count }, (_, i) => sender.sendOrderly({ topic, body: 'x' }, `key-${i % 64}`)),
    )
    sent += count
  }
  const [stopped] = members
  const last = (queueId, event, child) =>
    child.lines.findLast((line) => line.event === event && line.queueId === queueId)
  const queuesOf = (child) => [...byQueue(handled([child])).keys()]
  // Little by little until both have their two queues: the most is still to be done when one is stopped.
  await until(
    async () => {
      await send(16)
      return members.every((child) => queuesOf(child).length >= 2)
    },
    { intervalMs: 500, what: 'both to have their share' },
  )
  const before = handled([stopped]).length
  await send(400)
  const commits = () => Promise.all([0, 1, 2, 3].map((queueId) => admin.committedOffset(group, topic, queueId)))
  const early = await commits()
  await until(
    async () => handled([stopped]).length > before + 20 && (await commits()).every((offset, i) => offset > early[i]),
    { what: 'a commit in the middle of the work' },
  )
  stopped.kill('SIGSTOP')
  // It says something every 100 ms: after so long a silence it is stopped, and all that it has said is here.
  let said
  await until(() => said === (said = stopped.lines.length), {
    intervalMs: 400,
    what: 'the silence of a stopped process',
  })
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
  await until(() => new Set(handled(members).map(({ queueId, offset }) => `${queueId}/${offset}`)).size >= sent, {
    timeoutMs: 90_000,
    what: () => `${sent} messages, ${handled(members).length} calls so far`,
  })
  const lostOf = (queueId) => stopped.lines.find((line) => line.event === 'lockLost' && line.queueId === queueId)
  await until(() => running.every(({ queueId }) => lostOf(queueId)), { what: 'the lost locks to be told' })

  const told = stopped.lines.filter(({ text }) => /did not (run|take messages) for/.test(text))
  expect(told).toEqual([
    { event: 'warning', code: 'ERR_ROCKETMQ_TIMEOUT', text: expect.stringContaining('the process') },
  ])

  const calls = handled(members)
  expect(overlapping(calls)).toEqual([])
  expect(calls.filter(({ began }) => began > stoppedAt && began < continuedAt && began.child === 0)).toEqual([])
  for (const [i, { queueId, offset, began }] of running.entries()) {
    const list = byQueue(calls).get(queueId)
    // The lease was over while it ran, which is told. Nobody else has had a word meanwhile: what this process has handled need not come again, and
    // that of the stale handler only where its end was heard of before the end of the lease.
    expect(lostOf(queueId).at).toBeGreaterThan(continuedAt)
    const stale = list.find((call) => call.began === began)
    const next = list[list.indexOf(stale) + 1]
    expect(next.began).toBeGreaterThan(stale.ended)
    expect(next.offset).toBeLessThanOrEqual(offset + 1)
    expect(next.offset).toBeGreaterThanOrEqual(committed[i])
    // From there on without a gap and without another repetition.
    const after = list.slice(list.indexOf(next)).map((call) => call.offset)
    expect(after).toEqual(after.map((_, k) => next.offset + k))
    const before = list.slice(0, list.indexOf(next)).map((call) => call.offset)
    expect(before).toEqual(before.map((_, k) => k))
  }
}, 240_000)
