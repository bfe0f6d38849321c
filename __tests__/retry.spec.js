'use strict'
const { once } = require('node:events')
const { setTimeout: delay } = require('node:timers/promises')
const { ConsumeStatus, deadLetter, PushConsumer, suspend } = require('..')
const { admin, backend, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

async function produce(topic, bodies, key = 'order-1') {
  const client = await startProducer()
  return Promise.all(
    bodies.map((body, i) =>
      client.sendOrderly({ topic, body, tags: 'T', keys: [`key-${i}`], properties: { n: String(i) } }, key),
    ),
  )
}

function consumer(options = {}) {
  const defaults = { groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first', suspendMs: 50 }
  return clients.add(new PushConsumer({ ...defaults, ...options }))
}

test.each(['RECONSUME_LATER', 'throw', 'reject', 'suspend'])(
  '%s three times, then success: the queue is held and order kept',
  async (how) => {
    const topic = await createTopic({ queues: 1 })
    await produce(topic, ['a', 'b', 'c'])
    const calls = []
    const suspended = []
    const client = consumer().subscribe(topic, (message, context) => {
      calls.push([message.text(), context.attempt, message.reconsumeTimes, performance.now()])
      if (message.text() !== 'b' || context.attempt > 3) return ConsumeStatus.CONSUME_SUCCESS
      if (how === 'throw') throw new Error('not yet')
      if (how === 'reject') return Promise.reject(new Error('not yet'))
      if (how === 'suspend') return suspend(120)
      return ConsumeStatus.RECONSUME_LATER
    })
    client.on('suspended', (message, detail) => suspended.push([message.text(), detail]))
    await client.start()
    await until(() => calls.length >= 6)
    expect(calls.map(([body, attempt, times]) => [body, attempt, times])).toEqual([
      ['a', 1, 0],
      ['b', 1, 0],
      ['b', 2, 1],
      ['b', 3, 2],
      ['b', 4, 3],
      ['c', 1, 0],
    ])
    const delayMs = how === 'suspend' ? 120 : 50
    for (const i of [2, 3, 4]) expect(calls[i][3] - calls[i - 1][3]).toBeGreaterThanOrEqual(delayMs - 2)
    expect(suspended.map(([body, detail]) => [body, detail.delayMs])).toEqual(Array(3).fill(['b', delayMs]))
    if (how === 'throw' || how === 'reject') expect(suspended[0][1].cause).toMatchObject({ message: 'not yet' })
  },
)

test('suspendMs as an object: the pause grows with every failure of one message, and begins anew with the next', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, ['a', 'b'])
  const suspended = []
  let handled = 0
  const client = consumer({ suspendMs: { initialMs: 20, factor: 3, maxMs: 100 } }).subscribe(
    topic,
    (message, context) => {
      if (context.attempt <= (message.text() === 'a' ? 4 : 1)) return ConsumeStatus.RECONSUME_LATER
      handled++
    },
  )
  client.on('suspended', (message, { delayMs }) => suspended.push([message.text(), message.reconsumeTimes, delayMs]))
  await client.start()
  await until(() => handled === 2)
  expect(suspended).toEqual([
    ['a', 0, 20],
    ['a', 1, 60],
    ['a', 2, 100],
    ['a', 3, 100],
    ['b', 0, 20],
  ])
})

