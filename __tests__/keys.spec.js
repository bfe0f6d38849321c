'use strict'
// concurrency: { by: 'key' }: keys of a queue are handled side by side, each in order; one that fails holds itself alone.

const { deadLetter, suspend } = require('..')
const { createTopic, makeConsumer, startProducer, uniqueGroup, until } = require('./support')

/** Messages 0, 1, … of some keys in turn. */
async function fill(topic, count, keys) {
  const producer = await startProducer()
  const body = (i) => JSON.stringify({ key: i % keys, number: i })
  await Promise.all(
    Array.from({ length: count }, (_, i) => producer.sendOrderly({ topic, body: body(i) }, `key-${i % keys}`)),
  )
}

/** A consumer that remembers what it was given, in `seen`, and which handlers ran at once. */
function consumer(groupId, topic, seen, handler, options = {}) {
  const client = makeConsumer({ groupId, concurrency: { max: 100, by: 'key' }, ...options })
  const running = new Set()
  client.subscribe(topic, async (message, context) => {
    const key = message.shardingKey ?? ''
    seen.overlaps ??= 0
    seen.most ??= 0
    if (running.has(key)) seen.overlaps++
    running.add(key)
    seen.most = Math.max(seen.most, running.size)
    seen.push({ ...message.json(), attempt: context.attempt })
    try {
      return await handler(message, context)
    } finally {
      running.delete(key)
    }
  })
  return client
}

const all = (count) => Array.from({ length: count }, (_, i) => i)
const numbers = (seen) => seen.map(({ number }) => number)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const committed = (client) => client.assignment().reduce((sum, queue) => sum + (queue.committedOffset ?? 0), 0)

/** Of each key, first occurrences are in order, and what comes again is a suffix of what came. */
function expectOrderPerKey(seen) {
  const last = new Map()
  for (const { key, number, attempt } of seen) {
    const before = last.get(key)
    if (before !== undefined && attempt === 1) expect(number).toBeGreaterThan(before)
    last.set(key, number)
  }
}

test('64 keys of one queue are handled at once, each in order, and nothing twice', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 1280, 64)
  const seen = []
  const client = consumer(uniqueGroup(), topic, seen, () => pause(5))
  await client.start()
  await until(() => committed(client) === 1280, { what: () => JSON.stringify(client.assignment()) })
  expect(numbers(seen).sort((a, b) => a - b)).toEqual(all(1280))
  expect(seen.overlaps).toBe(0)
  expect(seen.most).toBeGreaterThan(32)
  expectOrderPerKey(seen)
})

test('`max` bounds the handlers of all keys and queues together', async () => {
  const topic = await createTopic({ queues: 2 })
  await fill(topic, 200, 40)
  const seen = []
  const client = consumer(uniqueGroup(), topic, seen, () => pause(2), { concurrency: { max: 3, by: 'key' } })
  await client.start()
  await until(() => seen.length === 200)
  expect(seen.most).toBe(3)
  expectOrderPerKey(seen)
})

test('a message that fails holds its key alone, and health() and assignment() say which', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 300, 10)
  const seen = []
  let broken = true
  const suspended = []
  const handler = ({ queueOffset }) => {
    if (broken && queueOffset === 42) throw new Error('no such account')
  }
  const client = consumer(uniqueGroup(), topic, seen, handler, { suspendMs: 50 })
  client.on('suspended', (message) => suspended.push(message.queueOffset))
  await client.start()
  await until(() => client.stats().consumed === 300 - 26 && suspended.length > 2, { what: () => client.stats() })
  await until(() => committed(client) === 42, { what: () => JSON.stringify(client.assignment()) })
  const [queue] = client.assignment()
  expect(queue).toMatchObject({ committedOffset: 42, blockedKeys: 1 })
  expect(queue.blockedBy).toMatchObject({ shardingKey: 'key-2', queueOffset: 42 })
  expect(queue.blockedBy.cause).toEqual(new Error('no such account'))
  expect(client.stats()).toMatchObject({ blockedKeys: 1, blockedQueues: 0 })
  const { ok, problems } = client.health()
  expect([ok, problems.length]).toEqual([false, 1])
  expect(problems[0].message).toContain('a failing handler blocks key key-2 of a queue')
  expect(new Set(suspended)).toEqual(new Set([42]))
  expect(numbers(seen).filter((number) => number % 10 === 2 && number > 42)).toEqual([])

  broken = false
  await until(() => committed(client) === 300, { what: () => JSON.stringify(client.assignment()) })
  expect(client.health()).toEqual({ ok: true, problems: [] })
  expect(client.stats()).toMatchObject({ blockedKeys: 0, consumed: 300 })
  expectOrderPerKey(seen)
})

