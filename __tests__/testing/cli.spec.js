'use strict'
// npx rocketmq-orderly test-broker, as a process of its own.

const { execFile, spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { Producer, PushConsumer } = require('../..')
const { bin, exports: exported, files } = require('../../package.json')
const { LineProcess } = require('../support/child-process')

const ROOT = path.resolve(__dirname, '../..')
const CLI = path.join(ROOT, bin['rocketmq-orderly'])

const open = []
const track = (closable) => {
  open.push(closable)
  return closable
}
afterEach(async () => {
  for (const closable of open.splice(0).reverse()) await (closable.close ? closable.close() : closable.kill9())
})

/** Runs it to its end; resolves with the exit code and what it has said. */
function ended(...args) {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr })
    })
  })
}

/** Starts it at any free port. */
async function start(...args) {
  const child = spawn(process.execPath, [CLI, 'test-broker', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const cli = track(new LineProcess(child))
  await cli.line(({ text }) => text === 'Ctrl-C ends it.', { what: 'that it runs' })
  cli.stdout = child.stdout
  cli.nameServer = /name server at (\S+),/.exec(said(cli))[1]
  return cli
}

const said = (cli) => cli.lines.map(({ text }) => text).join('\n')

async function producer(cli, options = {}) {
  return track(new Producer({ groupId: 'GID-producer', nameServer: cli.nameServer, ...options })).start()
}

test('it says where it listens and that it keeps nothing, shows what it stores, and ends with 0', async () => {
  const cli = await start('--topic', 'orders:8', '--topic', 'bills', '--brokers', '2', '--version', '4.9', '--verbose')
  expect(said(cli)).toContain('It keeps nothing')
  expect(said(cli)).toContain('behaves as 4.9')
  expect(said(cli)).toMatch(/^brokers at 127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+$/m)
  const client = await producer(cli, { topics: ['orders', 'bills'] })
  expect(await client.queues('orders')).toHaveLength(8)
  expect(await client.queues('bills')).toHaveLength(4)

  const { queue, queueOffset } = await client.sendOrderly({ topic: 'orders', body: '{"id":1}' }, 'customer-7')
  const place = `${queue.brokerName}:${queue.queueId} @${queueOffset}`
  await cli.line(({ text }) => text === `orders  ${place}  key customer-7  {"id":1}`, { what: 'the message' })
  await client.sendOrderly({ topic: 'bills', body: 'ä'.repeat(500) }, 'k')
  await cli.line(({ text }) => text?.endsWith(`  ${'ä'.repeat(120)}… (1000 bytes)`), { what: 'a long one, cut' })
  await client.sendOrderly({ topic: 'bills', body: 'one\nline\x1b[2J\x9b' }, 'k')
  await cli.line(({ text }) => text?.endsWith('  one\\nline\\u001b[2J\ufffd'), { what: 'what a terminal would obey' })
  await client.sendOrderly({ topic: 'bills', body: Buffer.from([0xff, 0xfe]) }, 'k')
  await cli.line(({ text }) => text?.endsWith('  (2 bytes that are no text)'), { what: 'one that is no text' })

  cli.kill('SIGTERM')
  expect(await cli.ended).toEqual({ code: 0, signal: null })
  expect(cli.lines.at(-1)).toEqual({ text: 'ended; nothing was kept' })
  expect(cli.errors).toBe('')
})

test('Ctrl-C ends it, whatever clients are there; without --verbose it shows no message', async () => {
  const cli = await start('--topic', 'orders')
  const client = await producer(cli)
  await client.sendOrderly({ topic: 'orders', body: 'unseen' }, 'k')
  cli.kill('SIGINT')
  expect(await cli.ended).toEqual({ code: 0, signal: null })
  expect(said(cli)).not.toContain('unseen')
})

test('--group refuses other groups', async () => {
  const cli = await start('--topic', 'orders', '--group', 'GID-known')
  const member = (groupId) =>
    track(new PushConsumer({ groupId, nameServer: cli.nameServer })).subscribe('orders', () => {})
  await member('GID-known').start()
  await expect(member('GID-other').start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_GROUP_NOT_FOUND' })
})

test('whoever stops reading ends it', async () => {
  const cli = await start('--topic', 'orders', '--verbose')
  const client = await producer(cli)
  cli.stdout.destroy()
  // It may end before it has answered.
  client.sendOrderly({ topic: 'orders', body: 'x' }, 'k', { timeoutMs: 60_000 }).catch(() => {})
  expect(await cli.ended).toEqual({ code: 0, signal: null })
})

test('--help', async () => {
  for (const args of [['--help'], ['test-broker', '-h'], ['check-history', '--help']]) {
    const { code, stdout, stderr } = await ended(...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const ours = ['port', 'topic', 'group', 'brokers', 'version', 'verbose', 'lease-seconds', 'drained', 'json']
    for (const option of ours) expect(stdout).toContain(`--${option}`)
    expect(stdout).toContain('keep nothing')
  }
})

test.each([
  [[], 'the command is test-broker or check-history, not nothing'],
  [['broker'], 'the command is test-broker or check-history, not broker'],
  [['check-history'], 'check-history: which files?'],
  [['check-history', 'a', '--lease-seconds', '0'], "--lease-seconds: a number from 1 to 86400, not '0'"],
  [['test-broker', 'orders'], "takes options only, not 'orders'"],
  [['test-broker', '--prot', '1'], "Unknown option '--prot'"],
  [['test-broker', '--port'], "Option '--port <value>' argument missing"],
  [['test-broker', '--port', 'http'], "--port: a number from 0 to 65535, not 'http'"],
  [['test-broker', '--port', '65536'], "--port: a number from 0 to 65535, not '65536'"],
  [['test-broker', '--topic', ':8'], "as in orders:8, not ':8'"],
  [['test-broker', '--topic', 'orders:'], "as in orders:8, not 'orders:'"],
  [['test-broker', '--topic', 'a:1:2'], "as in orders:8, not 'a:1:2'"],
  [['test-broker', '--topic', 'orders:0'], "--topic orders:0: a number from 1 to 65536, not '0'"],
  [['test-broker', '--topic', 'a b'], '--topic a b: may hold letters, digits'],
  [['test-broker', '--topic', 'a', '--topic', 'a:2'], '--topic a:2: a is there already'],
  [['test-broker', '--brokers', '65'], "--brokers: a number from 1 to 64, not '65'"],
  [['test-broker', '--version', '5'], `--version: must be '4.9' or '5.5', not "5"`],
  [['test-broker', '--group', 'a b'], '--group a b: may hold letters, digits'],
])('%j is refused with 2', async (args, text) => {
  const { code, stdout, stderr } = await ended(...args)
  expect(stderr).toContain(text)
  expect(stderr).toContain('--help')
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
})

test('a port in use is refused with 1', async () => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  try {
    const { code, stdout, stderr } = await ended('test-broker', '--port', `${port}`)
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: `port: ${port} is in use on 127.0.0.1\n` })
  } finally {
    server.close()
  }
})

test('the package holds the command and what can be imported', () => {
  const { './package.json': _always, ...entries } = exported
  const conditions = Object.values(entries).flatMap((entry) => Object.values(entry))
  const targets = [...Object.values(bin), ...conditions.flatMap((condition) => Object.values(condition))]
  for (const target of targets.map(path.normalize)) {
    expect(fs.existsSync(path.join(ROOT, target))).toBe(true)
    expect(files.some((file) => target === file || target.startsWith(`${file}/`))).toBe(true)
  }
})
