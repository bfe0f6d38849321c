'use strict'

const { execFile } = require('node:child_process')
const path = require('node:path')
const { promisify } = require('node:util')
const { backend, createTopic } = require('./support')
const { PLAIN_ENV } = require('./support/plain-env')

// The compiler has much to do.
jest.setTimeout(300_000)

const ROOT = path.resolve(__dirname, '..')
const execute = promisify(execFile)

let ended
beforeEach(() => (ended = new AbortController()))
afterEach(() => ended.abort())

/** Runs Node.js to its end, which comes with the end of the test at the latest. */
const run = (args, options) => execute(process.execPath, args, { cwd: ROOT, signal: ended.signal, ...options })

/** What an example prints; rejects unless it ends by itself with the exit code 0. */
async function output(script) {
  const topic = await createTopic({ queues: 4 })
  const env = { ...PLAIN_ENV, ROCKETMQ_NAMESRV: backend.nameServer, ROCKETMQ_TOPIC: topic }
  const { stdout } = await run([script], { env, timeout: 120_000 })
  return stdout
}

test('the producer stores the steps of each order in order', async () => {
  const text = await output('examples/producer.js')
  expect(text.match(/^order-\d: queue \d, offsets \d+( < \d+){3}$/gm)).toHaveLength(3)
  expect(text).toContain('sent: 12')
})

test('the consumer handles them in order, although one fails at first', async () => {
  const text = await output('examples/consumer.js')
  expect(text.match(/waits 100 ms: the bank does not answer/g)).toHaveLength(3)
  expect(text.match(/paid, attempt 2/g)).toHaveLength(3)
})

test('the graceful shutdown lets the running handler end', async () => {
  expect(await output('examples/graceful-shutdown.js')).toContain('1 handler begun, 1 ended, the client is closed')
})

test('the probes: a blocked queue takes no process away', async () => {
  expect((await output('examples/probes.js')).trim().split('\n')).toEqual([
    'not started: live 200, ready 503',
    'running: live 200, ready 200',
    'a queue is blocked: live 200, ready 200',
    'and goes on: live 200, ready 200',
    'closed: live 200, ready 503',
  ])
})

test('the loop ends behind its work, which comes again', async () => {
  const text = await output('examples/loop.js')
  expect(text.match(/^the loop has ended, the client is closed$/gm)).toHaveLength(2)
  expect(text).toContain('created, paid, packed, packed, shipped')
})

test('the one in TypeScript compiles and runs', async () => {
  // Inside the package, whose name it imports; a folder of its own, since another worker may do the same.
  const folder = `target/examples-${process.pid}`
  await run([require.resolve('typescript/bin/tsc'), '--project', 'examples', '--outDir', folder])
  expect(await output(`${folder}/typescript.js`)).toContain("{ id: 'order-1', step: 4 }")
})
