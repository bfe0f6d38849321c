'use strict'
// subscribeBatch(): several messages of a queue, or of a key, at once; a failure holds from the first message that is not done.

const { deadLetter } = require('..')
const { createTopic, makeConsumer, startProducer, until } = require('./support')

async function fill(topic, count, keys) {
  const producer = await startProducer()
  await Promise.all(
    Array.from({ length: count }, (_, i) => producer.sendOrderly({ topic, body: String(i) }, `key-${i % keys}`)),
  )
}

/** A consumer whose calls are kept: what each was given, and which attempt it was. */
function consumer(topic, calls, handler, batch = {}, options = {}) {
  const client = makeConsumer(options)
  client.subscribeBatch(
    topic,
    (messages, context) => {
      calls.push({
        numbers: messages.map((message) => Number(message.text())),
        keys: new Set(messages.map(({ shardingKey }) => shardingKey)),
        queues: new Set(messages.map(({ queue }) => queue.queueId)),
        attempt: context.attempt,
      })
      return handler(messages, context)
    },
    batch,
  )
  return client
}

const all = (count) => Array.from({ length: count }, (_, i) => i)
const committed = (client) => client.assignment().reduce((sum, queue) => sum + (queue.committedOffset ?? 0), 0)

test('calls have up to maxMessages of one queue, in order, and nothing twice', async () => {
  const topic = await createTopic({ queues: 4 })
  await fill(topic, 2_000, 64)
  const calls = []
  const client = consumer(topic, calls, () => {}, { maxMessages: 100 })
  await client.start()
  await until(() => committed(client) === 2_000, { what: () => JSON.stringify(client.assignment()) })
  const numbers = calls.flatMap((call) => call.numbers)
  expect([...numbers].sort((a, b) => a - b)).toEqual(all(2_000))
  for (const call of calls) {
    expect(call.queues.size).toBe(1)
    expect(call.numbers).toEqual([...call.numbers].sort((a, b) => a - b))
    expect(call.numbers.length).toBeLessThanOrEqual(100)
  }
  expect(client.stats()).toMatchObject({ consumed: 2_000, failed: 0 })
})

test('a consumer that is behind gets as many as it wants, beyond what is packed at once', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 900, 8)
  const calls = []
  let open
  const opened = new Promise((resolve) => (open = resolve))
  const client = consumer(topic, calls, () => opened, { maxMessages: 300 })
  await client.start()
  await until(() => client.stats().buffered >= 900, { what: () => client.stats() })
  open()
  await until(() => committed(client) === 900)
  expect(calls.flatMap((call) => call.numbers)).toEqual(all(900))
  expect(Math.max(...calls.map((call) => call.numbers.length))).toBe(300)
})

test('a failure holds from the first message that is not done', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 40, 4)
  const calls = []
  const suspended = []
  let failures = 0
  const handler = (messages, { done }) => {
    for (const [i, message] of messages.entries()) {
      if (Number(message.text()) === 13 && failures++ < 2) throw new Error('no stock')
      done(i + 1)
    }
  }
  const client = consumer(topic, calls, handler, {}, { suspendMs: 50 })
  client.on('suspended', ({ queueOffset }, { cause }) => suspended.push([queueOffset, cause.message]))
  await client.start()
  await until(() => committed(client) === 40, { what: () => JSON.stringify(client.assignment()) })
  expect(suspended).toEqual([
    [13, 'no stock'],
    [13, 'no stock'],
  ])
  const again = calls.filter((call) => call.numbers[0] === 13)
  expect(again.map(({ attempt }) => attempt)).toEqual(expect.arrayContaining([2, 3]))
  // What was done did not come again.
  const first = calls.findIndex((call) => call.numbers.includes(13))
  expect(
    calls
      .slice(first + 1)
      .flatMap((call) => call.numbers)
      .filter((number) => number < 13),
  ).toEqual([])
  expect(client.stats()).toMatchObject({ consumed: 40, failed: 2 })
})

test('without done() the whole batch comes again', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 10, 1)
  const calls = []
  const client = consumer(
    topic,
    calls,
    (messages, { attempt }) => {
      if (messages.some((message) => message.text() === '7') && attempt === 1) return 'RECONSUME_LATER'
    },
    {},
    { suspendMs: 20 },
  )
  await client.start()
  await until(() => committed(client) === 10)
  const failed = calls.find((call) => call.numbers.includes(7))
  const next = calls[calls.indexOf(failed) + 1]
  expect([next.numbers[0], next.attempt]).toEqual([failed.numbers[0], 2])
})

