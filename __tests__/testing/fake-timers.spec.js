'use strict'
// Fake timers of a user's test stop neither producers nor consumers nor the test broker: their time is the real one.

const { execFile } = require('node:child_process')
const path = require('node:path')
const { setImmediate: turn } = require('node:timers/promises')
const { promisify } = require('node:util')
const { track } = require('./track')

const run = promisify(execFile)
/** With what a batch, a turn of the loop and the prefetch do not hold: 2 003. */
const COUNT = 2_003

afterEach(() => jest.useRealTimers())

/** The package as a test file would have it that has just begun. */
function load() {
  jest.resetModules()
  return { ...require('../../index.js'), ...require('../../testing.js') }
}

/** A consumer of `orders`, from the first message; `seen` gets the bodies that it handles. */
async function consume({ PushConsumer }, { nameServer }, groupId, handler, options = {}) {
  const settings = { groupId, nameServer, initialPosition: 'first', commitIntervalMs: 20, ...options }
  const consumer = track(new PushConsumer(settings))
  const seen = []
  await consumer
    .subscribe('orders', (message, context) => {
      seen.push(Number(message.text()))
      return handler?.(message, context)
    })
    .start()
  return { consumer, seen }
}

const numbers = (count) => Array.from({ length: count }, (_, i) => i)
const send = (producer, count) =>
  Promise.all(numbers(count).map((i) => producer.sendOrderly({ topic: 'orders', body: String(i) }, 'order-4711')))

const FAKES = [
  ['modern', {}],
  ['legacy', { legacyFakeTimers: true }],
]
const MOMENTS = ['before the package is loaded', 'before clients are made', 'while clients run']

describe.each(FAKES)('Jest’s %s fake timers', (_name, config) => {
  test.each(MOMENTS)('set %s, and never advanced, stop nothing', async (moment) => {
    if (moment === MOMENTS[0]) jest.useFakeTimers(config)
    const api = load()
    if (moment === MOMENTS[1]) jest.useFakeTimers(config)
    const broker = track(await api.TestBroker.start({ topics: ['orders'] }))
    const producer = track(await new api.Producer({ groupId: 'GID_shop', nameServer: broker.nameServer }).start())
    const first = await consume(api, broker, 'GID_first')
    if (moment === MOMENTS[2]) jest.useFakeTimers(config)
    await send(producer, COUNT)
    await broker.caughtUp('GID_first', { timeoutMs: 60_000 })
    expect(first.seen).toEqual(numbers(COUNT))

    const second = await consume(api, broker, 'GID_second')
    await broker.caughtUp('GID_second', { timeoutMs: 60_000 })
    expect(second.seen).toEqual(numbers(COUNT))
    await second.consumer.close()
    expect(second.consumer.state).toBe('closed')
  })

  test('of one handler do not stop the other messages, nor new consumers', async () => {
    const api = load()
    const broker = track(await api.TestBroker.start({ topics: { orders: 1 } }))
    const producer = track(await new api.Producer({ groupId: 'GID_shop', nameServer: broker.nameServer }).start())
    await send(producer, COUNT)
    for (const groupId of ['GID_first', 'GID_second']) {
      const { seen } = await consume(api, broker, groupId, async (message) => {
        if (message.queueOffset === 1) jest.useFakeTimers(config)
        await turn() // the next turn of ours begins under fake timers
        if (message.queueOffset === 2) jest.useRealTimers()
      })
      await broker.caughtUp(groupId, { timeoutMs: 60_000 })
      expect(seen).toEqual(numbers(COUNT))
    }
  })

  test('leave suspendMs, handlerTimeoutMs and sendTimeoutMs what they are', async () => {
    jest.useFakeTimers(config)
    const api = load()
    const broker = track(await api.TestBroker.start({ topics: ['orders'] }))
    const options = { groupId: 'GID_shop', nameServer: broker.nameServer, sendTimeoutMs: 300, requestTimeoutMs: 200 }
    const producer = track(await new api.Producer(options).start())
    const outcomes = []
    await consume(
      api,
      broker,
      'GID_first',
      async (_message, { attempt, signal }) => {
        outcomes.push(attempt)
        if (attempt === 1) return api.suspend(50)
        if (attempt > 2) return undefined
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        outcomes.push(signal.reason.code)
        throw signal.reason
      },
      { handlerTimeoutMs: 50, suspendMs: 50 },
    )
    await send(producer, 1)
    await broker.caughtUp('GID_first', { timeoutMs: 20_000 })
    expect(outcomes).toEqual([1, 2, 'ERR_ROCKETMQ_TIMEOUT', 3])

    broker.fault({ request: 'send', drop: 'answer' })
    await expect(send(producer, 1)).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_TIMEOUT' })
  })
})

describe.each([
  ['node:test', ['--test', '--no-warnings']],
  ['sinon', ['--no-warnings']],
])('the fake timers of %s', (tool, flags) => {
  test.each(['before', 'after'])('enabled %s the package is loaded stop nothing', async (moment) => {
    const env = {
      ...process.env,
      FAKES: tool,
      MOMENT: moment,
      COUNT: String(COUNT),
      SINON: require.resolve('@sinonjs/fake-timers', { paths: [require.resolve('jest')] }),
    }
    const { stdout } = await run(process.execPath, [...flags, path.join(__dirname, 'fake-timers.js')], { env })
    expect(stdout).toContain(`handled ${COUNT} of ${COUNT}, twice, in order`)
  })
})
