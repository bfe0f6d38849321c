'use strict'
// What `jest --detectOpenHandles` says in the project of a user who has forgotten to close something.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { PLAIN_ENV } = require('../support/plain-env')

const ROOT = path.resolve(__dirname, '../..')

const IMPORTS = `
const { Producer, PushConsumer } = require('rocketmq-orderly')
const { TestBroker } = require('rocketmq-orderly/testing')
let broker, producer, consumer
beforeAll(async () => {
  broker = await TestBroker.start({ topics: ['orders'] })
  producer = await new Producer({ groupId: 'GID_shop', nameServer: broker.nameServer }).start()
  consumer = new PushConsumer({ groupId: 'GID_billing', nameServer: broker.nameServer, commitIntervalMs: 20 })
  await consumer.subscribe('orders', () => {}).start() // the consumer starts here
})
test('an order is handled', async () => {
  await producer.sendOrderly({ topic: 'orders', body: 'paid' }, 'order-4711')
  await broker.caughtUp('GID_billing')
  await expect(new Producer({ groupId: 'GID_failed', nameServer: '127.0.0.1:1', startTimeoutMs: 300 , topics: ['x']}).start()).rejects.toThrow()
})
`

let project

beforeAll(() => {
  project = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'open-handles-')))
  fs.writeFileSync(path.join(project, 'package.json'), '{}')
  // Copied, as an installation does: frames of what lies in node_modules Jest does not show as the user's.
  const installed = path.join(project, 'node_modules/rocketmq-orderly')
  for (const name of ['package.json', 'index.js', 'testing.js', 'src/js']) {
    const filter = (file) => !file.endsWith('.node')
    fs.cpSync(path.join(ROOT, name), path.join(installed, name), { recursive: true, filter })
  }
  for (const name of fs.readdirSync(path.join(ROOT, 'src/js')).filter((file) => file.endsWith('.node'))) {
    fs.symlinkSync(path.join(ROOT, 'src/js', name), path.join(installed, 'src/js', name))
  }
})
afterAll(() => fs.rmSync(project, { recursive: true }))

/** What Jest says of a test file whose last hook closes what is given. */
async function report(...closed) {
  const hook = `afterAll(async () => { ${closed.map((name) => `await ${name}.close();`).join(' ')} })`
  fs.writeFileSync(path.join(project, 'orders.test.js'), IMPORTS + hook)
  const jest = [require.resolve('jest/bin/jest'), '--ci', '--detectOpenHandles', '--forceExit']
  return new Promise((resolve) => {
    execFile(process.execPath, jest, { cwd: project, env: PLAIN_ENV }, (_error, _stdout, stderr) => resolve(stderr))
  })
}
const named = (said) => [...said.matchAll(/● +(.*)$/gm)].map(([, name]) => name)

test('names what is open, and shows where it was started', async () => {
  const said = await report('producer')
  expect(said).toMatch(/^Tests: +1 passed, 1 total$/m)
  // Beside the callbacks of the native side, of which Jest knows that they are open.
  const ours = named(said).filter((name) => name !== 'napi_rs_threadsafe_function')
  expect(ours.sort()).toEqual(['RocketMQ PushConsumer (GID_billing)', 'RocketMQ TestBroker'])
  expect(said).toMatch(/^ *> .*the consumer starts here$/m)
})

test('names nothing when all is closed', async () => {
  const said = await report('consumer', 'producer', 'broker')
  expect(said).toMatch(/^Tests: +1 passed, 1 total$/m)
  expect(named(said)).toEqual([])
})
