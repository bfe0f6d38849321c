'use strict'
// Names that are none of ours: refused, with what was meant.

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { Message, Producer, PushConsumer } = require('../../index.js')
const { suggestion } = require('../../src/js/suggest.js')
const { NativeProducer, reset } = require('./fake-native.js')
const { received } = require('./received.js')

const nameServer = '127.0.0.1:9876'
const clients = []

beforeEach(() => {
  reset()
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  jest.restoreAllMocks()
})

const messageOf = (code) => {
  try {
    code()
  } catch (error) {
    expect(error.code).toBe('ERR_ROCKETMQ_INVALID_ARGUMENT')
    return error.message
  }
  throw new Error('nothing was thrown')
}

describe('a name is taken for', () => {
  test.each([
    ['nameserver', 'nameServer'], // another case
    ['NAME_SERVER', 'nameServer'],
    ['nameSever', 'nameServer'], // a letter left out
    ['nameeServer', 'nameServer'], // one too many
    ['nameServwr', 'nameServer'], // another one
    ['namesErver', 'nameServer'],
    ['naemServer', 'nameServer'], // two swapped
    ['naemSrever', 'nameServer'], // twice
    ['tag', 'tags'],
  ])('%s: %s', (given, meant) => {
    expect(suggestion(given, ['groupId', 'nameServer', 'tags'])).toBe(`did you mean ${meant}?`)
  })

  test.each(['naemSrevr', 'xyz', 'id', 'ta', '', '-', 'x'.repeat(10_000)])('none: %p', (given) => {
    expect(suggestion(given, ['groupId', 'nameServer', 'tags'])).toBeUndefined()
  })

  test('the nearest, and our own before another client’s', () => {
    const foreign = new Map([['sendtimeout', 'another’s']])
    expect(suggestion('closeTimoutMs', ['requestTimeoutMs', 'closeTimeoutMs'])).toBe('did you mean closeTimeoutMs?')
    expect(suggestion('sendTimeoutM', ['sendTimeoutMs'], foreign)).toBe('did you mean sendTimeoutMs?')
    expect(suggestion('send_timeout', ['sendTimeoutMs'], foreign)).toBe('another’s')
    expect(suggestion('sendTimeuot', ['topics'], foreign)).toBe('another’s')
  })
})

describe('options of other clients', () => {
  const names = (...all) => expect.stringMatching(new RegExp(all.join('|')))
  test.each([
    ['brokers', 'did you mean nameServer? It takes the addresses of name servers, not of brokers'],
    ['nameSrv', 'did you mean nameServer?'],
    ['namesrvAddr', 'did you mean nameServer?'],
    ['NAMESRV_ADDR', 'did you mean nameServer?'],
    ['name_server', 'did you mean nameServer?'],
    ['accessKeyId', 'did you mean credentials: { accessKey, secretKey }?'],
    ['accessKeySecret', 'did you mean credentials: { accessKey, secretKey }?'],
    ['producerGroup', 'did you mean groupId?'],
    ['consumerGroup', 'did you mean groupId?'],
    ['group', 'did you mean groupId?'],
    ['group_id', 'did you mean groupId?'],
    ['clientId', 'did you mean instanceName?'],
    ['requestTimeout', 'did you mean requestTimeoutMs?'],
    ['ssl', 'did you mean tls: true?'],
    ['rejectUnauthorized', 'did you mean tls: { ca, cert, key, servername, rejectUnauthorized }?'],
    ['topic', names('did you mean topics\\?', 'did you mean subscribe\\(topic, handler\\)\\?')],
    ['retries', names('a send is tried again until sendTimeoutMs is over', 'did you mean maxReconsumeTimes\\?')],
  ])('%s', (name, advice) => {
    for (const Kind of [Producer, PushConsumer]) {
      const [field, , said] = messageOf(() => new Kind({ groupId: 'g', nameServer, [name]: 'x' })).split(/: (.*?; )/)
      expect([field, said]).toEqual([name, advice])
    }
  })

  test.each([
    [
      { credentials: { accessKeyId: 'a', accessKeySecret: 'b' } },
      /^credentials.accessKeyId: .*; did you mean accessKey\?$/,
    ],
    [
      { suspendMs: { initial: 10, factor: 2, maxMs: 99 } },
      /^suspendMs.initial: unknown option; did you mean initialMs\?$/,
    ],
    [{ initialPosition: 'earliest' }, /^initialPosition: must be .*, not "earliest"; did you mean first\?$/],
    [{ initialPosition: 'CONSUME_FROM_LAST_OFFSET' }, /; did you mean last\?$/],
    [{ messageModel: 'BROADCASTING' }, /; did you mean broadcasting\?$/],
    [{ messageModel: 'broadcast' }, /; did you mean broadcasting\?$/],
    [{ messageModel: 'CLUSTERING' }, /; did you mean clustering\?$/],
    [{ isBroadcast: true }, /; did you mean messageModel: 'broadcasting'\?$/],
    [{ offsetStore: 'offsets.json' }, /; did you mean offsetFile\?$/],
    [{ handlerTimeout: 3 }, /; did you mean handlerTimeoutMs\?$/],
    [{ nonsense: 3 }, /^nonsense: unknown option$/],
  ])('of a consumer: %j', (options, text) => {
    expect(messageOf(() => new PushConsumer({ groupId: 'g', nameServer, ...options }))).toMatch(text)
  })

  test('and the orders of arguments that they have', () => {
    const consumer = new PushConsumer('g', true)
    expect(messageOf(() => consumer.subscribe('orders', '*', () => {}))).toContain(
      'subscribe(topic, handler, expression)',
    )
    expect(messageOf(() => consumer.subscribe('orders', () => {}, { sql: 'a > 1' }))).toContain('did you mean sql92?')
    expect(messageOf(() => new Message('orders', 'paid', 'hello'))).toContain('setTags()')
  })

  test('of a call are refused, too', async () => {
    const producer = await new Producer({ groupId: 'g', nameServer }).start()
    clients.push(producer)
    const sent = producer.sendOrderly({ topic: 'orders', body: 'x' }, 'key', { timeout: 5 })
    await expect(sent).rejects.toThrow('options.timeout: unknown option; did you mean timeoutMs?')
    await expect(producer.ready({ singal: null })).rejects.toThrow('did you mean signal?')
    await expect(producer.close({ timeout: 5 })).rejects.toThrow('did you mean timeoutMs?')
  })
})

