'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { getEventListeners } = require('node:events')
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises')
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
  for (let i = 0; i < 3; i++) await turn()
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
    native.fail('a', { ...REFUSED, address: 'b:2', msgId: 'M', topic: 'orders', cause: ORDER_BROKEN }, true)
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
    send('c')
    expect(native.taken.map(({ slot }) => slot)).toEqual([0, 1, 0])
    native.store('b')
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
    expect(native.heardKeys).toEqual([])
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

describe('back-pressure', () => {
  test('what a full lane refuses waits, in order, and is fed in order', async () => {
    const { results, send } = recorder()
    send('a')
    native.full.add(0)
    for (const body of ['b', 'c', 'd']) send(body, body)
    expect(producer.stats().waiting).toBe(3)
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['a', 'b', 'c', 'd'])
    expect(native.taken.map(({ feeding }) => feeding)).toEqual([false, true, true, true])
    expect(native.drainedLanes).toEqual([0])
    expect(producer.stats().waiting).toBe(0)
    for (const body of ['a', 'b', 'c', 'd']) native.store(body)
    await settle()
    expect(results.map(([body]) => body)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('nothing overtakes what waits, even when native would take it', async () => {
    const { send } = recorder()
    native.full.add(0)
    send('a').catch(() => {})
    native.full.delete(0)
    send('b').catch(() => {})
    native.refused.clear() // as if native had forgotten: the key's own order is kept all the same
    send('c').catch(() => {})
    expect(bodies()).toEqual([])
    native.refused.add(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['a', 'b', 'c'])
  })

  test('feeding stops where the lane is full again', async () => {
    const { send } = recorder()
    native.full.add(0)
    for (const body of ['a', 'b', 'c']) send(body).catch(() => {})
    native.full.delete(0)
    native.failOnSend = ({ body }) => body === 'b' && native.full.add(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['a', 'b'])
    expect(producer.stats().waiting).toBe(1)
    expect(native.drainedLanes).toEqual([])
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['a', 'b', 'c'])
    expect(native.drainedLanes).toEqual([0])
  })

  test('a full lane does not hold another one', async () => {
    const { send } = recorder()
    native.laneOf = ({ key }) => (key === 'k' ? 1 : 2)
    native.full.add(1)
    send('a', 'k').catch(() => {})
    send('b', 'other').catch(() => {})
    expect(bodies()).toEqual(['b'])
    expect(producer.stats().waiting).toBe(1)
  })

  test('a key whose lane changes while it waits moves as a whole', async () => {
    const { send } = recorder()
    native.full.add(0).add(1)
    for (const body of ['a1', 'b1', 'a2']) send(body, body[0]).catch(() => {})
    native.laneOf = ({ key }) => (key === 'a' ? 1 : 0)
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['b1'])
    expect(native.drainedLanes).toEqual([0])
    send('a3', 'a').catch(() => {})
    native.full.delete(1)
    native.calls.room(1)
    await settle()
    expect(bodies()).toEqual(['b1', 'a1', 'a2', 'a3'])
    expect(native.drainedLanes).toEqual([0, 1])
  })

  test('feeding much lets the event loop breathe', async () => {
    const { send } = recorder()
    native.full.add(0)
    for (let i = 0; i < 200; i++) send(`m${i}`, `k${i}`).catch(() => {})
    native.full.delete(0)
    native.failOnSend = () => {
      const end = performance.now() + 0.2
      while (performance.now() < end);
    }
    native.calls.room(0)
    expect(bodies().length).toBeLessThan(100)
    while (producer.stats().waiting > 0) await turn()
    expect(bodies()).toEqual(Array.from({ length: 200 }, (_, i) => `m${i}`))
  })

  test('a waiting message gets what is left of its time', async () => {
    const { send } = recorder()
    native.full.add(0)
    send('a', 'k', { timeoutMs: 60_000 }).catch(() => {})
    await sleep(30)
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(native.find('a').timeoutMs).toBeLessThanOrEqual(59_980)
    expect(native.find('a').timeoutMs).toBeGreaterThan(30_000)
  })

  test('a message that waits past its time is never sent, and takes what is behind it along', async () => {
    const { results, send } = recorder()
    native.full.add(0)
    send('first', 'k', { timeoutMs: 60_000 }).catch(() => {})
    const late = send('late', 'k', { timeoutMs: 10 })
    const behind = send('behind', 'k')
    send('other', 'other').catch(() => {})
    await expect(late).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_TIMEOUT', outcome: 'not-stored', topic: 'orders' })
    await expect(behind).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_ORDER_BROKEN',
      outcome: 'not-stored',
      cause: { code: 'ERR_ROCKETMQ_TIMEOUT' },
    })
    expect(results.map(([body]) => body).sort()).toEqual(['behind', 'late'])
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['first', 'other'])
  })

  test('a message that native refuses while it is fed breaks its key, not the others', async () => {
    const { results, send } = recorder()
    native.full.add(0)
    send('a1', 'a')
    send('b1', 'b').catch(() => {})
    send('a2', 'a')
    native.full.delete(0)
    native.failOnSend = ({ body }) => {
      if (body === 'a1') throw new Error(JSON.stringify(REFUSED))
    }
    native.calls.room(0)
    await settle()
    expect(results).toEqual([
      ['a1', 'ERR_ROCKETMQ_BROKER'],
      ['a2', 'ERR_ROCKETMQ_ORDER_BROKEN'],
    ])
    expect(bodies()).toEqual(['b1'])
  })

  test('ready() waits until nothing waits', async () => {
    const { send } = recorder()
    await producer.ready()
    native.full.add(0)
    send('a').catch(() => {})
    let ready = false
    const waited = producer.ready().then(() => (ready = true))
    await settle()
    expect(ready).toBe(false)
    native.full.delete(0)
    native.calls.room(0)
    await waited
    expect(bodies()).toEqual(['a'])
  })

  test('ready() ends with its signal', async () => {
    const { send } = recorder()
    native.full.add(0)
    send('a').catch(() => {})
    const controller = new AbortController()
    const ready = producer.ready({ signal: controller.signal })
    controller.abort('enough')
    await expect(ready).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED', cause: 'enough' })
    await expect(producer.ready({ signal: controller.signal })).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED' })
    await expect(producer.ready({ signals: 1 })).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
  })

  test('flush() waits for what was sent before it, and for nothing else', async () => {
    const { send } = recorder()
    await producer.flush()
    send('a')
    native.full.add(0)
    send('b', 'other').catch(() => {})
    const seen = []
    const first = producer.flush().then(() => seen.push('first'))
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    send('c', 'third')
    const second = producer.flush().then(() => seen.push('second'))
    native.store('c')
    native.store('a')
    await settle()
    expect(seen).toEqual([])
    native.fail('b', REFUSED, true)
    await Promise.all([first, second])
    expect(seen).toEqual(['first', 'second'])
  })
})

