'use strict'
const { execFile } = require('node:child_process')
const { getEventListeners, once } = require('node:events')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { promisify } = require('node:util')
const { RocketMQError } = require('..')
const { admin, backend, createTopic, startProducer, uniqueTopic, until } = require('./support')

jest.setTimeout(240_000)

const shardingKey = ({ keys }) => keys
const rejection = (promise) =>
  promise.then(
    () => expect('resolved').toBe('a rejection'),
    (error) => error,
  )

/** The first copies of what is stored, by key: a request whose answer is late is written twice. */
function byKey(stored) {
  const ids = new Set()
  const keys = {}
  for (const { msgId, shardingKey, body } of stored) {
    if (ids.has(msgId)) continue
    ids.add(msgId)
    ;(keys[shardingKey] ??= []).push(body.toString())
  }
  return keys
}

test('a pipeline of 20 000 rows stores all of them in order per key, and holds no more than the mark meanwhile', async () => {
  const topic = await createTopic({ queues: 8 })
  const mark = 256
  const client = await startProducer({ topics: [topic], maxPendingMessages: mark })
  const [count, keys] = [20_000, 64]
  let [most, turns, ended] = [0, 0, false]
  const turn = () => {
    turns++
    if (!ended) setImmediate(turn)
  }
  setImmediate(turn)
  async function* rows() {
    for (let i = 0; i < count; i++) {
      most = Math.max(most, i - client.stats().sent)
      yield { topic, body: `${i}`, keys: `key-${i % keys}` }
    }
  }
  await pipeline(rows, client.writable({ shardingKey }))
  ended = true
  expect(client.stats()).toMatchObject({ sent: count, failed: 0, pendingMessages: 0 })
  // What the stream and the source hold beside it: 16 messages each.
  expect(most).toBeGreaterThan(mark / 2)
  expect(most).toBeLessThanOrEqual(mark + 40)
  // Timers and sockets go on beside it.
  expect(turns).toBeGreaterThan(20)
  const stored = byKey(await admin.readBack(topic, { expected: count }))
  expect(Object.keys(stored)).toHaveLength(keys)
  for (let key = 0; key < keys; key++) {
    const expected = Array.from({ length: count }, (_, i) => i).filter((i) => i % keys === key)
    expect(stored[`key-${key}`].map(Number)).toEqual(expected)
  }
})

test('it has finished when the last answer is there, and not before', async () => {
  const topic = await createTopic({ queues: 1 })
  const client = await startProducer()
  const stream = client.writable({ shardingKey: () => 'k' })
  const seen = []
  stream.on('finish', () => seen.push(client.stats()))
  // The route is not known yet: everything waits.
  for (let i = 0; i < 10; i++) stream.write({ topic, body: `${i}` })
  stream.end({ topic, body: '10' })
  await once(stream, 'close')
  expect(seen).toEqual([expect.objectContaining({ sent: 11, pendingMessages: 0 })])
  expect(byKey(await admin.readBack(topic, { expected: 11 })).k.map(Number)).toEqual([...Array(11).keys()])
  await pipeline(Readable.from([]), client.writable({ shardingKey }))
})