describe('a bad address of a name server is quoted', () => {
  test.each([
    ['10.0.0.1', '"10.0.0.1" has no port (that of a name server is usually 9876)'],
    ['http://10.0.0.1', '"http://10.0.0.1" has no port'],
    ['[::1]', '"[::1]" has no port'],
    ['10.0.0.1:9876;10.0.0.2', '"10.0.0.2" (address 2 of 2) has no port'],
    [
      ['10.0.0.1:9876', '10.0.0.2:98760', 'c:1'],
      '"10.0.0.2:98760" (address 2 of 3) has a port that is not from 1 to 65535',
    ],
    ['a:1, b:2, c 3', '"c 3" (address 3 of 3) holds a space'],
    ['https://a:443', '"https://a:443" must not begin with https://: TLS is asked for by tls: true'],
    ['tcp://a:9876', '"tcp://a:9876" must not begin with tcp://'],
    ['http://a:80/nsaddr', '"http://a:80/nsaddr" must not have a path'],
    ['a:port', '"a:port" is no address'],
    ['http://me:secret@a', '"http://…@a" has no port'],
    ['x'.repeat(500), `"${'x'.repeat(100)}…" has no port`],
  ])('%j', (given, text) => {
    expect(messageOf(() => new Producer({ groupId: 'g', nameServer: given }))).toMatch(`nameServer: ${text}`)
    expect(messageOf(() => new Producer('g', true).setNameServerAddress(given))).toMatch(`nameServer: ${text}`)
  })

  test('and so is that of the environment, whose variable is named', async () => {
    const { ROCKETMQ_NAMESRV, NAMESRV_ADDR } = process.env
    delete process.env.ROCKETMQ_NAMESRV
    process.env.NAMESRV_ADDR = 'a:1;b'
    try {
      const started = new Producer('g', true).start()
      await expect(started).rejects.toThrow('the environment variable NAMESRV_ADDR: "b" (address 2 of 2) has no port')
    } finally {
      delete process.env.NAMESRV_ADDR
      Object.assign(process.env, {
        ...(ROCKETMQ_NAMESRV && { ROCKETMQ_NAMESRV }),
        ...(NAMESRV_ADDR && { NAMESRV_ADDR }),
      })
    }
  })
})

test.each([
  ['eror', 'did you mean warning?'],
  ['warnings', 'did you mean warning?'],
  ['disconnect', 'did you mean disconnected?'],
  ['Close', 'did you mean close?'],
  ['message', 'handlers get messages: subscribe(topic, handler)'],
  ['rebalance', 'did you mean assigned or revoked?'],
  ['ready', 'start() resolves when it is'],
])('an unknown event suggests: %s', (event, advice) => {
  new PushConsumer('g', true).on(event, () => {})
  expect(process.emitWarning.mock.calls[0][0]).toBe(`PushConsumer has no event "${event}"; ${advice}`)
})

