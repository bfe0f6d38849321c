'use strict'
// C1, across processes: intervals of handlers of one queue never overlap, by the clock of the machine.
const { admin, backend, childProcess, createTopic, startProducer, uniqueGroup, until } = require('../support')

jest.setTimeout(240_000)

test('three processes share a group, one leaves in peace, one joins: no two handlers of a queue at once, no gap, no duplicate', async () => {
  const topic = await createTopic({ queues: 8 })
  const group = uniqueGroup()
  const member = () => childProcess('integrity/member.js', [backend.nameServer, group, topic])
  const members = [member(), member()]
  await Promise.all(members.map((child) => child.line(({ event }) => event === 'started')))
  const sender = await startProducer()
  const send = (from, to) =>
    Promise.all(
      Array.from({ length: to - from }, (_, i) =>
        sender.sendOrderly({ topic, body: String(from + i) }, `key-${(from + i) % 64}`),
      ),
    )
  const handled = () => members.flatMap((child) => child.lines.filter(({ event }) => event === 'handled'))
  await send(0, 2_000)
  await until(() => handled().length > 500)
  members[0].send('close')
  await members[0].line(({ event }) => event === 'closed')
  members.push(member())
  await members[2].line(({ event }) => event === 'started')
  await send(2_000, 4_000)
  const { length: stored } = await admin.readBack(topic, { expected: 4_000 })
  await until(() => handled().length >= stored, {
    timeoutMs: 60_000,
    what: () => `${stored} messages, ${handled().length} so far`,
  })
  for (const child of members.slice(1)) {
    child.send('close')
    await child.line(({ event }) => event === 'closed')
  }
  expect((await Promise.all(members.map((child) => child.ended))).map(({ code }) => code)).toEqual([0, 0, 0])

  const queues = new Map()
  for (const { queueId, offset, began, ended } of handled()) {
    queues.set(queueId, [...(queues.get(queueId) ?? []), { offset, began, ended }])
  }
  let total = 0
  for (const [queueId, calls] of queues) {
    calls.sort((a, b) => a.began - b.began)
    total += calls.length
    expect(calls.map(({ offset }) => offset)).toEqual(calls.map((_, i) => i))
    calls.forEach((call, i) => expect(i === 0 || calls[i - 1].ended <= call.began).toBe(true))
    expect(await admin.committedOffset(group, topic, queueId)).toBe(calls.length)
  }
  expect(total).toBe(stored)
})
