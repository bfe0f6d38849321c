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
  const topics = ['--topic', 'orders:8', '--topic', 'other']
  const { child, line, ended } = run('test-broker', '--port', '0', ...topics, '--verbose')
  const [, nameServer] = /name server at (\S+),/.exec(await line(/name server at/))
  expect(await line(/keeps nothing/)).toContain('gone when it ends')
  const producer = await new Producer({ groupId: 'GID-command', nameServer }).start()
  expect(await producer.queues('orders')).toHaveLength(8)
  expect(await producer.queues('other')).toHaveLength(4)
  const { queue } = await producer.sendOrderly({ topic: 'orders', body: '{"id":1}' }, 'customer-7')
  expect(await line(/customer-7/)).toBe(`orders  broker-a:${queue.queueId} @0  key customer-7  {"id":1}`)
  await expect(producer.sendOrderly({ topic: 'unknown', body: 'x' }, 'k')).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND',
  })
  await producer.close()
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ code: 0, signal: null, err: '' })
})

test.each([
  [[], 'the command is test-broker, not nothing'],
  [['broker'], 'the command is test-broker, not broker'],
  [['test-broker', '--ports', '1'], "Unknown option '--ports'"],
  [['test-broker', '--port', 'x'], "--port: a number from 0 to 65535, not 'x'"],
  [['test-broker', '--topic', 'orders:many'], "a number from 1 to 65536, not 'many'"],
  [['test-broker', '--version', '3'], `--version: must be '4.9' or '5.5'`],
  [['test-broker', '--topic', 'a b'], '--topic a b: may hold'],
])('%j ends with code 2 and says what is wrong', async (args, text) => {
  const { code, err } = await run(...args).ended
  expect(code).toBe(2)
  expect(err).toContain(text)
})

test('--help', async () => {
  expect(await run('--help').ended).toMatchObject({ code: 0, out: expect.stringContaining('Usage:') })
})
