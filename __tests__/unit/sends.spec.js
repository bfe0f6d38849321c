'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { getEventListeners } = require('node:events')
const { setImmediate: turn } = require('node:timers/promises')
const { Producer, SendStatus } = require('../../index.js')
const { NativeProducer, reset } = require('./fake-native.js')

let producer
let native

beforeEach(async () => {
  reset()
  producer = await new Producer({ groupId: 'g', nameServer: 'a:1' }).start()
  native = NativeProducer.last
})
afterEach(() => producer.close({ timeoutMs: 20 }))

const REFUSED = { code: 'ERR_ROCKETMQ_BROKER', message: 'no', retriable: false, outcome: 'not-stored', brokerCode: 13 }
const ORDER_BROKEN = { code: 'ERR_ROCKETMQ_ORDER_BROKEN', message: 'not sent', retriable: true, outcome: 'not-stored' }

/** Sends messages, and tells what became of them: `results` fills with `[body, 'stored' | code]` in the order of settlement. */
function recorder() {
  const results = []
  const send = (body, key = 'k', options = undefined, topic = 'orders') => {
    const promise = producer.sendOrderly({ topic, body }, key, options)
    promise.then(
      () => results.push([body, 'stored']),
      (error) => results.push([body, error.code]),
    )
    return promise
  }
  return { results, send }
}
const bodies = () => native.taken.map(({ body }) => body)
/** Until every immediate and microtask that is due has run. */
const settle = async () => {
  for (let i = 0; i < 5; i++) await turn()
}