describe('the first error destroys it', () => {
  test('of a send: nothing more is sent, and the source ends', async () => {
    const topic = await createTopic({ queues: 1 })
    const unknown = uniqueTopic('unknown')
    const client = await startProducer({ topics: [topic] })
    let given = 0
    let over = false
    async function* rows() {
      try {
        for (;;) {
          if (given === 500) yield { topic: unknown, body: 'x' }
          yield { topic, body: `${given++}` }
        }
      } finally {
        over = true
      }
    }
    const stream = client.writable({ shardingKey: () => 'k' })
    const error = await rejection(pipeline(rows, stream))
    expect(error).toBeInstanceOf(RocketMQError)
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND', topic: unknown, outcome: 'not-stored' })
    expect([stream.destroyed, over]).toEqual([true, true])
    await until(() => client.stats().pendingMessages === 0, { what: 'what was on the wire' })
    const { sent } = client.stats()
    const stored = byKey(await admin.readBack(topic, { expected: sent })).k.map(Number)
    // Whatever is there is the beginning, without a hole.
    expect(stored).toEqual([...Array(sent).keys()])
    expect(sent).toBeLessThanOrEqual(given)
  })

  test('of an argument: what is behind the message is not sent', async () => {
    const topic = await createTopic({ queues: 1 })
    const client = await startProducer({ topics: [topic] })
    const stream = client.writable({ shardingKey: () => 'k' })
    const failed = once(stream, 'error')
    stream.on('error', () => {})
    for (const body of ['0', '1', '', '3', '4']) stream.write({ topic, body })
    const [error] = await failed
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT', topic, outcome: 'not-stored' })
    expect(error.message).toMatch(/^message\.body: /)
    await client.flush()
    const { sent } = client.stats()
    // The two before it were waiting, or on the wire.
    expect(sent).toBeLessThanOrEqual(2)
    const stored = byKey(await admin.readBack(topic, { expected: sent }))
    expect((stored.k ?? []).map(Number)).toEqual([0, 1].slice(0, sent))
  })

  test('of what the native side refuses: likewise', async () => {
    const topic = await createTopic({ queues: 1 })
    const client = await startProducer({ topics: [topic] })
    const stream = client.writable({ shardingKey: () => 'k' })
    const failed = once(stream, 'error')
    stream.on('error', () => {})
    const properties = { large: 'x'.repeat(40_000) }
    for (const message of [{ body: '0' }, { body: '1', properties }, { body: '2' }]) stream.write({ topic, ...message })
    const [error] = await failed
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT', topic })
    await client.flush()
    const { sent } = client.stats()
    expect(sent).toBeLessThanOrEqual(1)
    await admin.readBack(topic, { expected: sent })
  })

  test('of shardingKey: that error itself', async () => {
    const topic = await createTopic({ queues: 1 })
    const client = await startProducer({ topics: [topic] })
    const wrong = new Error('no key')
    const throwing = client.writable({
      shardingKey() {
        throw wrong
      },
    })
    expect(await rejection(pipeline(Readable.from([{ topic, body: 'x' }]), throwing))).toBe(wrong)
    for (const key of ['', 1, undefined]) {
      const error = await rejection(
        pipeline(Readable.from([{ topic, body: 'x' }]), client.writable({ shardingKey: () => key })),
      )
      expect(error.code).toBe('ERR_ROCKETMQ_INVALID_ARGUMENT')
      expect(error.message).toMatch(/^shardingKey: /)
    }
    expect(client.stats().sent).toBe(0)
  })

  test('and is told once: a process without any other listener goes on', async () => {
    const topic = await createTopic({ queues: 1 })
    const script = `
      const { pipeline } = require('node:stream/promises')
      const { Producer } = require(${JSON.stringify(require.resolve('..'))})
      ;(async () => {
        const nameServer = ${JSON.stringify(backend.nameServer)}
        const client = await new Producer({ groupId: 'GID_writable', nameServer }).start()
        const [topic, unknown] = ${JSON.stringify([topic, uniqueTopic('unknown')])}
        async function* rows() {
          for (let i = 0; ; i++) yield { topic: i % 100 === 99 ? unknown : topic, body: String(i) }
        }
        await pipeline(rows, client.writable({ shardingKey: ({ topic }) => topic })).catch((error) => console.log(error.code))
        await client.close()
        console.log('closed')
      })()`
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script])
    expect(stdout.trim().split('\n')).toEqual(['ERR_ROCKETMQ_TOPIC_NOT_FOUND', 'closed'])
  })
})

