'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })
// With time-outs that can be faked here, as the package's own cannot be.
jest.mock('../../src/js/clock.js', () => ({
  ...jest.requireActual('../../src/js/clock.js'),
  setTimeout: (...timer) => setTimeout(...timer),
  clearTimeout: (timer) => clearTimeout(timer),
}))

const { AsyncLocalStorage } = require('node:async_hooks')
const { setImmediate: turn } = require('node:timers/promises')
const { ConsumeStatus, PushConsumer, RocketMQError, deadLetter, suspend } = require('../../index.js')
const { NativeConsumer, reset } = require('./fake-native.js')

const [SUCCESS, LATER, SUSPEND, DEAD_LETTER] = [0, 1, 2, 3]
const consumers = []

/** A started consumer of `orders` and, when given, of other topics. */
async function consume(handler, options = {}, others = {}) {
  const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1', ...options }).subscribe('orders', handler)
  for (const [topic, other] of Object.entries(others)) consumer.subscribe(topic, other)
  consumers.push(consumer)
  await consumer.start()
  return [consumer, NativeConsumer.last]
}
const settle = async () => {
  for (let i = 0; i < 4; i++) await turn()
}
/** A promise, and the means to settle it. */
function deferred() {
  const result = {}
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }))
  return result
}

beforeEach(() => {
  reset()
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(async () => {
  jest.useRealTimers()
  await Promise.all(consumers.splice(0).map((consumer) => consumer.close()))
  jest.restoreAllMocks()
})

describe('a lane', () => {
  test('handles the messages of a queue one at a time, in order, and acknowledges each', async () => {
    const log = []
    const [, native] = await consume(async (message, { queue, attempt }) => {
      log.push(`start ${message.text()} of ${queue.queueId}, attempt ${attempt}`)
      await turn()
      log.push(`end ${message.text()}`)
    })
    native.deliver(1, 5, [3, 4])
    native.deliver(1, 5, [5])
    while (native.acks.length < 3) await turn()
    expect(log).toEqual([
      'start m3 of 1, attempt 1',
      'end m3',
      'start m4 of 1, attempt 1',
      'end m4',
      'start m5 of 1, attempt 1',
      'end m5',
    ])
    expect(native.acks).toEqual(
      [3, 4, 5].map((offset) => ({
        queue: 1,
        generation: 5,
        offset,
        outcome: SUCCESS,
        suspendMs: 0,
        reason: undefined,
      })),
    )
  })

  test('costs one call of native for each message, and two for each chunk beside', async () => {
    const [, native] = await consume(() => {})
    const calls = {}
    for (const name of ['take', 'chunk', 'mayStart', 'success']) {
      const own = native[name].bind(native)
      calls[name] = 0
      native[name] = (...given) => {
        calls[name]++
        return own(...given)
      }
    }
    native.deliver(0, 1, [...Array(32).keys()])
    while (native.acks.length < 32) await turn()
    await settle()
    // `success` asks the gate itself here, as native does, but for turns of the event loop in between.
    expect([calls.success, calls.chunk, calls.take]).toEqual([32, 2, 2])
    expect(calls.mayStart).toBe(32)
  })

  test('ends a chunk where the gate says no, and asks for the next chunk anew', async () => {
    const handled = []
    const [, native] = await consume((message) => void handled.push(message.queueOffset))
    native.allows = (_queue, generation, offset) => generation === 2 || offset < 2
    native.deliver(0, 1, [0, 1, 2, 3])
    native.deliver(0, 2, [2, 3])
    await settle()
    expect(handled).toEqual([0, 1, 2, 3])
    expect(native.acks.map(({ generation, offset }) => [generation, offset])).toEqual([
      [1, 0],
      [1, 1],
      [2, 2],
      [2, 3],
    ])
  })

  test('ends a chunk where the ack says so', async () => {
    const handled = []
    const [, native] = await consume((message) => void handled.push(message.queueOffset))
    native.onAck = ({ offset }) => (offset === 1 ? 0 : 1)
    native.deliver(0, 1, [0, 1, 2])
    await settle()
    expect(handled).toEqual([0, 1])
  })

  test('calls the handler in the tick in which the gate said yes', async () => {
    const log = []
    const [, native] = await consume(() => void log.push('handler'), { concurrency: 1 })
    native.allows = () => {
      log.push('yes')
      queueMicrotask(() => log.push('later'))
      return true
    }
    native.deliver(0, 1, [0])
    native.deliver(1, 1, [0])
    await settle()
    expect(log).toEqual(['yes', 'handler', 'later', 'yes', 'handler', 'later'])
  })

  test('goes on after a gate that fails', async () => {
    const [consumer, native] = await consume(() => {})
    const warnings = []
    consumer.on('warning', (error) => warnings.push(error.code))
    native.allows = () => {
      throw new Error('boom')
    }
    native.deliver(0, 1, [0])
    await settle()
    native.allows = () => true
    native.onAck = () => {
      throw new Error('boom')
    }
    native.deliver(0, 1, [0, 1])
    await settle()
    native.onAck = () => 1
    native.deliver(0, 2, [0])
    await settle()
    expect(warnings).toEqual(['ERR_ROCKETMQ_INTERNAL', 'ERR_ROCKETMQ_INTERNAL'])
    expect(native.acks.map(({ generation, offset }) => [generation, offset])).toEqual([
      [1, 0],
      [2, 0],
    ])
  })

  test('goes on where somebody has replaced the global Promise', async () => {
    const { Promise: own } = globalThis
    const [, native] = await consume(async () => await turn())
    globalThis.Promise = class extends own {}
    try {
      native.deliver(0, 1, [0, 1])
      await settle()
      await settle()
    } finally {
      globalThis.Promise = own
    }
    expect(native.acks.map(({ offset, outcome }) => [offset, outcome])).toEqual([
      [0, SUCCESS],
      [1, SUCCESS],
    ])
  })

  test('hands every message to the handler of its topic', async () => {
    const seen = []
    const [, native] = await consume(
      (message) => void seen.push(['orders', message.topic]),
      {},
      { payments: (message) => void seen.push(['payments', message.topic]) },
    )
    native.deliver(3, 1, [0])
    native.deliver(0, 1, [0], { topic: 'payments' }) // from the retry topic
    await settle()
    native.deliver(0, 1, [1], { topic: 'strange' })
    await settle()
    expect(seen).toEqual([
      ['payments', 'payments'],
      ['payments', 'payments'],
    ])
    expect(native.acks.at(-1)).toMatchObject({ outcome: LATER, reason: expect.stringContaining('no handler') })
  })
})

describe('concurrency', () => {
  test('of queues has a limit; who waits longest is next, and asks the gate only then', async () => {
    const running = new Map()
    const [consumer, native] = await consume(
      (message) => {
        const end = deferred()
        running.set(`${message.queue.brokerName} ${message.queue.queueId} ${message.queueOffset}`, end)
        return end.promise
      },
      { concurrency: { max: 2 } },
    )
    const asked = []
    native.allows = (queue, _generation, offset) => asked.push([queue, offset]) > 0
    for (const queue of [0, 1, 2]) native.deliver(queue, 1, [0, 1])
    await settle()
    expect(asked).toEqual([
      [0, 0],
      [1, 0],
    ])
    expect(consumer.stats().running).toBe(2)
    running.get('broker-a 0 0').resolve()
    await settle()
    expect(asked.at(-1)).toEqual([2, 0])
    running.get('broker-a 1 0').resolve()
    await settle()
    expect(asked.at(-1)).toEqual([0, 1])
    native.allows = () => false
    running.get('broker-b 0 0').resolve()
    running.get('broker-a 0 1').resolve()
    await settle()
    native.allows = () => true
    running.clear()
    for (const queue of [0, 1, 2]) native.deliver(queue, 2, [0])
    await settle()
    expect(running.size).toBe(2) // a "no" gives its place back
    for (const end of running.values()) end.resolve()
    await settle()
    running.get('broker-b 0 0').resolve()
  })

  test('of many lanes lets the event loop breathe', async () => {
    let handled = 0
    const [, native] = await consume(() => {
      handled++
      const end = performance.now() + 0.5
      while (performance.now() < end);
    })
    for (const queue of [0, 1, 2]) native.deliver(queue, 1, [...Array(32).keys()])
    let most = 0
    for (let before = handled; handled < 96; before = handled) {
      await turn()
      most = Math.max(most, handled - before)
    }
    expect(most).toBeLessThan(6) // a handler takes all of a turn's budget
  })
})

describe('an outcome', () => {
  const cause = new Error('database down')
  test.each([
    ['nothing', () => {}, { outcome: SUCCESS }],
    ['CONSUME_SUCCESS', () => ConsumeStatus.CONSUME_SUCCESS, { outcome: SUCCESS }],
    ['CONSUME_SUCCESS, thrown', () => Promise.reject(ConsumeStatus.CONSUME_SUCCESS), { outcome: SUCCESS }],
    ['a thenable', () => ({ then: (resolve) => resolve('CONSUME_SUCCESS') }), { outcome: SUCCESS }],
    ['a thenable function', () => Object.assign(() => {}, { then: (resolve) => resolve() }), { outcome: SUCCESS }],
    ['RECONSUME_LATER', () => ConsumeStatus.RECONSUME_LATER, { outcome: LATER, reason: undefined }],
    ['RECONSUME_LATER, thrown', () => Promise.reject('RECONSUME_LATER'), { outcome: LATER, reason: undefined }],
    ['a throw', () => { throw cause }, { outcome: LATER, reason: 'Error: database down' }], // prettier-ignore
    ['a rejection', () => Promise.reject(cause), { outcome: LATER, reason: 'Error: database down' }],
    ['a rejection with nothing', () => Promise.reject(), { outcome: LATER, reason: undefined }],
    ['a rejection with a symbol', () => Promise.reject(Symbol('s')), { outcome: LATER, reason: 'Symbol(s)' }],
    ['a rejection without text', () => Promise.reject(Object.create(null)), { outcome: LATER }],
    ['suspend()', () => suspend(250), { outcome: SUSPEND, suspendMs: 250 }],
    ['suspend(), thrown', () => Promise.reject(suspend(10)), { outcome: SUSPEND, suspendMs: 10 }],
    ['deadLetter()', () => deadLetter(), { outcome: DEAD_LETTER, reason: undefined }],
    ['deadLetter(), thrown', () => Promise.reject(deadLetter('bad')), { outcome: DEAD_LETTER, reason: 'bad' }],
  ])('%s', async (_name, handler, expected) => {
    const [consumer, native] = await consume(handler)
    const warnings = []
    consumer.on('warning', (error) => warnings.push(error))
    native.deliver(0, 1, [0])
    await settle()
    expect(native.acks).toHaveLength(1)
    expect(native.acks[0]).toMatchObject(expected)
    expect(warnings).toEqual([])
  })

  test.each([[0], [1], [true], [false], [null], ['ok'], [''], [[]], [{}], [{ suspendMs: 100 }], [Symbol('s')]])(
    'that is none, %p, is a warning and counts as RECONSUME_LATER',
    async (junk) => {
      const [consumer, native] = await consume(async () => junk)
      const warnings = []
      const suspended = []
      consumer.on('warning', (error) => warnings.push(error))
      consumer.on('suspended', (message, detail) => suspended.push([message.queueOffset, detail]))
      native.deliver(0, 1, [0])
      await settle()
      native.deliver(0, 2, [0], { attempt: 2 })
      await settle()
      expect(native.acks.map(({ outcome }) => outcome)).toEqual([LATER, LATER])
      expect(warnings).toHaveLength(1)
      expect(warnings[0]).toMatchObject({
        code: 'ERR_ROCKETMQ_HANDLER',
        topic: 'orders',
        queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
        msgId: 'id-0-0',
      })
      const detail = { delayMs: 1000, cause: expect.objectContaining({ code: 'ERR_ROCKETMQ_HANDLER' }) }
      expect(suspended).toEqual([
        [0, detail],
        [0, detail],
      ])
    },
  )

  test('that cannot even be looked at is a failure like any other', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    const [, native] = await consume(() => {
      throw proxy
    })
    native.deliver(0, 1, [0])
    native.deliver(0, 2, [1])
    await settle()
    expect(native.acks.map(({ offset, outcome }) => [offset, outcome])).toEqual([
      [0, LATER],
      [1, LATER],
    ])
  })

  test('that is forged with a bad delay is none', async () => {
    const [consumer, native] = await consume(() => ({ ...suspend(10), suspendMs: 5 }))
    consumer.on('warning', () => {})
    native.deliver(0, 1, [0])
    await settle()
    expect(native.acks[0]).toMatchObject({ outcome: LATER })
  })
})

describe('a failure', () => {
  test('is a `suspended` event with the delay that will be waited, and the cause', async () => {
    const cause = new Error('no')
    const outcomes = [() => Promise.reject(cause), () => suspend(2000), () => ConsumeStatus.RECONSUME_LATER]
    const [consumer, native] = await consume((message) => outcomes[message.queueOffset]())
    native.onAck = ({ suspendMs }) => (suspendMs || 700) << 1
    const seen = []
    consumer.on('suspended', (message, detail) => seen.push([message.msgId, detail]))
    for (const offset of [0, 1, 2]) native.deliver(0, offset, [offset])
    await settle()
    expect(seen).toEqual([
      ['id-0-0', { delayMs: 700, cause }],
      ['id-0-1', { delayMs: 2000 }],
      ['id-0-2', { delayMs: 700 }],
    ])
    expect(process.emitWarning).not.toHaveBeenCalled()
  })

  test('of a handler whose result no longer counts is no event', async () => {
    const [consumer, native] = await consume(() => Promise.reject(new Error('late')))
    native.onAck = () => 0
    const seen = jest.fn()
    consumer.on('suspended', seen)
    native.deliver(0, 1, [0])
    await settle()
    expect(seen).not.toHaveBeenCalled()
    expect(process.emitWarning).not.toHaveBeenCalled()
  })

  test('that nobody listens for is one warning of the process per topic', async () => {
    const fail = () => Promise.reject(new Error('no'))
    const [, native] = await consume(fail, {}, { payments: fail })
    for (const queue of [0, 1, 3]) native.deliver(queue, 1, [0])
    await settle()
    expect(process.emitWarning.mock.calls).toEqual([
      [
        expect.stringContaining('topic orders, queue 0 of broker-a, offset 0'),
        { type: 'RocketMQWarning', code: 'ERR_ROCKETMQ_HANDLER' },
      ],
      [expect.stringContaining('topic payments'), { type: 'RocketMQWarning', code: 'ERR_ROCKETMQ_HANDLER' }],
    ])
  })

  test('goes to the logger, with what was thrown', async () => {
    const logger = { info: jest.fn(), warn: jest.fn(), error: jest.fn() }
    const cause = new Error('no')
    const [, native] = await consume(() => Promise.reject(cause), { logger })
    native.deliver(0, 1, [0], { attempt: 3 })
    await settle()
    expect(logger.warn).toHaveBeenCalledWith(
      expect.objectContaining({ code: 'ERR_ROCKETMQ_HANDLER', err: cause, attempt: 3, queueOffset: 0, delayMs: 1000 }),
      expect.stringContaining('its queue is held'),
    )
    expect(process.emitWarning).not.toHaveBeenCalled()
  })

  test('shows in assignment() since when it runs, and what nobody knows as undefined', async () => {
    const [consumer, native] = await consume(() => {})
    const known = { topic: 'orders', brokerName: 'broker-a', queueId: 0, state: 'running', inFlight: 1, since: 7 }
    native.states = [
      { ...known, committedOffset: 0, nextOffset: 3, lag: 0, runningSince: 9 },
      { ...known, committedOffset: null, nextOffset: null, lag: null, state: 'locking', queueId: 1 },
    ]
    const [ours, waiting] = consumer.assignment()
    expect(ours).toMatchObject({ committedOffset: 0, nextOffset: 3, lag: 0, since: 7, runningSince: 9 })
    expect([waiting.committedOffset, waiting.nextOffset, waiting.lag]).toEqual([undefined, undefined, undefined])
    expect(Object.keys(waiting)).toEqual(expect.arrayContaining(['committedOffset', 'nextOffset', 'lag']))
  })

  test('shows in assignment() and health() until it is over', async () => {
    const cause = new Error('no')
    const [consumer, native] = await consume(() => Promise.reject(cause))
    native.deliver(0, 1, [4])
    await settle()
    const state = { topic: 'orders', brokerName: 'broker-a', queueId: 0, state: 'suspended', lag: 3 }
    const blockedBy = { msgId: 'id-0-4', queueOffset: 4, attempt: 1, since: Date.UTC(2024, 0, 1) }
    const free = { ...state, queueId: 1, state: 'running' }
    native.states = [{ ...state, blockedBy }, free]
    native.healthProblems = [
      {
        code: 'ERR_ROCKETMQ_HANDLER',
        message: 'blocked',
        retriable: true,
        queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
      },
      { code: 'ERR_ROCKETMQ_CONNECTION', message: 'gone', retriable: true },
    ]
    expect(consumer.assignment()).toEqual([{ ...state, blockedBy: { ...blockedBy, cause } }, free])
    const { ok, problems } = consumer.health()
    expect(ok).toBe(false)
    expect(problems.map(({ code }) => code)).toEqual(['ERR_ROCKETMQ_CONNECTION', 'ERR_ROCKETMQ_HANDLER'])
    expect(problems[1]).toMatchObject({ cause, msgId: 'id-0-4' })
    expect(problems[1].message).toContain('since 2024-01-01T00:00:00.000Z')
    expect(problems[1]).toBeInstanceOf(RocketMQError)
    native.states = [free]
    native.healthProblems = []
    expect(consumer.health()).toEqual({ ok: true, problems: [] })
  })

  test('that ends in the dead-letter queue is a `deadLetter` event with the last cause', async () => {
    const cause = new Error('never')
    const [consumer, native] = await consume((message) =>
      message.queueOffset === 0 ? Promise.reject(cause) : deadLetter('useless'),
    )
    native.onAck = () => 0
    const seen = []
    consumer.on('deadLetter', (message, detail) => seen.push([message.msgId, detail]))
    for (const offset of [0, 1]) {
      native.deliver(0, 1, [offset])
      await settle()
      await native.calls.deadLettered(native.message(0, offset), 0)
      await settle()
    }
    await native.calls.deadLettered(native.message(0, 9), 0)
    await settle()
    expect(seen).toEqual([
      ['id-0-0', { cause }],
      ['id-0-1', { cause: 'useless' }],
      ['id-0-9', {}],
    ])
  })
})

describe('the context of a handler', () => {
  test('has a signal that fires when native says so, for the running generation only', async () => {
    const end = deferred()
    let context
    const [, native] = await consume((_message, given) => {
      context = given
      return end.promise
    })
    native.deliver(0, 7, [0])
    await settle()
    const lost = JSON.stringify({ code: 'ERR_ROCKETMQ_LOCK_LOST', message: 'lost', retriable: true })
    await native.calls.abort(0, 6, lost)
    await native.calls.abort(1, 7, lost)
    expect(context.signal.aborted).toBe(false)
    await native.calls.abort(0, 7, lost)
    await native.calls.abort(0, 7, JSON.stringify({ code: 'ERR_ROCKETMQ_CLOSED', message: 'closed', retriable: false }))
    expect(context.signal.aborted).toBe(true)
    expect(context.signal.reason).toMatchObject({ code: 'ERR_ROCKETMQ_LOCK_LOST' })
    expect(context.signal.reason).toBeInstanceOf(RocketMQError)
    end.resolve()
  })

  test('has a signal that remembers when it is asked for late', async () => {
    const end = deferred()
    const [, native] = await consume(async (_message, context) => {
      await end.promise
      context.signal.throwIfAborted()
    })
    native.deliver(0, 1, [0])
    await settle()
    await native.calls.abort(0, 1, JSON.stringify({ code: 'ERR_ROCKETMQ_LOCK_LOST', message: 'lost', retriable: true }))
    end.resolve()
    await settle()
    expect(native.acks[0]).toMatchObject({ outcome: LATER, reason: 'RocketMQError: lost' })
  })

  test('is aborted by handlerTimeoutMs, which frees nothing: the late outcome counts', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'performance', 'nextTick', 'queueMicrotask'] })
    const end = deferred()
    let signal
    const [consumer, native] = await consume(
      (_message, context) => {
        signal = context.signal
        return end.promise
      },
      { handlerTimeoutMs: 500 },
    )
    const warnings = []
    consumer.on('warning', (error) => warnings.push(error))
    native.deliver(0, 1, [0, 1])
    await settle()
    jest.advanceTimersByTime(499)
    expect(signal.aborted).toBe(false)
    jest.advanceTimersByTime(1)
    expect(signal.reason).toMatchObject({ code: 'ERR_ROCKETMQ_TIMEOUT', topic: 'orders' })
    expect(warnings).toEqual([signal.reason])
    await settle()
    expect(native.acks).toEqual([])
    end.resolve()
    await settle()
    expect(native.acks.map(({ outcome }) => outcome)).toEqual([SUCCESS, SUCCESS])
    jest.advanceTimersByTime(10_000)
    expect(warnings).toHaveLength(1)
  })

  test('is the async context of start()', async () => {
    const storage = new AsyncLocalStorage()
    const seen = []
    const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1' }).subscribe('orders', async (message) => {
      seen.push(storage.getStore())
      storage.enterWith(`message ${message.queueOffset}`)
      await turn()
    })
    consumers.push(consumer)
    await storage.run('start', () => consumer.start())
    storage.run('delivery', () => NativeConsumer.last.deliver(0, 1, [0, 1, 2]))
    while (NativeConsumer.last.acks.length < 3) await turn()
    expect(seen).toEqual(['start', 'start', 'start'])
  })
})