test('when as much is handled behind it as `prefetch.messages` says, the queue stands', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 500, 10)
  const seen = []
  let broken = true
  const client = consumer(
    uniqueGroup(),
    topic,
    seen,
    ({ queueOffset }) => (broken && queueOffset === 5 ? suspend(300) : undefined),
    {
      prefetch: { messages: 100 },
    },
  )
  await client.start()
  await until(() => client.assignment()[0]?.state === 'suspended', { what: () => JSON.stringify(client.assignment()) })
  expect(client.health().problems[0].message).toContain('blocks key key-5, and with it a queue')
  expect(client.stats()).toMatchObject({ blockedQueues: 1, blockedKeys: 1 })
  expect(Math.max(...numbers(seen))).toBeLessThan(105)
  broken = false
  await until(() => committed(client) === 500)
  expectOrderPerKey(seen)
})

test('attempts and dead letters are counted per key', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 60, 6)
  const seen = []
  const letters = []
  const handler = ({ queueOffset }) => {
    if (queueOffset === 7) throw new Error('never')
    return queueOffset === 8 ? deadLetter('broken') : undefined
  }
  const client = consumer(uniqueGroup(), topic, seen, handler, { suspendMs: 20, maxReconsumeTimes: 2 })
  client.on('deadLetter', ({ queueOffset }, { cause }) => letters.push([queueOffset, cause]))
  await client.start()
  await until(() => committed(client) === 60 && letters.length === 2, {
    what: () => JSON.stringify(client.assignment()),
  })
  expect(letters.sort((a, b) => a[0] - b[0])).toEqual([
    [7, new Error('never')],
    [8, 'broken'],
  ])
  expect(seen.filter(({ number }) => number === 7).map(({ attempt }) => attempt)).toEqual([1, 2, 3])
  expect(client.stats()).toMatchObject({ deadLettered: 2, consumed: 58, blockedKeys: 0 })
})

test('a member that leaves with holes hands over what it has begun, and nothing comes twice', async () => {
  const topic = await createTopic({ queues: 4 })
  await fill(topic, 1200, 48)
  const groupId = uniqueGroup()
  const seen = [[], []]
  const slow = ({ queueOffset }) => pause(queueOffset % 7 === 0 ? 60 : 1)
  const [stays, leaves] = seen.map((list) =>
    consumer(groupId, topic, list, slow, { concurrency: { max: 12, by: 'key' } }),
  )
  await Promise.all([stays.start(), leaves.start()])
  await until(() => seen.every((list) => list.length > 100), { what: () => seen.map((list) => list.length) })
  await leaves.close()
  await until(
    () => stays.assignment().length === 4 && stays.stats().lag === 0 && seen[0].length + seen[1].length >= 1200,
    {
      what: () => JSON.stringify(stays.assignment()),
    },
  )
  expect([...numbers(seen[0]), ...numbers(seen[1])].sort((a, b) => a - b)).toEqual(all(1200))
  for (const list of seen) {
    expect(list.overlaps).toBe(0)
    expectOrderPerKey(list)
  }
})

test('a hot queue and a hot key starve no cold one', async () => {
  const [hot, cold] = [await createTopic({ queues: 1 }), await createTopic({ queues: 1 })]
  await Promise.all([fill(hot, 900, 100), fill(cold, 10, 1)])
  const order = []
  const client = makeConsumer({ concurrency: { max: 2, by: 'key' } })
  let open
  const opened = new Promise((resolve) => (open = resolve))
  const handler = async ({ topic }) => {
    await opened
    await pause(1)
    order.push(topic)
  }
  client.subscribe(hot, handler).subscribe(cold, handler)
  await client.start()
  await until(() => client.stats().buffered === 910, { what: () => client.stats() })
  open()
  await until(() => order.length === 910)
  // Both take turns: ten of the cold queue among the first some twenty.
  expect(order.slice(0, 40).filter((topic) => topic === cold)).toHaveLength(10)
})

test('64 handlers of keys work at once where 8 of queues do, and are through sooner', async () => {
  const [queues, keys, count] = [8, 64, 4096]
  const topic = await createTopic({ queues })
  await fill(topic, count, queues * keys)
  const drain = async (by) => {
    const client = makeConsumer({ concurrency: { max: 64, by } })
    let [handled, running, most, began] = [0, 0, 0, 0]
    client.subscribe(topic, async () => {
      began ||= performance.now()
      most = Math.max(most, ++running)
      await pause(5)
      running--
      handled++
    })
    await client.start()
    await until(() => handled === count, { intervalMs: 5, what: () => `${handled} handled` })
    const took = performance.now() - began
    await client.close()
    return { took, most }
  }
  const byQueue = await drain('queue')
  const byKey = await drain('key')
  expect(byQueue.most).toBe(queues)
  expect(byKey.most).toBe(64)
  // Seven times and more where nothing else is busy; a machine that runs other specs beside has less to spare for 64 than for 8.
  expect(byQueue.took / byKey.took).toBeGreaterThan(1)
})
