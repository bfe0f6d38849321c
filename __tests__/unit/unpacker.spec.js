'use strict'
// What becomes of a chunk: what messages share, and what is their own.

const { execFileSync } = require('node:child_process')
const { MessageChannel, receiveMessageOnPort } = require('node:worker_threads')
const { Unpacker } = require('../../src/js/consumer/unpacker.js')
const { PLAIN_ENV } = require('../support/plain-env')

jest.mock('../../src/js/addon.js', () => require('./fake-native.js'))

const { NativeConsumer } = require('./fake-native.js')
const QUEUE = { topic: 'orders', brokerName: 'broker-a', queueId: 0 }

/** The messages of one chunk. */
function unpacked(each) {
  const native = new NativeConsumer({}, {})
  const messages = each.map((options, i) => native.message(0, i, options))
  native.chunks.set(0, [{ generation: 1, messages }])
  return new Unpacker().chunk(native, 0, QUEUE).messages
}

const bodies = (count, size) => Array.from({ length: count }, (_, i) => ({ body: `${i}`.padEnd(size, '.') }))

test('small bodies of a chunk are parts of one memory of some KiB, as those that Buffer.from() makes, and overlap nowhere', () => {
  const messages = unpacked(bodies(32, 100))
  expect(messages.map((message) => message.text())).toEqual(bodies(32, 100).map(({ body }) => body))
  expect(new Set(messages.map(({ body }) => body.buffer)).size).toBe(1)
  expect(messages[0].body.buffer.byteLength).toBeLessThanOrEqual(8 * 1024)
  expect(messages.filter(({ body }) => body.byteOffset % 8 !== 0)).toEqual([])
  messages[7].body.fill('x')
  expect(messages[6].text() + messages[8].text()).not.toContain('x')
})

test.each([
  [1, 100],
  [32, 1_000],
])('of %d bodies with %d bytes each has memory of its own', (count, size) => {
  const messages = unpacked(bodies(count, size))
  expect(messages.map((message) => message.text())).toEqual(bodies(count, size).map(({ body }) => body))
  expect(messages.map(({ body }) => body.buffer.byteLength - body.length).filter((more) => more >= 8)).toEqual([])
})

test('who hands a small body to another thread takes no other along', () => {
  const messages = unpacked(bodies(4, 100))
  const { port1, port2 } = new MessageChannel()
  try {
    port1.postMessage(messages[1].body, [messages[1].body.buffer])
    expect(Buffer.from(receiveMessageOnPort(port2).message).toString()).toBe(messages[1].text())
  } catch (error) {
    expect(error.name).toBe('DataCloneError') // of newer versions, which say so
  }
  port1.close()
  expect(messages.map(({ body }) => body.length)).toEqual([100, 100, 100, 100])
})

test.each([
  ['short and ASCII', { tags: 'T', keys: 'a b', shardingKey: 'k', properties: 'n\x01v\x02' }],
  [
    'long',
    {
      tags: 'T'.repeat(40),
      keys: 'k'.repeat(300),
      shardingKey: 's'.repeat(90),
      properties: `n\x01${'v'.repeat(900)}\x02`,
    },
  ],
  ['not ASCII', { tags: 'é', keys: '订单 b', shardingKey: '客户', properties: 'n\x01日本\x02' }],
])('texts that are %s are the sender’s', (_, options) => {
  const messages = unpacked([options, {}, options])
  for (const message of [messages[0], messages[2]]) {
    expect(message).toMatchObject({
      topic: 'orders',
      tags: options.tags,
      keys: options.keys.split(' '),
      shardingKey: options.shardingKey,
    })
    expect({ ...message.properties }).toEqual({ n: options.properties.slice(2, -1) })
  }
  expect(messages[1]).toMatchObject({ tags: undefined, keys: [], shardingKey: undefined })
  expect(messages.map(({ msgId, offsetMsgId }) => [msgId, offsetMsgId])).toEqual([
    ['id-0-0', 'offset-id-0'],
    ['id-0-1', 'offset-id-1'],
    ['id-0-2', 'offset-id-2'],
  ])
})

test('a text that is kept holds nothing of its message', () => {
  // In a process of its own, whose heap is nobody else's.
  const script = `
    const Module = require('node:module')
    const fake = require(${JSON.stringify(require.resolve('./fake-native.js'))})
    const addon = ${JSON.stringify(require.resolve('../../src/js/addon.js'))}
    require.cache[addon] = Object.assign(new Module(addon), { exports: fake, loaded: true })
    const { Unpacker } = require(${JSON.stringify(require.resolve('../../src/js/consumer/unpacker.js'))})
    const native = new fake.NativeConsumer({}, {})
    const unpacker = new Unpacker()
    const kept = []
    const used = () => { global.gc(); return process.memoryUsage().heapUsed }
    const run = (chunks) => {
      for (let c = 0; c < chunks; c++) {
        const options = { keys: 'k'.repeat(40), shardingKey: 'customer', properties: 'own\\x01' + 'o'.repeat(20) + '\\x02n\\x01' + 'v'.repeat(200) + '\\x02' }
        native.chunks.set(0, [{ generation: 1, messages: Array.from({ length: 32 }, (_, i) => native.message(0, c * 32 + i, options)) }])
        for (const message of unpacker.chunk(native, 0, {}).messages) {
          kept.push(message.msgId, message.shardingKey, message.keys[0])
          // Of one in each chunk, which could hold the texts of all.
          if (message.queueOffset % 32 === 7) kept.push(message.properties.own)
        }
      }
    }
    run(20)
    const before = used()
    run(200)
    console.log((used() - before) / (200 * 32))`
  const said = execFileSync(process.execPath, ['--expose-gc', '-e', script], { encoding: 'utf8', env: PLAIN_ENV })
  const perMessage = Number(said)
  // Three texts of 10, 8 and 40 letters; the text of their chunk would be more than 250 bytes a message.
  expect(perMessage).toBeLessThan(230)
})
