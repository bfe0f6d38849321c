'use strict'
// `rocketmq-orderly test-broker`: TestBroker as a process of its own.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { Producer } = require('../..')
const { bin } = require('../../package.json')

const COMMAND = require.resolve(`../../${bin['rocketmq-orderly']}`)

const running = new Set()
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

/** Runs it; `line(pattern)` resolves with the first line of its output that matches. */
function run(...args) {
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const printed = { out: '', err: '' }
  child.stderr.on('data', (data) => (printed.err += data))
  child.stdout.on('data', (data) => {
    printed.out += data
    child.emit('printed')
  })
  const ended = once(child, 'close').then(([code, signal]) => (running.delete(child), { code, signal, ...printed }))
  const line = async (pattern) => {
    for (;;) {
      const found = printed.out.split('\n').find((text) => pattern.test(text))
      if (found !== undefined) return found
      await Promise.race([once(child, 'printed'), ended.then(({ err }) => Promise.reject(new Error(err)))])
    }
  }
  return { child, line, ended }
}

test('it serves, prints what it stores, says that it keeps nothing, and ends on Ctrl-C', async () => {
  const { child, line, ended } = run(
    'test-broker',
    '--port',
    '0',
    '--topic',
    'orders:8',
    '--topic',
    'other',
    '--verbose',
  )
  const [, nameServer] = /name server (\S+),/.exec(await line(/name server/))
  expect(await line(/keeps nothing/)).toContain('gone when it ends')
  const producer = await new Producer({ groupId: 'GID-command', nameServer }).start()
  expect(await producer.queues('orders')).toHaveLength(8)
  expect(await producer.queues('other')).toHaveLength(4)
  const message = { topic: 'orders', body: '{"id":1}', tags: 'TagA', keys: 'k1' }
  const { queue } = await producer.sendOrderly(message, 'customer-7')
  expect(await line(/customer-7/)).toBe(
    `orders broker-a:${queue.queueId} @0  key "customer-7"  tag "TagA"  keys ["k1"]  "{\\"id\\":1}"`,
  )
  await expect(producer.sendOrderly({ topic: 'unknown', body: 'x' }, 'k')).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND',
  })
  await producer.close()
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ code: 0, signal: null, err: '' })
})

test.each([
  [[], 'what to run is missing'],
  [['broker'], 'unknown: broker'],
  [['test-broker', '--ports', '1'], "Unknown option '--ports'"],
  [['test-broker', '--port', 'x'], '--port: a number, not "x"'],
  [['test-broker', '--topic', 'orders:many'], '--topic: a number, not "many"'],
  [['test-broker', '--port', '0', '--version', '3'], `version: must be '4.9' or '5.5'`],
  [['test-broker', '--port', '0', '--topic', 'a b'], 'topics.a b: may hold'],
])('%j ends with code 2, what is wrong, and how it is used', async (args, text) => {
  const { code, err } = await run(...args).ended
  expect(code).toBe(2)
  expect(err).toContain(text)
  expect(err).toContain('Usage: rocketmq-orderly test-broker')
})

test('--help', async () => {
  expect(await run('--help').ended).toMatchObject({ code: 0, out: expect.stringContaining('Usage:') })
})