describe('the fence', () => {
  test('what waits of a failed key is rejected in the tick of the delivery, then native hears of it', async () => {
    const { results, send } = recorder()
    send('k1')
    native.full.add(0)
    send('k2')
    send('other', 'other').catch(() => {})
    send('k3')
    const order = []
    native.heard = (topic, key) => order.push(`heard ${topic} ${key}, ${producer.stats().waiting} waiting`)
    native.fail('k1', REFUSED, true)
    order.push('returned')
    expect(order).toEqual(['heard orders k, 1 waiting', 'returned'])
    await settle()
    expect(results).toEqual([
      ['k1', 'ERR_ROCKETMQ_BROKER'],
      ['k2', 'ERR_ROCKETMQ_ORDER_BROKEN'],
      ['k3', 'ERR_ROCKETMQ_ORDER_BROKEN'],
    ])
  })

  test('what is called after the rejection was delivered starts afresh', async () => {
    const { send } = recorder()
    const failed = send('k1')
    native.full.add(0)
    const lost = send('k2')
    const again = failed.catch(() => send('k1 again').catch(() => {}))
    native.fail('k1', REFUSED, true)
    await expect(lost).rejects.toMatchObject({ cause: { code: 'ERR_ROCKETMQ_BROKER', brokerCode: 13 } })
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['k1', 'k1 again'])
    native.store('k1 again')
    await again
  })

  test('what native itself breaks does not open the key', async () => {
    const { send } = recorder()
    send('k1').catch(() => {})
    send('k2').catch(() => {})
    native.fail('k1', REFUSED, true)
    native.fail('k2', ORDER_BROKEN, false)
    expect(native.heardKeys).toEqual([['orders', 'k']])
  })

  test('keys of equal text in different topics are different keys', async () => {
    const { results, send } = recorder()
    send('a1')
    native.full.add(0)
    send('a2', 'k')
    send('b1', 'k', undefined, 'payments').catch(() => {})
    native.fail('a1', REFUSED, true)
    await settle()
    expect(results.map(([body]) => body)).toEqual(['a1', 'a2'])
    expect(native.heardKeys).toEqual([['orders', 'k']])
  })

  test('a lane whose waiting messages all fall is drained', async () => {
    const { send } = recorder()
    send('a1').catch(() => {})
    native.full.add(0)
    send('a2').catch(() => {})
    native.full.delete(0)
    native.fail('a1', REFUSED, true)
    expect(native.drainedLanes).toEqual([0])
    send('fresh').catch(() => {})
    expect(bodies()).toEqual(['a1', 'fresh'])
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
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('takes out what waits here, tells native of the rest, and breaks what is behind', async () => {
    const { results, send } = recorder()
    const controller = new AbortController()
    const { signal } = controller
    send('in native', 'n', { signal }).catch(() => {})
    native.full.add(0)
    send('before').catch(() => {})
    const taken = send('taken', 'k', { signal })
    const behind = send('behind')
    send('taken, too', 'k', { signal })
    send('other', 'other').catch(() => {})
    controller.abort('enough')
    await expect(taken).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED', outcome: 'not-stored', cause: 'enough' })
    await expect(behind).rejects.toMatchObject({ cause: { code: 'ERR_ROCKETMQ_ABORTED' } })
    await settle()
    expect(results).toEqual([
      ['taken', 'ERR_ROCKETMQ_ABORTED'],
      ['behind', 'ERR_ROCKETMQ_ORDER_BROKEN'],
      ['taken, too', 'ERR_ROCKETMQ_ABORTED'],
    ])
    expect(native.aborted).toEqual([native.find('in native').slot])
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['in native', 'before', 'other'])
  })
})