test('stats() are native’s, with the handlers that run here', async () => {
  const end = deferred()
  const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1' }).subscribe('orders', () => end.promise)
  consumers.push(consumer)
  expect(consumer.stats()).toMatchObject({ queues: 0, running: 0, lag: 0 })
  expect(consumer.assignment()).toEqual([])
  await consumer.start()
  const native = NativeConsumer.last
  native.counts = { queues: 2, running: 99 }
  native.deliver(0, 1, [0])
  await settle()
  expect(consumer.stats()).toEqual({ queues: 2, running: 1 })
  end.resolve()
  await settle()
  expect(consumer.stats().running).toBe(0)
})

test('a handler that outlives close() gets its signal, and its late acknowledgement disturbs nobody', async () => {
  const end = deferred()
  let signal
  const [consumer, native] = await consume((_message, context) => {
    signal = context.signal
    return end.promise
  })
  native.deliver(1, 1, [8, 9])
  await settle()
  const closing = JSON.stringify({ code: 'ERR_ROCKETMQ_CLOSED', message: 'closing', retriable: false })
  native.onClose = (slot) => {
    void native.calls.abort(1, 1, closing)
    void native.calls.answer(slot, null, 'null')
  }
  native.onAck = () => 0
  native.counts = { consumed: 7 }
  await consumer.close()
  expect(signal.reason).toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
  expect(consumer.assignment()).toEqual([])
  expect(consumer.stats()).toEqual({ consumed: 7, running: 1 })
  end.resolve()
  await settle()
  expect(native.acks.map(({ offset }) => offset)).toEqual([8])
  expect(consumer.stats()).toEqual({ consumed: 7, running: 0 })
})