describe('its signal', () => {
  test('destroys it, and takes out what waits', async () => {
    const topic = await createTopic({ queues: 1 })
    const client = await startProducer({ topics: [topic] })
    const controller = new AbortController()
    const { signal } = controller
    const reason = new Error('enough')
    let given = 0
    async function* rows() {
      for (;;) {
        if (given === 2_000) controller.abort(reason)
        yield { topic, body: `${given++}` }
      }
    }
    const error = await rejection(pipeline(rows, client.writable({ shardingKey: () => 'k', signal })))
    expect(error).toBeInstanceOf(RocketMQError)
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED', cause: reason })
    expect(getEventListeners(signal, 'abort')).toEqual([])
    // Who begins again at once finds the key open, and comes behind what was on the wire.
    await pipeline(Readable.from([{ topic, body: 'again' }]), client.writable({ shardingKey: () => 'k' }))
    const { sent, failed, pendingMessages } = client.stats()
    expect(pendingMessages).toBe(0)
    expect(sent + failed).toBeLessThanOrEqual(given + 1)
    const stored = byKey(await admin.readBack(topic, { expected: sent })).k
    expect(stored.pop()).toBe('again')
    expect(stored.map(Number)).toEqual([...Array(sent - 1).keys()])
  })

  test('that has fired already destroys it at once; one that has not is let go', async () => {
    const topic = await createTopic({ queues: 1 })
    const client = await startProducer({ topics: [topic] })
    const stream = client.writable({ shardingKey: () => 'k', signal: AbortSignal.abort() })
    const [error] = await once(stream, 'error')
    expect(error).toMatchObject({
      code: 'ERR_ROCKETMQ_ABORTED',
      cause: expect.objectContaining({ name: 'AbortError' }),
    })
    const { signal } = new AbortController()
    const another = client.writable({ shardingKey: () => 'k', signal })
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await pipeline(Readable.from([{ topic, body: 'x' }]), another)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect(client.stats().sent).toBe(1)
  })
})

test('a destroyed stream sends nothing more', async () => {
  const topic = await createTopic({ queues: 1 })
  const client = await startProducer({ topics: [topic] })
  const stream = client.writable({ shardingKey: () => 'k' })
  // All of it in one turn: the first is on the wire by now, others wait, and most are in the stream.
  for (let i = 0; i < 5_000; i++) stream.write({ topic, body: `${i}` })
  stream.destroy()
  await once(stream, 'close')
  await client.flush()
  const { sent, pendingMessages } = client.stats()
  expect(pendingMessages).toBe(0)
  expect(sent).toBeLessThan(5_000)
  // The key is open again, as it is when it fails.
  expect((await client.sendOrderly({ topic, body: `${sent}` }, 'k')).queueOffset).toBe(sent)
  const stored = byKey(await admin.readBack(topic, { expected: sent + 1 }))
  expect(stored.k.map(Number)).toEqual([...Array(sent + 1).keys()])
})

test('while it waits for room, destroy() and close() end it', async () => {
  const client = await startProducer({ maxPendingMessages: 1, waitForTopics: true, sendTimeoutMs: 60_000 })
  const topic = await createTopic({ queues: 1 })
  // On a busy machine a message may be stored before the stream has looked for room.
  const fill = (stream) => {
    while (stream.writableLength < 2) stream.write({ topic, body: 'x' })
    return stream
  }
  const stream = fill(client.writable({ shardingKey: () => 'k' }))
  stream.destroy()
  await once(stream, 'close')

  const other = fill(client.writable({ shardingKey: () => 'k' }))
  other.end()
  const failed = new Promise((resolve) => other.once('error', resolve))
  const finished = new Promise((resolve) => other.once('finish', resolve))
  await client.close()
  // What was taken in before close() is stored, what was not is refused.
  expect(await Promise.race([failed, finished])).toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
})

test('its options are checked, and it needs a running producer', async () => {
  const client = await startProducer()
  const thrown = (call) => {
    try {
      call()
    } catch (error) {
      return [error.code, error.message.split(':')[0]]
    }
  }
  const invalid = (field) => ['ERR_ROCKETMQ_INVALID_ARGUMENT', field]
  expect(thrown(() => client.writable())).toEqual(invalid('options'))
  expect(thrown(() => client.writable({}))).toEqual(invalid('options.shardingKey'))
  expect(thrown(() => client.writable({ shardingKey: 'keys' }))).toEqual(invalid('options.shardingKey'))
  expect(thrown(() => client.writable({ shardingKey, signal: {} }))).toEqual(invalid('options.signal'))
  expect(thrown(() => client.writable({ shardingKey, key: 'k' }))).toEqual(invalid('options.key'))
  const stream = client.writable({ shardingKey: () => 'k' })
  await client.close()
  expect(thrown(() => client.writable({ shardingKey }))?.[0]).toBe('ERR_ROCKETMQ_CLOSED')
  stream.write({ topic: 'orders', body: 'x' })
  const [error] = await once(stream, 'error')
  expect(error.code).toBe('ERR_ROCKETMQ_CLOSED')
})