test('the cause of a message that native has taken out is the reason of its signal', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const aborted = { code: 'ERR_ROCKETMQ_ABORTED', message: 'aborted by the caller', outcome: 'not-stored' }
  const sent = producer.sendOrderly({ topic: 'orders', body: 'x' }, 'k', { signal })
  const batch = producer.sendOrderlyBatch([{ topic: 'orders', body: 'y' }], 'other', { signal })
  controller.abort('enough')
  native.fail('x', aborted, true)
  native.calls.answer(native.find('y').slot, JSON.stringify(aborted), '"failedKey"')
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
        feeding: false,
      },
    ])
    const receipt = { status: 0, msgId: 'A', offsetMsgId: 'B', brokerName: 'a', queueId: 1, queueOffset: 5 }
    native.calls.answer(0, null, JSON.stringify([receipt, { ...receipt, msgId: 'C', queueOffset: 6 }]))
    const queue = { topic: 'orders', brokerName: 'a', queueId: 1 }
    expect(await sent).toEqual([
      { status: 0, msgId: 'A', offsetMsgId: 'B', queue, queueOffset: 5 },
      { status: 0, msgId: 'C', offsetMsgId: 'B', queue, queueOffset: 6 },
    ])
  })

  test('that fails breaks its key, and native hears of it', async () => {
    const { results, send } = recorder()
    const sent = producer.sendOrderlyBatch([message('a'), message('b')], 'k')
    native.full.add(0)
    send('c')
    native.calls.answer(0, JSON.stringify(REFUSED), '"failedKey"')
    await expect(sent).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_BROKER' })
    await settle()
    expect(results).toEqual([['c', 'ERR_ROCKETMQ_ORDER_BROKEN']])
    expect(native.heardKeys).toEqual([['orders', 'k']])
  })

  test('that native breaks itself does not open the key', async () => {
    const sent = producer.sendOrderlyBatch([message('a')], 'k')
    native.calls.answer(0, JSON.stringify(ORDER_BROKEN), '')
    await expect(sent).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ORDER_BROKEN' })
    expect(native.heardKeys).toEqual([])
  })

  test('waits behind what waits of its key', async () => {
    const { send } = recorder()
    native.full.add(0)
    send('a').catch(() => {})
    producer.sendOrderlyBatch([message('b'), message('c')], 'k').catch(() => {})
    send('d').catch(() => {})
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['a', 'b,c', 'd'])
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
  test('lets what waits go first, and refuses what is new', async () => {
    const { send } = recorder()
    native.full.add(0)
    send('a').catch(() => {})
    const closed = producer.close({ timeoutMs: 60_000 })
    await expect(send('late', 'other')).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
    await settle()
    expect(native.closes).toEqual([])
    native.full.delete(0)
    native.calls.room(0)
    await settle()
    expect(bodies()).toEqual(['a'])
    await closed
    expect(native.closes[0]).toBeGreaterThan(30_000)
  })

  test('rejects what still waits at its bound, and those who wait for room', async () => {
    const { send } = recorder()
    native.full.add(0)
    const sends = [send('a'), send('b')]
    const ready = producer.ready()
    const closed = producer.close({ timeoutMs: 50 })
    for (const sent of sends) {
      await expect(sent).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED', outcome: 'not-stored' })
    }
    await expect(ready).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
    await closed
    expect(bodies()).toEqual([])
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
    native.counts = { sent: 5 }
    expect(producer.stats()).toEqual({ waiting: 0, sent: 5 })
    await producer.close()
    native.stats = () => {
      throw new Error('{"code":"ERR_ROCKETMQ_CLOSED","message":"the client is not running"}')
    }
    expect(producer.stats()).toEqual({ waiting: 0, sent: 5 })
  })
})
