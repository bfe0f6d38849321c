'use strict'
// C1, across processes: intervals of handlers of one queue never overlap, by the clock of the machine.
const { allHandled, byQueue, handled, overlapping } = require('../support/handled')
const { SpecHistory } = require('../support/history')
const { admin, backend, childProcess, createTopic, uniqueGroup, until } = require('../support')

jest.setTimeout(240_000)

test('three processes share a group, one leaves in peace, one joins: no two handlers of a queue at once, no gap, no duplicate', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  const history = new SpecHistory()
  const member = () => childProcess('integrity/member.js', [backend.nameServer, group, topic], { env: history.env })
  const members = [member(), member()]
  await Promise.all(members.map((child) => child.line(({ event }) => event === 'started')))
  const sender = history.sender(topic, 64)
  await sender.send(0, 2_000)
  await until(() => handled(members).length > 500)
  members[0].send('close')
  await members[0].line(({ event }) => event === 'closed')
  members.push(member())
  await members[2].line(({ event }) => event === 'started')
  await sender.send(2_000, 4_000)
  const stored = await allHandled(topic, 4_000, () => handled(members).length, { timeoutMs: 60_000 })
  for (const child of members.slice(1)) {
    child.send('close')
    await child.line(({ event }) => event === 'closed')
  }
  await sender.close()
  expect((await Promise.all(members.map((child) => child.ended))).map(({ code }) => code)).toEqual([0, 0, 0])

  const calls = handled(members)
  expect(calls).toHaveLength(stored)
  expect(overlapping(calls)).toEqual([])
  for (const [queueId, list] of byQueue(calls)) {
    expect(list.map(({ offset }) => offset)).toEqual(list.map((_, i) => i))
    expect(await admin.committedOffset(group, topic, queueId)).toBe(list.length)
  }
  await history.look(topic, group)
  const counts = await history.expectClean({ drained: true, handOverMs: 21_000 })
  expect(counts).toMatchObject({ sends: 4_000, acknowledged: 4_000, stored, 'lost writes': 0, 'two owners': 0 })
})