describe('a field of a message that is none is refused', () => {
  let producer
  beforeEach(async () => {
    producer = await new Producer({ groupId: 'g', nameServer }).start()
    clients.push(producer)
  })
  const base = { topic: 'orders', body: 'x' }
  class Order {
    topic = 'orders'
    body = 'x'
    #state = 'hidden'
    get state() {
      return this.#state
    }
  }

  test.each([
    [{ ...base, tag: 'paid', headers: {} }, 'message.tag: unknown field; did you mean tags?'],
    [{ ...base, headers: {} }, 'message.headers: unknown field; did you mean properties?'],
    [{ topic: 'orders', value: 'x' }, 'message.value: unknown field; did you mean body?'],
    [
      { ...base, key: 'x' },
      'message.key: unknown field; did you mean keys? The sharding key is the second argument of the send',
    ],
    [
      { ...base, shardingKey: 'x' },
      'message.shardingKey: unknown field; the sharding key is the second argument of the send',
    ],
    [{ ...base, delayTimeLevel: 3 }, 'message.delayTimeLevel: unknown field; ordered messages have no delay'],
    [{ ...base, tag: undefined }, 'message.tag: unknown field; did you mean tags?'],
    [{ ...base, nonsense: 1 }, 'message.nonsense: unknown field'],
    [{ ...base, msgId: 'x' }, 'message.msgId: unknown field'],
    [Object.assign(new Message('orders', 'x'), { tag: 'paid' }), 'message.tag: unknown field; did you mean tags?'],
    [Object.assign(new Order(), { tag: 'paid' }), 'message.tag: unknown field; did you mean tags?'],
  ])('%j', async (message, text) => {
    const refused = { code: 'ERR_ROCKETMQ_INVALID_ARGUMENT', outcome: 'not-stored', topic: 'orders', message: text }
    await expect(producer.sendOrderly(message, 'key')).rejects.toMatchObject(refused)
    expect(NativeProducer.last.taken).toEqual([])
  })

  test('in a batch, where its message is named', async () => {
    const sent = producer.sendOrderlyBatch([base, { ...base, tag: 'paid' }], 'key')
    await expect(sent).rejects.toThrow('messages[1].tag: unknown field; did you mean tags?')
  })

  test.each([
    ['a plain message', { ...base, tags: 'paid', keys: ['a'], properties: { a: 'b' } }],
    ['a message without prototype', Object.assign(Object.create(null), base)],
    ['a builder', new Message('orders', 'x').setTags('paid')],
    ['an object of the user’s with private state', new Order()],
    [
      'what is inherited, a symbol, or not enumerable',
      Object.assign(Object.create({ tag: 'x' }), base, { [Symbol('a')]: 1 }),
    ],
  ])('but not %s', (_name, message) => {
    producer.sendOrderly(message, 'key').catch(() => {})
    expect(NativeProducer.last.taken).toMatchObject([{ topic: 'orders' }])
  })

  const copies = [
    ['as it is', (message) => message],
    ['as a spread', (message) => ({ ...message })],
    ['with another topic', (message) => ({ ...message, topic: 'copies' })],
    ['as a structured clone', (message) => structuredClone(message)],
    [
      'from JSON',
      (message) =>
        JSON.parse(JSON.stringify(message), (_key, value) => (value?.type === 'Buffer' ? Buffer.from(value) : value)),
    ],
  ]
  test.each(copies)('and a received message can be forwarded %s', async (_name, copy) => {
    const properties = 'UNIQ_KEY\x01ID\x02__SHARDINGKEY\x01k\x02color\x01red\x02TAGS\x01paid\x02KEYS\x01a b\x02'
    const message = received({ tags: 'paid', keys: 'a b', shardingKey: 'k', properties, body: 'hello' })
    producer.sendOrderly(copy(message), 'key').catch(() => {})
    const [sent] = NativeProducer.last.taken
    expect(sent).toMatchObject({ tags: 'paid', keys: 'a b', properties: ['color', 'red'] })
    expect(sent.body.toString()).toBe('hello')
    const strange = producer.sendOrderly({ ...copy(message), tag: 'x' }, 'key')
    await expect(strange).rejects.toThrow('message.tag: unknown field; did you mean tags?')
  })

  test('and a body that JSON made of a Buffer says how to make it one again', async () => {
    const body = JSON.parse(JSON.stringify(Buffer.from('x')))
    await expect(producer.sendOrderly({ topic: 'orders', body }, 'key')).rejects.toThrow('Buffer.from(body)')
  })
})
