'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { Producer, PushConsumer, RocketMQError, suspend, deadLetter } = require('../../index.js')
const { NativeConsumer, NativeProducer, reset } = require('./fake-native.js')

const nameServer = '127.0.0.1:9876'
const refusal = (field) =>
  expect.objectContaining({
    code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
    retriable: false,
    message: expect.stringMatching(new RegExp(`^${field.replace(/[.[\]]/g, '\\$&')}: `)),
  })
const thrownBy = (code) => {
  try {
    code()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

beforeEach(reset)

const common = [
  ['groupId', undefined],
  ['groupId', ''],
  ['groupId', 'a b'],
  ['groupId', 'g'.repeat(121)],
  ['groupId', 'DEFAULT_PRODUCER'],
  ['groupId', 'DEFAULT_CONSUMER'],
  ['groupId', 7],
  ['nameServer', ''],
  ['nameServer', ';'],
  ['nameServer', []],
  ['nameServer', 'no-port'],
  ['nameServer', 'https://127.0.0.1:9876'],
  ['nameServer', 'http://127.0.0.1:9876/path'],
  ['nameServer', '127.0.0.1:0'],
  ['nameServer', '127.0.0.1:65536'],
  ['nameServer', ['127.0.0.1:9876', 5], 'nameServer[1]'],
  ['credentials', null],
  ['credentials', 'accessKey'],
  ['credentials', { accessKey: 'a' }, 'credentials.secretKey'],
  ['credentials', { accessKey: '', secretKey: 'b' }, 'credentials.accessKey'],
  ['credentials', { accessKey: 'a', secretKey: 'b', channel: 3 }, 'credentials.channel'],
  ['credentials', { accessKey: 'a', secretKey: 'b', expiresAt: 'soon' }, 'credentials.expiresAt'],
  ['credentials', { accessKey: 'a', secretKey: 'b', expiresAt: 1_800_000_000 }, 'credentials.expiresAt'],
  ['credentials', { accessKey: 'a', secretKey: 'b', expiresAt: new Date(NaN) }, 'credentials.expiresAt'],
  ['namespace', 'a.b'],
  ['namespace', ''],
  ['instanceName', '\ud800'],
  ['requestTimeoutMs', 0],
  ['startTimeoutMs', 1.5],
  ['waitForTopics', 'true'],
  ['closeTimeoutMs', Infinity],
  ['closeTimeoutMs', '5'],
  ['closeTimeoutMs', 2 ** 31],
  ['logger', { info() {}, warn() {} }],
  ['logger', 'console'],
  ['logger', { info() {}, warn() {}, error() {}, debug: 1 }, 'logger.debug'],
  ['signal', {}],
  ['signal', 1],
  ['tls', 'yes'],
  ['tls', 1],
  ['tls', { caFile: '/ca.pem' }, 'tls.caFile'],
  ['tls', { ca: '/ca.pem' }, 'tls.ca'],
  ['tls', { ca: [] }, 'tls.ca'],
  ['tls', { ca: ['-----BEGIN CERTIFICATE-----', 7] }, 'tls.ca[1]'],
  ['tls', { key: Buffer.from([0x30, 0x82]) }, 'tls.key'],
  ['tls', { cert: null }, 'tls.cert'],
  ['tls', { servername: '' }, 'tls.servername'],
  ['tls', { rejectUnauthorized: 0 }, 'tls.rejectUnauthorized'],
  ['nonsense', 1],
]

describe('a producer refuses', () => {
  test.each([
    ...common,
    ['topics', 'orders'],
    ['topics', ['orders', 'a b'], 'topics[1]'],
    ['topics', ['SCHEDULE_TOPIC_XXXX'], 'topics[0]'],
    ['shardingHash', 'rust'],
    ['shardingHash', 1],
    ['shardingHash', null],
    ['shardingHash', {}],
    ['batching', 'some'],
    ['sendTimeoutMs', -1],
    ['maxPendingMessages', 0],
    ['maxPendingBytes', NaN],
    ['onRouteChange', 'panic'],
    ['maxMessageBytes', 0],
    ['maxMessageBytes', 16 * 1024 * 1024],
    ['compression', 'gzip'],
    ['compression', true],
    ['compression', null],
    ['compressOverBytes', 0],
    ['compressOverBytes', '4096'],
  ])('%s: %p', (name, value, field = name) => {
    expect(thrownBy(() => new Producer({ groupId: 'g', nameServer, [name]: value }))).toEqual(refusal(field))
  })

  test('an unordered shape, and options that are no object', () => {
    expect(thrownBy(() => new Producer('g', false))).toEqual(refusal('orderly'))
    expect(thrownBy(() => new Producer())).toEqual(refusal('options'))
    expect(thrownBy(() => new Producer(['g']))).toEqual(refusal('options'))
  })

  test('a group that does not fit behind its namespace', () => {
    const error = thrownBy(() => new Producer({ groupId: 'g'.repeat(111), namespace: 'n'.repeat(9) }))
    expect(error).toEqual(refusal('groupId'))
    expect(() => new Producer({ groupId: 'g'.repeat(110), namespace: 'n'.repeat(9) })).not.toThrow()
  })
})

describe('a consumer refuses', () => {
  test.each([
    ...common,
    ['initialPosition', 'middle'],
    ['initialPosition', new Date(NaN)],
    ['initialPosition', 5],
    ['concurrency', 0],
    ['concurrency', { max: 0 }, 'concurrency.max'],
    ['concurrency', { by: 'topic' }, 'concurrency.by'],
    ['concurrency', { max: 0, by: 'key' }, 'concurrency.max'],
    ['messageModel', 'both'],
    ['maxReconsumeTimes', -1],
    ['maxReconsumeTimes', 2 ** 31],
    ['suspendMs', 9],
    ['suspendMs', 900_001],
    ['suspendMs', null],
    ['suspendMs', { initialMs: 10, factor: 2 }, 'suspendMs.maxMs'],
    ['suspendMs', { initialMs: 100, factor: 2, maxMs: 99 }, 'suspendMs.maxMs'],
    ['suspendMs', { initialMs: 100, factor: 0.5, maxMs: 100 }, 'suspendMs.factor'],
    ['suspendMs', { initialMs: 5, factor: 2, maxMs: 100 }, 'suspendMs.initialMs'],
    ['handlerTimeoutMs', 0],
    ['onUndecodable', 'drop'],
    ['prefetch', { messages: 0 }, 'prefetch.messages'],
    ['prefetch', { bytes: -1 }, 'prefetch.bytes'],
    ['prefetch', { queues: 1 }, 'prefetch.queues'],
    ['commitIntervalMs', 0],
    ['offsetFile', 'offsets.json'],
  ])('%s: %p', (name, value, field = name) => {
    expect(thrownBy(() => new PushConsumer({ groupId: 'g', nameServer, [name]: value }))).toEqual(refusal(field))
  })

  test.each([
    ['topic', ['', () => {}]],
    ['topic', ['a b', () => {}]],
    ['topic', ['t'.repeat(128), () => {}]],
    ['handler', ['orders']],
    ['handler', ['orders', {}]],
    ['expression', ['orders', () => {}, '']],
    ['expression', ['orders', () => {}, {}]],
    ['expression', ['orders', () => {}, { tags: 'a', sql92: 'b' }]],
    ['expression.tags', ['orders', () => {}, { tags: 5 }]],
    ['expression.sql92', ['orders', () => {}, { sql92: '' }]],
    ['expression.regex', ['orders', () => {}, { regex: 'a' }]],
  ])('a subscription with a bad %s: %j', (field, args) => {
    const consumer = new PushConsumer('g', true)
    expect(thrownBy(() => consumer.subscribe(...args))).toEqual(refusal(field))
  })

  test('a second handler for a topic', () => {
    const consumer = new PushConsumer('g', true).subscribe('orders', () => {})
    expect(thrownBy(() => consumer.subscribe('orders', () => {}))).toEqual(refusal('topic'))
  })
})

describe('native gets', () => {
  test('the defaults of a producer', async () => {
    const producer = await new Producer({ groupId: 'g', nameServer }).start()
    expect(NativeProducer.last.config).toEqual({
      groupId: 'g',
      nameServers: [nameServer],
      requestTimeoutMs: 3000,
      asksForCredentials: false,
      waitForTopics: false,
      logs: false,
      debug: false,
    })
    expect(NativeProducer.last.settings).toEqual({
      topics: [],
      shardingHash: 'java',
      batching: 'auto',
      sendTimeoutMs: 30_000,
      maxPendingMessages: 65_536,
      maxPendingBytes: 67_108_864,
      onRouteChange: 'follow',
      maxMessageBytes: 4_194_304,
      compression: undefined,
      compressOverBytes: 4096,
    })
    expect(NativeProducer.last.startTimeoutMs).toBe(10_000)
    await producer.close()
    const [timeoutMs] = NativeProducer.last.closes
    expect(timeoutMs).toBeLessThanOrEqual(15_000)
    expect(timeoutMs).toBeGreaterThan(10_000) // what is left of it
  })

  test('the defaults of a consumer', async () => {
    const consumer = new PushConsumer({ groupId: 'g', nameServer }).subscribe('orders', () => {})
    await consumer.start()
    expect(NativeConsumer.last.settings).toEqual({
      subscriptions: [{ topic: 'orders', expressionType: 'TAG', expression: '*' }],
      initialPosition: 'last',
      maxBatchMessages: 1,
      orderedBy: 'queue',
      initialTimestamp: 0,
      maxReconsumeTimes: -1,
      broadcasting: false,
      onUndecodable: 'hold',
      suspendInitialMs: 1000,
      suspendFactor: 1,
      suspendMaxMs: 1000,
      prefetchMessages: 1000,
      prefetchBytes: 67_108_864,
      commitIntervalMs: 1000,
      handlerTimeoutMs: -1,
    })
    await consumer.close()
  })

  test('every option of a consumer', async () => {
    const at = new Date('2024-05-01T00:00:00Z')
    const consumer = new PushConsumer({
      groupId: 'g',
      nameServer: 'a:1; b:2',
      credentials: { accessKey: 'ak', secretKey: 'sk', securityToken: 'token', channel: 'ALIYUN' },
      namespace: 'MQ_INST_1_B',
      instanceName: 'one',
      requestTimeoutMs: 1,
      startTimeoutMs: 2,
      waitForTopics: true,
      closeTimeoutMs: 3,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      initialPosition: at,
      concurrency: { max: 3, by: 'key' },
      messageModel: 'clustering',
      maxReconsumeTimes: 4,
      suspendMs: { initialMs: 10, factor: 1.5, maxMs: 900_000 },
      handlerTimeoutMs: 5,
      onUndecodable: 'deadLetter',
      prefetch: { messages: 6, bytes: 7 },
      commitIntervalMs: 8,
    })
    consumer
      .subscribe('orders', () => {}, { tags: 'a || b' })
      .subscribeBatch('payments', () => {}, { expression: { sql92: 'x > 1' }, maxMessages: 100, groupBy: 'key' })
    await consumer.start()
    expect(NativeConsumer.last.config).toEqual({
      groupId: 'g',
      nameServers: ['a:1', 'b:2'],
      namespace: 'MQ_INST_1_B',
      instanceName: 'one',
      requestTimeoutMs: 1,
      accessKey: 'ak',
      secretKey: 'sk',
      securityToken: 'token',
      asksForCredentials: false,
      channel: 'ALIYUN',
      waitForTopics: true,
      logs: true,
      debug: true,
    })
    expect(NativeConsumer.last.settings).toEqual({
      subscriptions: [
        { topic: 'orders', expressionType: 'TAG', expression: 'a || b' },
        { topic: 'payments', expressionType: 'SQL92', expression: 'x > 1' },
      ],
      maxBatchMessages: 100,
      orderedBy: 'key',
      initialPosition: 'timestamp',
      initialTimestamp: at.getTime(),
      maxReconsumeTimes: 4,
      broadcasting: false,
      onUndecodable: 'deadLetter',
      suspendInitialMs: 10,
      suspendFactor: 1.5,
      suspendMaxMs: 900_000,
      prefetchMessages: 6,
      prefetchBytes: 7,
      commitIntervalMs: 8,
      handlerTimeoutMs: 5,
    })
    expect(NativeConsumer.last.startTimeoutMs).toBe(2)
    await consumer.close()
    expect(NativeConsumer.last.closes).toEqual([3])
  })

  test('a broadcasting consumer keeps its offsets where it was told when it was made', async () => {
    const consumer = new PushConsumer({
      groupId: 'g',
      nameServer,
      messageModel: 'broadcasting',
      offsetFile: 'offsets.json',
      onUndecodable: 'skip',
    })
    await consumer.subscribe('orders', () => {}).start()
    const offsetFile = require('node:path').resolve('offsets.json')
    expect(NativeConsumer.last.settings).toMatchObject({ broadcasting: true, offsetFile, onUndecodable: 'skip' })
    await consumer.close()
  })

  test.each([
    ['offsetFile', { offsetFile: '' }],
    ['offsetFile', { offsetFile: 'a\0b' }],
    ['offsetFile', { offsetFile: new URL('file:///offsets.json') }],
    ['onUndecodable', { onUndecodable: 'deadLetter' }],
  ])('%s: not with broadcasting: %p', (field, options) => {
    const make = () => new PushConsumer({ groupId: 'g', nameServer, messageModel: 'broadcasting', ...options })
    expect(thrownBy(make)).toEqual(refusal(field))
  })

  test('what the sample’s calls say', async () => {
    const producer = new Producer('g', true)
      .setNameServerAddress('http://MQ_INST_1_B.mq.aliyuncs.com:80')
      .setSessionCredentials('ak', 'sk', 'ALIYUN')
    await producer.start()
    expect(NativeProducer.last.config).toMatchObject({
      nameServers: ['http://MQ_INST_1_B.mq.aliyuncs.com:80'],
      accessKey: 'ak',
      secretKey: 'sk',
      channel: 'ALIYUN',
    })
    expect(() => producer.setNameServerAddress(nameServer)).toThrow(
      expect.objectContaining({ code: 'ERR_ROCKETMQ_INVALID_STATE' }),
    )
    await producer.close()
    expect(() => producer.setSessionCredentials('a', 'b')).toThrow(
      expect.objectContaining({ code: 'ERR_ROCKETMQ_CLOSED' }),
    )
  })

  test('an option that is undefined as its default', async () => {
    const producer = new Producer({ groupId: 'g', nameServer, batching: undefined, signal: undefined })
    await producer.start()
    expect(NativeProducer.last.settings.batching).toBe('auto')
    await producer.close()
  })
})

describe('the name server of the environment', () => {
  const { ROCKETMQ_NAMESRV, NAMESRV_ADDR } = process.env
  const set = (name, value) => {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  afterEach(() => {
    set('ROCKETMQ_NAMESRV', ROCKETMQ_NAMESRV)
    set('NAMESRV_ADDR', NAMESRV_ADDR)
  })

  test.each([
    [{ ROCKETMQ_NAMESRV: 'a:1', NAMESRV_ADDR: 'b:2' }, ['a:1']],
    [{ NAMESRV_ADDR: 'b:2;c:3' }, ['b:2', 'c:3']],
    [{ ROCKETMQ_NAMESRV: '', NAMESRV_ADDR: 'b:2' }, ['b:2']],
  ])('%j', async (env, expected) => {
    set('ROCKETMQ_NAMESRV', env.ROCKETMQ_NAMESRV)
    set('NAMESRV_ADDR', env.NAMESRV_ADDR)
    const producer = await new Producer('g', true).start()
    expect(NativeProducer.last.config.nameServers).toEqual(expected)
    await producer.close()
  })

  test('start() rejects when there is none, and may be called again', async () => {
    set('ROCKETMQ_NAMESRV')
    set('NAMESRV_ADDR')
    const producer = new Producer('g', true)
    await expect(producer.start()).rejects.toEqual(refusal('nameServer'))
    expect(producer.state).toBe('idle')
    await producer.setNameServerAddress(nameServer).start()
    expect(producer.state).toBe('running')
    await producer.close()
  })
})

test.each([[9], [900_001], [10.5], ['100'], [undefined]])('suspend(%p) is refused', (ms) => {
  expect(thrownBy(() => suspend(ms))).toEqual(refusal('ms'))
})

test.each([[5], [''], [null]])('deadLetter(%p) is refused', (reason) => {
  expect(thrownBy(() => deadLetter(reason))).toEqual(refusal('reason'))
})

test('a refusal is the one error class', () => {
  expect(thrownBy(() => suspend(1))).toBeInstanceOf(RocketMQError)
})