test('handlerTimeoutMs fires the signal and frees nothing: the queue is held until the handler ends, whose outcome counts', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, ['a', 'b'])
  const calls = []
  const client = consumer({ handlerTimeoutMs: 300 }).subscribe(topic, async (message, { attempt, signal }) => {
    calls.push(`${message.text()}${attempt}`)
    if (message.text() !== 'a') return
    await once(signal, 'abort')
    expect(signal.reason).toMatchObject({ code: 'ERR_ROCKETMQ_TIMEOUT', topic })
    expect(client.stats().running).toBe(1)
    calls.push('aborted')
    await delay(200)
    calls.push('ended')
  })
  const warnings = []
  client.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`))
  await client.start()
  await until(() => calls.includes('b1'))
  expect(calls).toEqual(['a1', 'aborted', 'ended', 'b1'])
  // A busy broker may be warned of as well.
  const ofHandler = warnings.filter((warning) => warning.includes('a handler runs for more than 300 ms'))
  expect(ofHandler).toEqual([expect.stringMatching(/^ERR_ROCKETMQ_TIMEOUT .*queue 0/)])
})

test('a failing message blocks its own queue only, and is seen from outside', async () => {
  const topic = await createTopic({ queues: 2 })
  const queues = [0, 1]
  for (const queue of queues) for (const body of ['a', 'b']) await admin.send(topic, queue, body)
  const seen = []
  let failing = true
  const client = consumer().subscribe(topic, (message) => {
    seen.push(`${message.queue.queueId}${message.text()}`)
    if (failing && message.queue.queueId === 0) throw new Error('down')
  })
  client.on('suspended', () => {})
  await client.start()
  await until(() => seen.filter((entry) => entry === '0a').length >= 3 && seen.includes('1b'))
  expect(seen).not.toContain('0b')
  const [blocked] = client.assignment().filter((queue) => queue.blockedBy)
  expect(blocked).toMatchObject({ queueId: 0, blockedBy: { queueOffset: 0 } })
  expect(blocked.blockedBy.attempt).toBeGreaterThan(1)
  expect(blocked.blockedBy.cause).toMatchObject({ message: 'down' })
  expect(client.stats().blockedQueues).toBe(1)
  expect(client.health().ok).toBe(false)
  failing = false
  await until(() => seen.includes('0b'))
  await until(() => client.health().ok)
})

test.each([
  ['maxReconsumeTimes: 2', { maxReconsumeTimes: 2 }, () => ConsumeStatus.RECONSUME_LATER, 3],
  ['maxReconsumeTimes: 0', { maxReconsumeTimes: 0 }, () => ConsumeStatus.RECONSUME_LATER, 1],
  ['deadLetter()', {}, () => deadLetter('bad order'), 1],
  [
    'deadLetter() thrown',
    {},
    () => {
      throw deadLetter('bad order')
    },
    1,
  ],
])(
  '%s puts exactly the failing message into the dead-letter queue and goes on',
  async (_name, options, fail, attempts) => {
    const topic = await createTopic({ queues: 1 })
    const group = uniqueGroup()
    const sent = await produce(topic, ['a', 'b', 'c'])
    const calls = []
    const dead = []
    const client = consumer({ groupId: group, ...options }).subscribe(topic, (message) => {
      calls.push(message.text())
      return message.text() === 'b' ? fail() : undefined
    })
    client.on('suspended', () => {})
    client.on('deadLetter', (message) => dead.push(message.text()))
    await client.start()
    await until(() => calls.includes('c'))
    expect(calls).toEqual(['a', ...Array(attempts).fill('b'), 'c'])
    await until(() => dead.length >= 1)
    expect(dead).toEqual(['b'])
    await until(async () => (await admin.committedOffset(group, topic, 0)) === 3)
    const letters = await admin.readBack(`%DLQ%${group}`, { expected: 1 })
    expect(letters.length).toBe(1)
    const [letter] = letters
    expect(letter.body.toString()).toBe('b')
    expect(letter.tags).toBe('T')
    expect(letter.properties).toMatchObject({
      n: '1',
      RETRY_TOPIC: topic,
      ORIGIN_MESSAGE_ID: sent[1].msgId,
      __SHARDINGKEY: 'order-1',
    })
    expect(client.stats()).toMatchObject({ deadLettered: 1, consumed: 2 })
  },
)

test('a return value that is no outcome never skips a message: warned of once, tried again', async () => {
  const topic = await createTopic({ queues: 1 })
  await produce(topic, ['a', 'b'])
  const calls = []
  const warnings = []
  const client = consumer().subscribe(topic, (message, context) => {
    calls.push(message.text())
    return context.attempt < 3 ? 1 : undefined
  })
  client.on('warning', (warning) => warnings.push(warning.code))
  client.on('suspended', () => {})
  await client.start()
  await until(() => calls.length >= 6)
  expect(calls).toEqual(['a', 'a', 'a', 'b', 'b', 'b'])
  expect(warnings).toContain('ERR_ROCKETMQ_HANDLER')
})
