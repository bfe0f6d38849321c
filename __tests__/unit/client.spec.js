'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })
// With an immediate that can be looked at here, as the package's own cannot be.
jest.mock('../../src/js/clock.js', () => ({
  ...jest.requireActual('../../src/js/clock.js'),
  setImmediate: (callback) => setImmediate(callback),
}))

const { once } = require('node:events')
const { execFileSync } = require('node:child_process')
const { inspect } = require('node:util')
const { setImmediate: turn } = require('node:timers/promises')
const { Client, Producer, PushConsumer, RocketMQError } = require('../../index.js')
const { NativeConsumer, NativeProducer, reset } = require('./fake-native.js')

const nameServer = '127.0.0.1:9876'
const clients = []
const newProducer = (options) => {
  const producer = new Producer({ groupId: 'g', nameServer, ...options })
  clients.push(producer)
  return producer
}
const report = (code, message = 'because', rest = {}) => ({ code, message, retriable: false, ...rest })

beforeEach(() => {
  reset()
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  jest.restoreAllMocks()
})

describe('start', () => {
  test('goes from idle over starting to running, once', async () => {
    const producer = newProducer()
    expect([producer.state, producer.clientId, producer.groupId]).toEqual(['idle', '', 'g'])
    const started = producer.start()
    expect(producer.state).toBe('starting')
    expect(producer.start()).toBe(started)
    expect(await started).toBe(producer)
    expect(producer.start()).toBe(started)
    expect([producer.state, producer.clientId]).toEqual(['running', '127.0.0.1@fake'])
    expect(NativeProducer.instances).toHaveLength(1)
  })

  test('that fails rejects with what native says, leaves the client idle, and may be called again', async () => {
    NativeProducer.onStart = (native, slot) => {
      const error = report('ERR_ROCKETMQ_CONNECTION', 'refused', { address: 'a:1', retriable: true })
      setImmediate(() => native.calls.answer(slot, JSON.stringify(error), ''))
    }
    const producer = newProducer()
    await expect(producer.start()).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_CONNECTION',
      address: 'a:1',
      retriable: true,
    })
    expect([producer.state, producer.clientId]).toEqual(['idle', ''])
    NativeProducer.onStart = undefined
    await producer.start()
    expect(NativeProducer.instances).toHaveLength(2)
  })

  test('rejects with what the native constructor throws', async () => {
    NativeProducer.failOnCreate = () => {
      throw new Error(JSON.stringify(report('ERR_ROCKETMQ_INVALID_ARGUMENT', 'nameServer: no')))
    }
    await expect(newProducer().start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
    NativeProducer.failOnCreate = () => {
      throw new TypeError('a panic')
    }
    await expect(newProducer().start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INTERNAL' })
  })

  test('of a consumer needs a subscription', async () => {
    const consumer = new PushConsumer({ groupId: 'g', nameServer })
    await expect(consumer.start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_STATE' })
    consumer.subscribe('orders', () => {})
    await consumer.start()
    expect(() => consumer.subscribe('payments', () => {})).toThrow(
      expect.objectContaining({ code: 'ERR_ROCKETMQ_INVALID_STATE' }),
    )
    await consumer.close()
    expect(() => consumer.subscribe('payments', () => {})).toThrow(
      expect.objectContaining({ code: 'ERR_ROCKETMQ_CLOSED' }),
    )
  })
})

describe('close', () => {
  test('is idempotent, and the end', async () => {
    const producer = await newProducer().start()
    const closed = producer.close({ timeoutMs: 700 })
    expect(producer.state).toBe('closing')
    expect(producer.close()).toBe(closed)
    expect(producer.shutdown()).toBe(closed)
    await closed
    expect(producer.state).toBe('closed')
    expect(NativeProducer.last.closes).toHaveLength(1)
    expect(NativeProducer.last.closes[0]).toBeLessThanOrEqual(700)
    const over = { code: 'ERR_ROCKETMQ_CLOSED' }
    await expect(producer.start()).rejects.toMatchObject(over)
    await expect(producer.sendOrderly({ topic: 't', body: 'b' }, 'k')).rejects.toMatchObject(over)
    await expect(producer.queues('t')).rejects.toMatchObject(over)
    await expect(producer.ready()).rejects.toMatchObject(over)
    await producer.flush()
  })

  test('before start() closes without native', async () => {
    const producer = newProducer()
    const event = once(
      producer.on('warning', () => {}),
      'close',
    )
    await producer.close()
    await event
    expect(producer.state).toBe('closed')
    expect(NativeProducer.instances).toHaveLength(0)
  })

  test('refuses a bad bound, and does not close', async () => {
    const producer = await newProducer().start()
    await expect(producer.close({ timeoutMs: 0 })).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
    await expect(producer.close({ timeout: 5 })).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' })
    expect(producer.state).toBe('running')
  })

  test('during start() rejects the start at once', async () => {
    NativeProducer.onStart = () => {}
    const producer = newProducer()
    const started = producer.start()
    const closed = producer.close()
    await expect(started).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
    await closed
    expect(producer.state).toBe('closed')
  })

  test('during a start() that has failed in this moment is no reason for a warning', async () => {
    NativeProducer.onStart = () => {}
    const producer = newProducer()
    const warnings = jest.fn()
    producer.on('warning', warnings)
    const started = producer.start()
    NativeProducer.last.onClose = () => {
      throw Object.assign(new Error(JSON.stringify(report('ERR_ROCKETMQ_CLOSED', 'the client is not running'))))
    }
    const closed = producer.close()
    await expect(started).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
    await closed
    expect([producer.state, warnings.mock.calls]).toEqual(['closed', []])
  })

  test('during a start() that fails does not wait for a native side that is gone', async () => {
    NativeProducer.onStart = () => {}
    const producer = newProducer()
    const started = producer.start()
    const native = NativeProducer.last
    native.onClose = () => {}
    const closed = producer.close()
    native.calls.answer(native.startSlot, JSON.stringify(report('ERR_ROCKETMQ_TIMEOUT')), '')
    await expect(started).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
    await closed
  })

  test('between the answer to start() and its delivery wins', async () => {
    NativeProducer.onStart = () => {}
    const producer = newProducer()
    const started = producer.start()
    const native = NativeProducer.last
    native.calls.answer(native.startSlot, null, '')
    const closed = producer.close()
    await expect(started).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
    await closed
    expect(producer.state).toBe('closed')
  })

  test('resolves, with a warning, when native reports a failure', async () => {
    const producer = await newProducer().start()
    NativeProducer.last.onClose = (slot) => {
      NativeProducer.last.calls.answer(slot, JSON.stringify(report('ERR_ROCKETMQ_TIMEOUT', 'late')), '')
    }
    const warnings = []
    producer.on('warning', (error) => warnings.push(error.code))
    await producer.close()
    expect(warnings).toEqual(['ERR_ROCKETMQ_TIMEOUT'])
  })

  test('rejects what native has left unanswered', async () => {
    const producer = await newProducer().start()
    NativeProducer.last.queues = () => {}
    const queues = producer.queues('orders')
    const send = producer.sendOrderly({ topic: 'orders', body: 'b' }, 'k')
    const flushed = producer.flush()
    const closed = producer.close()
    await expect(queues).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED' })
    await expect(send).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_CLOSED', outcome: 'unknown' })
    await Promise.all([flushed, closed])
  })

  test('is what leaving a block with `await using` does', async () => {
    const producer = await newProducer().start()
    await producer[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]()
    expect(producer.state).toBe('closed')
  })
})

describe('the client’s signal', () => {
  test('aborted before start(): rejected, closed', async () => {
    const reason = new Error('stop')
    const producer = newProducer({ signal: AbortSignal.abort(reason) })
    await expect(producer.start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED', cause: reason })
    await producer.close()
    expect([producer.state, NativeProducer.instances.length]).toEqual(['closed', 0])
  })

  test('aborted during start(): rejected, closed', async () => {
    NativeProducer.onStart = () => {}
    const controller = new AbortController()
    const producer = newProducer({ signal: controller.signal })
    const started = producer.start()
    controller.abort('enough')
    await expect(started).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED', cause: 'enough' })
    await once(producer, 'close')
    expect(NativeProducer.last.closes).toHaveLength(1)
  })

  test('aborted later: closed; and it keeps no listener', async () => {
    const controller = new AbortController()
    const remove = jest.spyOn(controller.signal, 'removeEventListener')
    const producer = await newProducer({ signal: controller.signal }).start()
    controller.abort()
    expect(producer.state).toBe('closing')
    await once(producer, 'close')
    expect(remove).toHaveBeenCalledTimes(1)
  })
})

describe('events', () => {
  test('come with their arguments', async () => {
    const consumer = new PushConsumer({ groupId: 'g', nameServer }).subscribe('orders', () => {})
    clients.push(consumer)
    await consumer.start()
    const seen = []
    const names = ['connected', 'disconnected', 'routeChanged', 'assigned', 'revoked', 'lockLost', 'offsetReset']
    for (const name of [...names, 'warning', 'undecodable']) consumer.on(name, (...args) => seen.push([name, ...args]))
    const queue = { topic: 'orders', brokerName: 'a', queueId: 0 }
    const native = NativeConsumer.last
    await native.event({ type: 'connected', address: 'a:1', server: 'broker' })
    await native.event({ type: 'disconnected', address: 'a:1', server: 'nameServer', reason: 'reset' })
    await native.event({ type: 'routeChanged', topic: 'orders', queues: [queue] })
    await native.event({ type: 'assigned', queues: [queue] })
    await native.event({ type: 'revoked', queues: [queue] })
    await native.event({ type: 'lockLost', queue })
    await native.event({ type: 'offsetReset', queue, from: 5, to: 3, reason: 'administrator' })
    await native.event({
      type: 'warning',
      error: report('ERR_ROCKETMQ_BROKER', 'x', { cause: report('ERR_ROCKETMQ_TLS') }),
    })
    await native.event({ type: 'undecodable', queue, error: report('ERR_ROCKETMQ_UNDECODABLE') })
    const error = seen.splice(7, 1)[0][1]
    expect(error).toBeInstanceOf(RocketMQError)
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_BROKER', cause: { code: 'ERR_ROCKETMQ_TLS' } })
    expect(error.cause).toBeInstanceOf(RocketMQError)
    expect(seen).toEqual([
      ['connected', 'a:1', { server: 'broker' }],
      ['disconnected', 'a:1', { server: 'nameServer' }],
      ['routeChanged', 'orders', [queue]],
      ['assigned', [queue]],
      ['revoked', [queue]],
      ['lockLost', queue],
      ['offsetReset', queue, { from: 5, to: 3, reason: 'administrator' }],
      ['undecodable', queue, expect.any(RocketMQError)],
    ])
    expect(process.emitWarning).not.toHaveBeenCalled()
  })

  test('are records, and a lost lock is a warning even while the client closes', async () => {
    const records = []
    const record = (level) => (_fields, text) => records.push([level, text])
    const logger = { info: record('info'), warn: record('warn'), error: record('error') }
    const consumer = new PushConsumer({ groupId: 'g', nameServer, logger }).subscribe('orders', () => {})
    clients.push(consumer)
    await consumer.start()
    const native = NativeConsumer.last
    const queue = { topic: 'orders', brokerName: 'a', queueId: 0 }
    await native.event({ type: 'disconnected', address: 'a:1', server: 'broker' })
    const closing = consumer.close()
    void native.event({ type: 'disconnected', address: 'a:2', server: 'nameServer' })
    void native.event({ type: 'lockLost', queue })
    await native.event({ type: 'revoked', queues: [queue] })
    await closing
    await native.event({ type: 'disconnected', address: 'a:3', server: 'broker' }) // behind the last word
    expect(records).toEqual([
      ['warn', 'disconnected from a broker'],
      ['info', 'disconnected from a name server'],
      ['warn', 'the lock of a queue is lost'],
      ['info', 'queues revoked'],
    ])
  })

  test('with unknown names are warned about once each', () => {
    const producer = newProducer()
    producer.on('warnings', () => {}).once('warnings', () => {})
    producer.addListener('assigned', () => {})
    producer.prependListener('warnings', () => {})
    producer
      .on('warning', () => {})
      .once('close', () => {})
      .on('error', () => {})
    expect(process.emitWarning.mock.calls).toEqual([
      [
        'Producer has no event "warnings"; did you mean warning?',
        { type: 'RocketMQWarning', code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' },
      ],
      ['Producer has no event "assigned"', { type: 'RocketMQWarning', code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' }],
    ])
  })

  test("an offset reset by nobody's wish is never silent: its event, else a warning, else one of the process", async () => {
    const started = async () => {
      const consumer = new PushConsumer({ groupId: 'g', nameServer }).subscribe('orders', () => {})
      clients.push(consumer)
      await consumer.start()
      return consumer
    }
    const tell = async (reason) => {
      const queue = { topic: 'orders', brokerName: 'a', queueId: 0 }
      const error = reason === 'administrator' ? undefined : report('ERR_ROCKETMQ_OFFSET_RESET', 'gone')
      await NativeConsumer.last.event({ type: 'offsetReset', queue, from: 3, to: 5, reason, error })
    }
    const seen = []
    const warned = await started()
    warned.on('warning', ({ code }) => seen.push(code))
    for (const reason of ['administrator', 'deleted', 'store-set-back']) await tell(reason)
    warned.on('offsetReset', (_queue, { reason }) => seen.push(reason))
    await tell('deleted')
    expect(seen).toEqual(['ERR_ROCKETMQ_OFFSET_RESET', 'ERR_ROCKETMQ_OFFSET_RESET', 'deleted'])
    expect(process.emitWarning).not.toHaveBeenCalled()
    await started()
    for (const reason of ['administrator', 'deleted', 'deleted']) await tell(reason)
    expect(process.emitWarning.mock.calls).toEqual([
      ['gone', { type: 'RocketMQWarning', code: 'ERR_ROCKETMQ_OFFSET_RESET' }],
    ])
  })

  test('nobody listens to become a warning of the process, once per code and topic', async () => {
    await newProducer().start()
    const native = NativeProducer.last
    for (const topic of ['a', 'a', 'b']) {
      await native.event({ type: 'warning', error: report('ERR_ROCKETMQ_TIMEOUT', `late ${topic}`, { topic }) })
    }
    await native.event({ type: 'connected', address: 'a:1', server: 'broker' })
    expect(process.emitWarning.mock.calls).toEqual([
      ['late a', { type: 'RocketMQWarning', code: 'ERR_ROCKETMQ_TIMEOUT' }],
      ['late b', { type: 'RocketMQWarning', code: 'ERR_ROCKETMQ_TIMEOUT' }],
    ])
  })

  test('do not become a warning of the process where somebody listens or a logger is given', async () => {
    const listened = await newProducer().start()
    listened.on('warning', () => {})
    await NativeProducer.last.event({ type: 'warning', error: report('ERR_ROCKETMQ_TIMEOUT') })
    const logger = { info: jest.fn(), warn: jest.fn(), error: jest.fn() }
    await newProducer({ logger }).start()
    await NativeProducer.last.event({ type: 'warning', error: report('ERR_ROCKETMQ_TIMEOUT', 'late') })
    await NativeProducer.last.event({ type: 'connected', address: 'a:1', server: 'broker' })
    await NativeProducer.last.event({ type: 'log', level: 'warn', fields: { address: 'a:1' }, text: 'slow' })
    await NativeProducer.last.event({ type: 'log', level: 'debug', fields: {}, text: 'tiny' })
    expect(process.emitWarning).not.toHaveBeenCalled()
    const common = { groupId: 'g', clientId: '127.0.0.1@fake' }
    expect(logger.warn.mock.calls).toEqual([
      [{ ...common, code: 'ERR_ROCKETMQ_TIMEOUT', err: expect.any(RocketMQError) }, 'late'],
      [{ ...common, address: 'a:1' }, 'slow'],
    ])
    expect(logger.info.mock.calls).toEqual([[{ ...common, address: 'a:1', server: 'broker' }, 'connected to a broker']])
  })

  test('of a lost connection say whose it was and why; while we close it is no warning', async () => {
    const logger = { info: jest.fn(), warn: jest.fn(), error: jest.fn() }
    const producer = await newProducer({ logger }).start()
    const native = NativeProducer.last
    for (const server of ['broker', 'nameServer']) {
      await native.event({ type: 'disconnected', address: 'a:1', server, reason: 'was closed by the peer' })
    }
    const told = { groupId: 'g', clientId: '127.0.0.1@fake', address: 'a:1', reason: 'was closed by the peer' }
    expect(logger.warn.mock.calls).toEqual([
      [{ ...told, server: 'broker' }, 'disconnected from a broker'],
      [{ ...told, server: 'nameServer' }, 'disconnected from a name server'],
    ])
    const closing = producer.close()
    await native.event({ type: 'disconnected', address: 'a:1', server: 'broker', reason: 'was closed by this client' })
    await closing
    expect(logger.warn.mock.calls.length).toBe(2)
    expect(logger.info.mock.calls.map(([, text]) => text)).toEqual(['disconnected from a broker'])
  })

  test('whose listener throws are nobody’s business but the process’s', async () => {
    const thrown = []
    const producer = await newProducer().start()
    producer.on('connected', () => {
      throw new Error('mine')
    })
    const { setImmediate: later } = globalThis
    const catching = (callback) => {
      try {
        callback()
      } catch (error) {
        thrown.push(error.message)
      }
    }
    jest.spyOn(globalThis, 'setImmediate').mockImplementation((callback) => later(catching, callback))
    await NativeProducer.last.event({ type: 'connected', address: 'a:1', server: 'broker' })
    jest.restoreAllMocks()
    expect(thrown).toEqual(['mine'])
  })

  test('of a client that is over are dropped', async () => {
    NativeProducer.onStart = (native, slot) => {
      setImmediate(() => native.calls.answer(slot, JSON.stringify(report('ERR_ROCKETMQ_TIMEOUT')), ''))
    }
    const producer = newProducer()
    await expect(producer.start()).rejects.toThrow()
    const seen = []
    producer.on('connected', (address) => seen.push(address))
    await NativeProducer.last.event({ type: 'connected', address: 'a:1', server: 'broker' })
    await turn()
    expect(seen).toEqual([])
  })
})

test('health tells the state, and what native knows', async () => {
  const producer = newProducer()
  expect(producer.health()).toMatchObject({ ok: false, problems: [{ code: 'ERR_ROCKETMQ_INVALID_STATE' }] })
  await producer.start()
  expect(producer.health()).toEqual({ ok: true, problems: [] })
  NativeProducer.last.healthProblems = [report('ERR_ROCKETMQ_CONNECTION', 'gone', { address: 'a:1' })]
  expect(producer.health()).toMatchObject({ ok: false, problems: [{ address: 'a:1' }] })
  await producer.close()
  expect(producer.health()).toMatchObject({ ok: false, problems: [{ code: 'ERR_ROCKETMQ_CLOSED' }] })
})

test('calls before start() are refused', async () => {
  const producer = newProducer()
  const early = { code: 'ERR_ROCKETMQ_INVALID_STATE' }
  await expect(producer.sendOrderly({ topic: 't', body: 'b' }, 'k')).rejects.toMatchObject(early)
  await expect(producer.sendOrderlyBatch([{ topic: 't', body: 'b' }], 'k')).rejects.toMatchObject(early)
  await expect(producer.queues('t')).rejects.toMatchObject(early)
  await expect(producer.ready()).rejects.toMatchObject(early)
  await producer.flush()
})

test('no secret shows', async () => {
  const secrets = ['top-secret-key', 'sts-token-text']
  const credentials = { accessKey: 'ak', secretKey: secrets[0], securityToken: secrets[1] }
  const producer = await newProducer({ credentials }).start()
  const consumer = new PushConsumer({ groupId: 'g', nameServer, credentials }).subscribe('orders', () => {})
  clients.push(consumer)
  await consumer.start()
  const refused = await producer.sendOrderly({ topic: '' }, 'k').catch((error) => error)
  const bad = (() => {
    try {
      return new Producer({ groupId: 'g', credentials: { ...credentials, channel: 5, accessKey: 7 } })
    } catch (error) {
      return error
    }
  })()
  const shown = [producer, consumer, refused, bad].flatMap((value) => [
    inspect(value, { depth: 20, showHidden: true }),
    inspect(value, { depth: 20, customInspect: false, showHidden: true, getters: true }),
    JSON.stringify(value),
    String(value),
  ])
  for (const secret of secrets) expect(shown.filter((text) => text?.includes(secret))).toEqual([])
  expect(inspect(producer)).toBe("Producer { groupId: 'g', clientId: '127.0.0.1@fake', state: 'running' }")
})

test('Client is abstract, and what both kinds are', () => {
  expect(() => new Client({}, [])).toThrow(RocketMQError)
  expect(newProducer()).toBeInstanceOf(Client)
})

test('`import` gives the same names as `require`', () => {
  const fake = JSON.stringify(require.resolve('./fake-native.js'))
  const script = `
    const { Module } = require('node:module')
    const resolve = Module._resolveFilename
    Module._resolveFilename = (request, ...rest) => (request === './native.js' ? ${fake} : resolve(request, ...rest))
    const required = require('./index.js')
    import('./index.mjs').then((imported) => {
      const same = Object.keys(required).every((name) => required[name] === imported[name])
      const { default: all, ...named } = imported
      console.log(JSON.stringify([Object.keys(required).sort(), Object.keys(named).sort(), same && all === required]))
    })`
  const output = execFileSync(process.execPath, ['-e', script], { cwd: `${__dirname}/../..`, encoding: 'utf8' })
  const [required, imported, same] = JSON.parse(output)
  expect(imported).toEqual(required)
  expect(same).toBe(true)
})