test('what is done is committed while the handler goes on, and a kill repeats the rest alone', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 20, 1)
  const calls = []
  let go
  const going = new Promise((resolve) => (go = resolve))
  const client = consumer(
    topic,
    calls,
    async (messages, { done }) => {
      if (messages.length > 5) done(5)
      await going
    },
    {},
    { commitIntervalMs: 50 },
  )
  // All of them are there before the first call.
  client.pause(topic)
  await client.start()
  await until(() => client.stats().buffered === 20)
  client.resume(topic)
  await until(() => committed(client) === 5, { what: () => JSON.stringify(client.assignment()) })
  expect(client.assignment()[0]).toMatchObject({ inFlight: 1, nextOffset: 5 })
  go()
  await until(() => committed(client) === 20)
  expect(calls).toHaveLength(1)
})

test('deadLetter() concerns the first message that is not done', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 10, 1)
  const calls = []
  const letters = []
  const client = consumer(topic, calls, (messages, { done }) => {
    const at = messages.findIndex((message) => message.text() === '4')
    if (at < 0) return
    done(at)
    return deadLetter('broken')
  })
  client.on('deadLetter', ({ queueOffset }, { cause }) => letters.push([queueOffset, cause]))
  await client.start()
  await until(() => committed(client) === 10)
  expect(letters).toEqual([[4, 'broken']])
  expect(client.stats()).toMatchObject({ consumed: 9, deadLettered: 1 })
})

test.each([
  ['by queue, those that follow each other', 'queue'],
  ['by key, all of them', 'key'],
])('groupBy: key hands over messages of one key: with concurrency %s', async (_, by) => {
  const topic = await createTopic({ queues: 2 })
  const producer = await startProducer()
  // Keys in stretches of five.
  await Promise.all(
    all(400).map((i) => producer.sendOrderly({ topic, body: String(i) }, `key-${Math.floor(i / 5) % 10}`)),
  )
  const calls = []
  const client = consumer(topic, calls, () => {}, { groupBy: 'key' }, { concurrency: { max: 4, by } })
  await client.start()
  await until(() => committed(client) === 400, { what: () => JSON.stringify(client.assignment()) })
  for (const call of calls) expect(call.keys.size).toBe(1)
  expect(calls.flatMap((call) => call.numbers).sort((a, b) => a - b)).toEqual(all(400))
  expect(Math.max(...calls.map((call) => call.numbers.length))).toBeGreaterThanOrEqual(5)
  for (let key = 0; key < 10; key++) {
    const ofKey = calls.filter((call) => call.keys.has(`key-${key}`)).flatMap((call) => call.numbers)
    expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b))
  }
})

test('a handler of one message and one of several share a consumer', async () => {
  const [single, several] = [await createTopic({ queues: 2 }), await createTopic({ queues: 2 })]
  await Promise.all([fill(single, 100, 8), fill(several, 100, 8)])
  const calls = []
  const seen = []
  const client = consumer(several, calls, () => {})
  client.subscribe(single, (message) => {
    seen.push(Number(message.text()))
  })
  await client.start()
  await until(() => committed(client) === 200)
  expect(seen.sort((a, b) => a - b)).toEqual(all(100))
  expect(calls.flatMap((call) => call.numbers).sort((a, b) => a - b)).toEqual(all(100))
})

test('done() is checked, and a failure behind the last message is a warning', async () => {
  const topic = await createTopic({ queues: 1 })
  await fill(topic, 3, 1)
  const calls = []
  const errors = []
  const warnings = []
  let late
  const client = consumer(topic, calls, (messages, { done }) => {
    late = done
    for (const count of [-1, messages.length + 1, 0.5, '1']) {
      try {
        done(count)
      } catch (error) {
        errors.push(error.code)
      }
    }
    done(messages.length)
    try {
      done(0)
    } catch (error) {
      errors.push(error.code)
    }
    if (messages.some((message) => message.text() === '2')) throw new Error('too late')
  })
  client.on('warning', (warning) => warnings.push(warning))
  await client.start()
  await until(() => committed(client) === 3 && warnings.length === 1)
  expect(new Set(errors)).toEqual(new Set(['ERR_ROCKETMQ_INVALID_ARGUMENT']))
  expect(errors.length).toBe(5 * calls.length)
  expect(warnings[0]).toMatchObject({ code: 'ERR_ROCKETMQ_HANDLER', topic, cause: new Error('too late') })
  expect(() => late(calls.at(-1).numbers.length)).toThrow(
    expect.objectContaining({ code: 'ERR_ROCKETMQ_INVALID_STATE' }),
  )
})
