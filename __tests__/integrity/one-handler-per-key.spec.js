'use strict'
// C1 to C5 per key, across processes: with concurrency { by: 'key' } intervals of handlers of one key never overlap, by the clock of the machine.
const { byKey, handled, overlapping } = require('../support/handled')
const { SpecHistory } = require('../support/history')
const { admin, backend, childProcess, createTopic, uniqueGroup, until } = require('../support')

jest.setTimeout(300_000)

/** A dead member's lock lasts for a minute: one version is enough to wait for that, as both have the same locks. */
const KILLS = backend.major >= 5
const KEYS = 32
const QUEUES = 4
const COUNT = 3_000
/** What a consumer fetches ahead of the first message that is not done, and so what comes again at most. */
const SPAN = 1_000

test(`one member leaves in peace, one joins${KILLS ? ', one is killed' : ''}: of no key two handlers at once, no gap, and in order`, async () => {
  const topic = await createTopic({ queues: QUEUES })
  const group = uniqueGroup()
  const history = new SpecHistory()
  const member = () =>
    childProcess('integrity/member.js', [backend.nameServer, group, topic, '3', 'key'], { env: history.env })
  const members = [member(), member()]
  const started = (child) => child.line(({ event }) => event === 'started')
  await Promise.all(members.map(started))
  const sender = history.sender(topic, KEYS)
  await sender.send(0, COUNT)
  await until(() => handled(members).length > 500)
  members[0].send('close')
  await members[0].line(({ event }) => event === 'closed')
  const inPeace = handled(members).length
  members.push(member())
  await started(members[2])
  // On a busy machine the first ones may all be handled by now.
  await sender.send(COUNT, 2 * COUNT)
  await until(() => handled(members).length > inPeace + 500)
  expect(repeated(handled(members))).toEqual([])

  await until(() => handled([members[1]]).length > 1_000 && handled([members[2]]).length > 200)
  const before = handled(members)
  if (KILLS) await members[1].kill9()
  // In each of the queues: that these are handled shows that the survivor has them all.
  await sender.send(2 * COUNT, 2 * COUNT + KEYS)
  const stored = await admin.readBack(topic, { expected: 2 * COUNT + KEYS })
  const done = () => new Set(handled(members).map(({ queueId, offset }) => `${queueId}/${offset}`))
  await until(() => done().size >= stored.length, { timeoutMs: 120_000, what: () => `${done().size} handled` })
  for (const child of KILLS ? [members[2]] : members.slice(1)) {
    child.send('close')
    await child.line(({ event }) => event === 'closed')
  }

  const calls = handled(members)
  expect(overlapping(calls, byKey)).toEqual([])
  const offsets = new Map()
  for (const { queueId, queueOffset, shardingKey } of stored) {
    const lane = `${queueId}/${shardingKey}`
    offsets.set(lane, [...(offsets.get(lane) ?? []), queueOffset])
  }
  for (const [lane, list] of byKey(calls)) {
    // First occurrences are all there is, in order; and what comes again comes after the killed member, as a suffix.
    const firsts = [...new Set(list.map(({ offset }) => offset))]
    expect([lane, firsts]).toEqual([lane, offsets.get(lane).toSorted((a, b) => a - b)])
  }
  const again = repeated(calls)
  expect(again.length).toBeLessThanOrEqual(KILLS ? QUEUES * SPAN : 0)
  const known = new Set(before.filter(({ child }) => child === 1).map(({ queueId, offset }) => `${queueId}/${offset}`))
  const late = handled([members[1]]).map(({ queueId, offset }) => `${queueId}/${offset}`)
  for (const call of again) expect(known.has(call) || late.includes(call)).toBe(true)
  for (let queueId = 0; queueId < QUEUES; queueId++) {
    const end = stored.filter((message) => message.queueId === queueId).length
    expect(await admin.committedOffset(group, topic, queueId)).toBe(end)
  }
  await sender.close()
  await history.look(topic, group)
  const counts = await history.expectClean({ drained: true, handOverMs: 21_000 })
  expect(counts).toMatchObject({
    acknowledged: stored.length,
    stored: stored.length,
    'lost writes': 0,
    'two owners': 0,
  })
})

/** Messages that were handled more than once. */
function repeated(calls) {
  const seen = new Set()
  return calls.map(({ queueId, offset }) => `${queueId}/${offset}`).filter((call) => seen.size === seen.add(call).size)
}
