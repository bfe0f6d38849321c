'use strict'
// What is seen of errors, messages and states: in JSON, in a printout, in a structured clone, in the log, in a warning of the process.

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { setImmediate: turn } = require('node:timers/promises')
const { inspect } = require('node:util')
const vm = require('node:vm')
const { PushConsumer, RocketMQError, deadLetter } = require('../../index.js')
const { NativeConsumer, reset } = require('./fake-native.js')
const { received } = require('./received.js')

const consumers = []
const settle = async () => {
  for (let i = 0; i < 4; i++) await turn()
}
const parsed = (value) => JSON.parse(JSON.stringify(value))
const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 }

async function consume(handler, options = {}) {
  const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1', ...options }).subscribe('orders', handler)
  consumers.push(consumer)
  await consumer.start()
  return [consumer, NativeConsumer.last]
}

beforeEach(() => {
  reset()
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(async () => {
  await Promise.all(consumers.splice(0).map((consumer) => consumer.close()))
  jest.restoreAllMocks()
})

describe('JSON of an error', () => {
  const json = (cause) => parsed(new RocketMQError('ERR_ROCKETMQ_HANDLER', 'it failed', { cause }))

  test('has its code, text and all that is known', () => {
    const details = { outcome: 'unknown', msgId: 'ID', brokerCode: 2, address: 'a:1', topic: 'orders', queue }
    expect(parsed(new RocketMQError('ERR_ROCKETMQ_TIMEOUT', 'late', details))).toEqual({
      name: 'RocketMQError',
      message: 'late',
      code: 'ERR_ROCKETMQ_TIMEOUT',
      retriable: true,
      ...details,
    })
  })

  test('is what can be posted to another thread', () => {
    const error = new RocketMQError('ERR_ROCKETMQ_TIMEOUT', 'late', { queue, cause: new Error('why') })
    expect(structuredClone(error.toJSON())).toEqual(parsed(error))
  })

  test.each([
    ['an error', new TypeError('no'), { name: 'TypeError', message: 'no' }],
    ['one of another realm', vm.runInNewContext("new RangeError('no')"), { name: 'RangeError', message: 'no' }],
    [
      'one with a code',
      Object.assign(new Error('no'), { code: 'ECONNRESET' }),
      { name: 'Error', message: 'no', code: 'ECONNRESET' },
    ],
    [
      'one with secrets',
      Object.assign(new Error('no'), { request: { password: 'x' } }),
      { name: 'Error', message: 'no' },
    ],
    [
      'several',
      new AggregateError([new Error('a'), 'b'], 'both'),
      { name: 'AggregateError', message: 'both', errors: [{ name: 'Error', message: 'a' }, 'b'] },
    ],
    [
      'causes of causes',
      new Error('a', { cause: new Error('b', { cause: 'c' }) }),
      { name: 'Error', message: 'a', cause: { name: 'Error', message: 'b', cause: 'c' } },
    ],
    [
      'one of ours',
      new RocketMQError('ERR_ROCKETMQ_BROKER', 'no', { topic: 't' }),
      { name: 'RocketMQError', message: 'no', code: 'ERR_ROCKETMQ_BROKER' },
    ],
    ['a text', 'no', 'no'],
    ['an object', { status: 500 }, { status: 500 }],
    ['null', null, null],
    ['a bigint', 5n, '5'],
    ['a symbol', Symbol('no'), 'Symbol(no)'],
  ])('has of its cause what matters: %s', (_name, cause, expected) => {
    expect(json(cause).cause).toEqual(expected)
  })

  test('never throws', () => {
    const circle = {}
    circle.circle = circle
    expect(json(circle).cause).toBe('{ circle }')
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect(json(proxy).cause).toEqual(expect.any(String))
    const round = new Error('round')
    round.cause = new RocketMQError('ERR_ROCKETMQ_BROKER', 'we go', { cause: round })
    expect(JSON.stringify(json(round))).toContain('we go')
  })
})

describe('a failing handler', () => {
  const thrower = (thrown) => () => Promise.reject(thrown)
  const blocked = (native) => {
    const blockedBy = { msgId: 'id-0-4', queueOffset: 4, attempt: 1, since: 1_700_000_000_000 }
    native.states = [{ ...queue, state: 'suspended', blockedBy }]
    return blockedBy
  }

  test('shows in the JSON of assignment(), health() and of what `suspended` tells', async () => {
    const [consumer, native] = await consume(thrower(new TypeError('no account')))
    const told = []
    consumer.on('suspended', (_message, detail) => told.push(detail))
    native.deliver(0, 1, [4])
    await settle()
    const blockedBy = blocked(native)
    const cause = { name: 'TypeError', message: 'no account' }
    expect(parsed(consumer.assignment())).toEqual([
      { ...queue, state: 'suspended', blockedBy: { ...blockedBy, cause } },
    ])
    expect(parsed(consumer.health())).toMatchObject({
      ok: false,
      problems: [{ code: 'ERR_ROCKETMQ_HANDLER', message: expect.stringContaining('offset 4'), queue, cause }],
    })
    expect(parsed(told)).toEqual([{ delayMs: 1000, cause }])
    expect(told[0].cause).toBeInstanceOf(TypeError)
    expect(Object.keys(told[0])).toEqual(['delayMs', 'cause'])
    expect(structuredClone(consumer.assignment())[0].blockedBy.cause.message).toBe('no account')
  })

  test.each([
    ['an error', new Error('no account'), 'Error: no account'],
    ['a text', 'no account', 'no account'],
    ['an object', { status: 500 }, '{ status: 500 }'],
  ])('is a warning of the process that says why: %s', async (_name, thrown, why) => {
    const [, native] = await consume(thrower(thrown))
    native.deliver(0, 1, [0])
    await settle()
    const [[text]] = process.emitWarning.mock.calls
    expect(text).toMatch(/^a handler failed; .*offset 0, attempt 1\): /)
    expect(text.endsWith(`: ${why}`)).toBe(true)
  })

  const error = new Error('no account')
  test.each([
    ['an error', thrower(error), { err: error }],
    [
      'one of another realm',
      thrower(vm.runInNewContext("new Error('no')")),
      { err: expect.objectContaining({ message: 'no' }) },
    ],
    ['a text', thrower('no account'), { reason: 'no account' }],
    ['null', thrower(null), { reason: 'null' }],
    ['an object', thrower({ status: 500 }), { reason: '{ status: 500 }' }],
    ['nothing', thrower(undefined), {}],
    ['RECONSUME_LATER', () => 'RECONSUME_LATER', {}],
    ['no outcome', () => 0, { err: expect.any(RocketMQError) }],
  ])('is logged with an error as `err`, and anything else as the text `reason`: %s', async (_name, handler, fields) => {
    const logger = { info: jest.fn(), warn: jest.fn(), error: jest.fn() }
    const [, native] = await consume(handler, { logger })
    native.deliver(0, 1, [0])
    await settle()
    const [logged] = logger.warn.mock.calls.find(([, text]) => text.startsWith('a handler failed'))
    const why = Object.fromEntries(Object.entries(logged).filter(([name]) => name === 'err' || name === 'reason'))
    expect(why).toEqual(fields)
  })

  test('that gives a message up is logged so, too', async () => {
    const logger = { info: jest.fn(), warn: jest.fn(), error: jest.fn() }
    const [consumer, native] = await consume(() => deadLetter('no id'), { logger })
    const told = []
    consumer.on('deadLetter', (_message, detail) => told.push(detail))
    native.deliver(0, 1, [0])
    await settle()
    await native.calls.deadLettered(native.message(0, 0), 0)
    expect(logger.warn).toHaveBeenCalledWith(expect.objectContaining({ reason: 'no id' }), expect.any(String))
    expect(logger.warn.mock.calls.at(-1)[0]).not.toHaveProperty('err')
    expect(told).toEqual([{ cause: 'no id' }])
  })
})

test('a background fault’s warning of the process says what led to it', async () => {
  const [, native] = await consume(() => {})
  const cause = { code: 'ERR_ROCKETMQ_CONNECTION', message: 'refused' }
  await native.event({ type: 'warning', error: { code: 'ERR_ROCKETMQ_BROKER', message: 'not committed', cause } })
  expect(process.emitWarning.mock.calls[0][0]).toBe('not committed: RocketMQError: refused')
})

test('an undecodable message is logged with its error', async () => {
  const logger = { info: jest.fn(), warn: jest.fn(), error: jest.fn() }
  const [, native] = await consume(() => {}, { logger })
  await native.event({ type: 'undecodable', queue, error: { code: 'ERR_ROCKETMQ_UNDECODABLE', message: 'damaged' } })
  const [fields, text] = logger.error.mock.calls[0]
  expect([fields.err.code, fields.queue, text]).toEqual(['ERR_ROCKETMQ_UNDECODABLE', queue, 'damaged'])
})

test('a client is who it is in JSON', async () => {
  const [consumer] = await consume(() => {})
  expect(parsed({ consumer })).toEqual({ consumer: { groupId: 'g', clientId: '127.0.0.1@fake', state: 'running' } })
})

describe('a received message', () => {
  const raw = 'UNIQ_KEY\x01ID\x02color\x01red\x02'
  const fields = { properties: { color: 'red' }, systemProperties: { UNIQ_KEY: 'ID' }, msgId: 'id-0-7', queueOffset: 7 }
  const made = () => received({ body: 'hello', properties: raw })
  beforeEach(() => consume(() => {}))

  test('has its properties in a spread, in JSON and in a structured clone', () => {
    const message = made()
    expect(Object.keys(message)).toEqual(expect.arrayContaining(['body', 'properties', 'systemProperties']))
    expect({ ...message }).toMatchObject({ ...fields, body: Buffer.from('hello') })
    const json = parsed(message)
    expect(json).toMatchObject(fields)
    expect(Buffer.from(json.body).toString()).toBe('hello')
    const clone = structuredClone(message)
    expect(clone).toMatchObject(fields)
    expect(Buffer.from(clone.body).toString()).toBe('hello')
  })

  test('has them in a printout, as if they were there from the start', () => {
    const message = made()
    const text = inspect(message)
    expect(text).toMatch(/^ReceivedMessage \{/)
    expect(text).toMatch(/properties: .*\{ color: 'red' \}/)
    expect(text).toMatch(/body: <Buffer 68 65/)
    expect(text).not.toContain('Getter')
    expect(inspect({ a: { b: { c: message } } })).toContain('[ReceivedMessage]')
  })
})