describe('slots', () => {
  test('a stored message resolves with all that is known of it', async () => {
    const { send } = recorder()
    const sent = send('a')
    native.store('a', 42, SendStatus.FLUSH_SLAVE_TIMEOUT)
    expect(await sent).toEqual({
      status: 2,
      msgId: 'id-a',
      offsetMsgId: 'offset-id-a',
      queue: { topic: 'orders', brokerName: 'broker-a', queueId: 3 },
      queueOffset: 42,
    })
  })

  test('a failure rejects with the one error class, its fields and its causes', async () => {
    const { send } = recorder()
    const sent = send('a')
    native.fail('a', { ...REFUSED, address: 'b:2', msgId: 'M', topic: 'orders', cause: ORDER_BROKEN }, 1)
    const error = await sent.catch((reason) => reason)
    expect(error).toMatchObject({ ...REFUSED, address: 'b:2', msgId: 'M', topic: 'orders', cause: ORDER_BROKEN })
    expect(error.name).toBe('RocketMQError')
    expect(error).toBeInstanceOf(Error)
    expect(Object.keys(error).sort()).toEqual(
      ['address', 'brokerCode', 'code', 'msgId', 'outcome', 'retriable', 'topic'].sort(),
    )
  })

  test('are used again, and an answer to a free one is no answer', async () => {
    const { results, send } = recorder()
    send('a')
    send('b')
    native.store('a')
    await settle()
    send('c')
    expect(native.taken.map(({ slot }) => slot)).toEqual([0, 1, 0])
    native.store('b')
    await settle()
    native.store('b')
    native.store('c')
    await settle()
    expect(results).toEqual([
      ['a', 'stored'],
      ['b', 'stored'],
      ['c', 'stored'],
    ])
  })

  test('what native refuses by throwing rejects', async () => {
    native.failOnSend = () => {
      throw new Error(JSON.stringify({ ...REFUSED, code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' }))
    }
    await expect(recorder().send('a')).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
    native.failOnSend = () => {
      throw new Error('boom')
    }
    await expect(recorder().send('b')).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INTERNAL' })
  })

  test('the two names of sendOrderly do the same', async () => {
    const sent = producer.sendOrderlyWithShardingKey({ topic: 'orders', body: 'a' }, 'k', { timeoutMs: 77 })
    expect(native.find('a')).toMatchObject({ key: 'k', timeoutMs: 77 })
    native.store('a')
    await sent
  })

  test('queues() asks native', async () => {
    expect(await producer.queues('orders')).toEqual([{ topic: 'orders', brokerName: 'a', queueId: 0 }])
    await expect(producer.queues('')).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
  })
})

describe('many outcomes', () => {
  test('of one request are told in slices, with the right offsets and ids', async () => {
    const count = 1_000
    const sends = Array.from({ length: count }, (_, i) => producer.sendOrderly({ topic: 'orders', body: `m${i}` }, 'k'))
    const slots = native.taken.map(({ slot }) => slot)
    const ids = slots.flatMap((slot) => [`id-${slot}`, `offset-id-${slot}`])
    native.calls.stored(slots, ids, 0, 'broker-a', 3, 7)
    const results = await Promise.all(sends)
    expect(results.map(({ queueOffset }) => queueOffset)).toEqual(sends.map((_, i) => 7 + i))
    expect(results.map(({ msgId, offsetMsgId }) => [msgId, offsetMsgId])).toEqual(
      sends.map((_, i) => [`id-${i}`, `offset-id-${i}`]),
    )
  })

  test('cost one call of native for each send, and one for each slice', async () => {
    let takes = 0
    const { take } = native
    native.take = (...given) => {
      takes++
      return take.apply(native, given)
    }
    const count = 640
    const sends = Array.from({ length: count }, (_, i) => producer.sendOrderly({ topic: 'orders', body: `m${i}` }, 'k'))
    expect(native.taken.length).toBe(count)
    const slots = native.taken.map(({ slot }) => slot)
    const ids = slots.flatMap((slot) => [`id-${slot}`, ''])
    native.calls.stored(slots, ids, 0, 'broker-a', 3, 0)
    await Promise.all(sends)
    await settle()
    expect(takes).toBe(count / 64 + 1)
  })

  test('let the event loop breathe, with what callers do about them', async () => {
    let done = 0
    const work = () => {
      const end = performance.now() + 0.1
      while (performance.now() < end);
      done++
    }
    for (let i = 0; i < 1_000; i++) void producer.sendOrderly({ topic: 'orders', body: `m${i}` }, 'k').then(work, work)
    const slots = native.taken.map(({ slot }) => slot)
    native.calls.failed(slots, JSON.stringify(REFUSED), 0, 0)
    let most = 0
    for (let before = done; done < 1_000; before = done) {
      await turn()
      most = Math.max(most, done - before)
    }
    expect(most).toBeLessThan(200) // a slice has 64, and 5 of them are the time of a turn
  })

  test('of one failure share its error, whose cause is the very error of the first', async () => {
    const { send } = recorder()
    const sends = ['a', 'b', 'c'].map((body) => send(body))
    native.fail('a', REFUSED, 7)
    native.fail(['b', 'c'], { ...ORDER_BROKEN, cause: REFUSED }, 0, 7)
    const [first, ...behind] = (await Promise.allSettled(sends)).map(({ reason }) => reason)
    for (const error of behind) expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_ORDER_BROKEN' })
    expect(behind.map((error) => error.cause === first)).toEqual([true, true])
    expect(behind[0]).toBe(behind[1])
  })

  test('a failure that nobody can refer to any more is forgotten', async () => {
    const { send } = recorder()
    const sends = ['a', 'b'].map((body) => send(body))
    native.fail('a', REFUSED, 7)
    await settle()
    native.fail('b', { ...ORDER_BROKEN, cause: REFUSED }, 0, 7)
    const [first, behind] = (await Promise.allSettled(sends)).map(({ reason }) => reason)
    expect(behind.cause).not.toBe(first)
    expect(behind.cause).toMatchObject({ code: REFUSED.code })
  })

  test('that native cannot tell is told of, and the others are heard', async () => {
    const warnings = []
    producer.on('warning', ({ code }) => warnings.push(code))
    const { take } = native
    let throws = true
    native.take = (scratch, isFirst) => {
      if (!throws) return take.call(native, scratch, isFirst)
      throws = false
      throw new Error('boom')
    }
    const { send } = recorder()
    const sent = send('a')
    native.store('a')
    await sent
    expect(warnings).toEqual(['ERR_ROCKETMQ_INTERNAL'])
  })

  test('tell native when those who were settled have had a turn', async () => {
    native.calls.turn()
    expect(native.turns).toBe(0)
    await settle()
    expect(native.turns).toBe(1)
  })
})

describe('pace', () => {
  test('ready() waits for room', async () => {
    await producer.ready()
    native.hasRoom = false
    let ready = false
    const waited = producer.ready().then(() => (ready = true))
    await settle()
    expect(ready).toBe(false)
    native.calls.answer(native.readySlot, null, 'null')
    await waited
  })

  test('ready() ends with its signal, and leaves no listener behind', async () => {
    native.hasRoom = false
    const controller = new AbortController()
    const ready = producer.ready({ signal: controller.signal })
    controller.abort('enough')
    await expect(ready).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED', cause: 'enough' })
    await expect(producer.ready({ signal: controller.signal })).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED' })
    await expect(producer.ready({ signals: 1 })).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
    const { signal } = new AbortController()
    const waited = producer.ready({ signal })
    native.calls.answer(native.readySlot, null, 'null')
    await waited
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('flush() waits for what was sent before it, and for nothing else', async () => {
    const { send } = recorder()
    await producer.flush()
    send('a')
    send('b', 'other').catch(() => {})
    const seen = []
    const first = producer.flush().then(() => seen.push('first'))
    await settle()
    send('c', 'third')
    const second = producer.flush().then(() => seen.push('second'))
    native.store('c')
    native.store('a')
    await settle()
    expect(seen).toEqual([])
    native.fail('b', REFUSED, 1)
    await Promise.all([first, second])
    expect(seen).toEqual(['first', 'second'])
  })
})

describe('the fence', () => {
  test('a failure is delivered when no code of the user is due: nothing of its key is called between its opening and its rejection', async () => {
    const order = []
    const before = producer.sendOrderly({ topic: 'orders', body: 'x' }, 'other')
    const failing = producer.sendOrderly({ topic: 'orders', body: 'a' }, 'k')
    // A wrapper, as users have them: its caller goes on some microtasks behind the settlement.
    const wrapped = (async () => await before)()
    wrapped.then(async () => {
      for (let i = 0; i < 5; i++) await null
      order.push('called')
    })
    failing.catch(() => order.push('rejected'))
    const { take } = native
    native.take = (scratch, isFirst) => {
      const said = take.call(native, scratch, isFirst)
      if (said?.[0] === 3) order.push('opened')
      return said
    }
    native.store('x')
    native.fail('a', REFUSED, 1)
    await failing.catch(() => {})
    await settle()
    expect(order).toEqual(['called', 'opened', 'rejected'])
  })

  test('keys that fail at once are opened one by one, each with its rejection', async () => {
    const order = []
    const { take } = native
    native.take = (scratch, isFirst) => {
      const said = take.call(native, scratch, isFirst)
      if (said?.[0] === 3) order.push('opened')
      return said
    }
    const sends = ['a', 'b', 'c'].map((key) => producer.sendOrderly({ topic: 'orders', body: key }, key))
    for (const sent of sends) sent.catch(() => order.push('rejected'))
    for (const key of ['a', 'b', 'c']) native.fail(key, REFUSED, 1 + key.charCodeAt(0))
    await Promise.allSettled(sends)
    expect(order).toEqual(['opened', 'rejected', 'opened', 'rejected', 'opened', 'rejected'])
  })
})

describe('a signal', () => {
  test('that is aborted already rejects at once', async () => {
    const signal = AbortSignal.abort('no')
    await expect(recorder().send('a', 'k', { signal })).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_ABORTED',
      outcome: 'not-stored',
      cause: 'no',
    })
    expect(bodies()).toEqual([])
  })

  test('has one listener, however many sends share it, and none when they have settled', async () => {
    const { send } = recorder()
    const { signal } = new AbortController()
    for (const body of ['a', 'b', 'c']) send(body, body, { signal })
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    for (const body of ['a', 'b', 'c']) native.store(body)
    await settle()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('tells native of all its sends at once', async () => {
    const { send } = recorder()
    const controller = new AbortController()
    const { signal } = controller
    for (const body of ['a', 'b', 'c', 'd']) send(body, 'k', body === 'c' ? undefined : { signal }).catch(() => {})
    native.store('a')
    await settle()
    controller.abort('enough')
    expect(native.aborted).toEqual([[native.find('b').slot, native.find('d').slot]])
  })
})

test('the cause of a message that native has taken out is the reason of its signal', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const aborted = { code: 'ERR_ROCKETMQ_ABORTED', message: 'aborted by the caller', outcome: 'not-stored' }
  const sent = producer.sendOrderly({ topic: 'orders', body: 'x' }, 'k', { signal })
  const batch = producer.sendOrderlyBatch([{ topic: 'orders', body: 'y' }], 'other', { signal })
  controller.abort('enough')
  native.fail('x', aborted, 1)
  native.fail('y', aborted, 2)
  const failure = { code: 'ERR_ROCKETMQ_ABORTED', outcome: 'not-stored', cause: 'enough' }
  await expect(sent).rejects.toMatchObject(failure)
  await expect(batch).rejects.toMatchObject(failure)
})

describe('a batch', () => {
  const message = (body, rest = {}) => ({ topic: 'orders', body, ...rest })

  test('crosses as one request and resolves with one result per message', async () => {
    const messages = [message('a', { tags: 'T', keys: ['x', 'y'] }), message('b', { properties: { p: 'q' } })]
    const sent = producer.sendOrderlyBatch(messages, 'k', { timeoutMs: 9 })
    expect(native.taken).toEqual([
      {
        slot: 0,
        topic: 'orders',
        key: 'k',
        body: 'a,b',
        bodies: ['a', 'b'],
        tags: ['T', null],
        keys: ['x y', null],
        properties: [[], ['p', 'q']],
        timeoutMs: 9,
      },
    ])
    const receipt = { status: 0, msgId: 'A', offsetMsgId: 'B', brokerName: 'a', queueId: 1, queueOffset: 5 }
    native.calls.storedBatch(0, JSON.stringify([receipt, { ...receipt, msgId: 'C', queueOffset: 6 }]))
    const queue = { topic: 'orders', brokerName: 'a', queueId: 1 }
    expect(await sent).toEqual([
      { status: 0, msgId: 'A', offsetMsgId: 'B', queue, queueOffset: 5 },
      { status: 0, msgId: 'C', offsetMsgId: 'B', queue, queueOffset: 6 },
    ])
  })

  test('that fails rejects as a single message does', async () => {
    const sent = producer.sendOrderlyBatch([message('a'), message('b')], 'k')
    native.fail('a,b', REFUSED, 1)
    await expect(sent).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_BROKER', outcome: 'not-stored' })
  })

  test.each([
    ['messages', []],
    ['messages', 'a'],
    ['messages[1].body', [message('a'), message('')]],
    ['messages[1].topic', [message('a'), message('b', { topic: 'payments' })]],
    ['messages', [message('a'.repeat(3 * 1024 * 1024)), message('b'.repeat(3 * 1024 * 1024))]],
  ])('is refused for %s', async (field, messages) => {
    await expect(producer.sendOrderlyBatch(messages, 'k')).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
      message: expect.stringContaining(`${field}: `),
    })
    expect(native.taken).toEqual([])
  })
})

describe('close()', () => {
  test('gives native all its time, and refuses what is new', async () => {
    const { send } = recorder()
    const sent = send('a')
    const closed = producer.close({ timeoutMs: 60_000 })
    await expect(send('late', 'other')).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED', outcome: 'not-stored' })
    native.store('a')
    await sent
    await closed
    expect(native.closes).toEqual([60_000])
  })

  test('rejects what native has left, batches as well, with topic and outcome', async () => {
    const sends = [
      producer.sendOrderly({ topic: 'orders', body: 'a' }, 'k'),
      producer.sendOrderlyBatch([{ topic: 'orders', body: 'b' }], 'k'),
    ]
    const settled = Promise.allSettled(sends)
    await producer.close()
    for (const { reason } of await settled) {
      expect(reason).toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED', outcome: 'unknown', topic: 'orders' })
    }
  })

  test('leaves the last counts to be read', async () => {
    expect(new Producer('g', true).stats()).toEqual({
      waiting: 0,
      pendingMessages: 0,
      pendingBytes: 0,
      sent: 0,
      failed: 0,
      requests: 0,
      retries: 0,
    })
    native.counts = { waiting: 0, sent: 5 }
    expect(producer.stats()).toEqual({ waiting: 0, sent: 5 })
    await producer.close()
    native.stats = () => {
      throw new Error('{"code":"ERR_ROCKETMQ_CLOSED","message":"the client is not running"}')
    }
    expect(producer.stats()).toEqual({ waiting: 0, sent: 5 })
  })
})
