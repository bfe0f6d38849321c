'use strict'
// The documents' code, word for word but for the name server's address, as ES modules in processes of their own.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const ts = require('typescript')
const { TestBroker } = require('../../testing')
const { LineProcess } = require('../support/child-process')
const { ROOT, allBlocks, block, blocks } = require('../support/documents')
const { PLAIN_ENV } = require('../support/plain-env')
const { until } = require('../support/until')

let project
const open = []

beforeAll(() => {
  project = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'documents-run-')))
  fs.mkdirSync(path.join(project, 'node_modules'))
  fs.symlinkSync(ROOT, path.join(project, 'node_modules/rocketmq-orderly'))
})
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})
afterAll(() => fs.rmSync(project, { recursive: true }))

async function testBroker(options) {
  const broker = await TestBroker.start(options)
  open.push(() => broker.close())
  return broker
}

/**
 * Starts a block as a program. What it leaves out is in a module of `reader`, which it finds as globals; that module's `after`
 * runs behind it and gets what the block defines.
 * @param {import('../support/documents').Block} piece
 * @param {{ broker?: TestBroker, reader?: string, defines?: string, env?: Record<string, string> }} [options]
 */
function start({ document, line, code }, { broker, reader, defines, env = {} } = {}) {
  const source = broker ? code.replace(/'(?:127\.0\.0\.1|10\.0\.0\.\d):9876[^']*'/, `'${broker.nameServer}'`) : code
  const compilerOptions = { module: ts.ModuleKind.ES2022, target: ts.ScriptTarget.ES2022 }
  const name = `${document.replaceAll('/', '+')}+${line}`
  const whole = defines ? `${source}\nexport { ${defines} }` : source
  const { outputText } = ts.transpileModule(whole, { compilerOptions, fileName: `${name}.mts` })
  fs.writeFileSync(path.join(project, `${name}.mjs`), outputText)
  const before = reader ? `import * as reader from ${JSON.stringify(pathToFileURL(reader))}\n` : 'const reader = {}\n'
  const main = `${before}const piece = await import('./${name}.mjs')
console.log('through')
await reader.after?.(piece)
`
  fs.writeFileSync(path.join(project, `${name}.main.mjs`), main)
  const child = spawn(process.execPath, [path.join(project, `${name}.main.mjs`)], {
    env: { ...PLAIN_ENV, ...(broker && { ROCKETMQ_NAMESRV: broker.nameServer }), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const program = new LineProcess(child)
  open.push(() => program.kill9())
  return program
}

const reader = (name) => path.join(__dirname, 'reader', `${name}.mjs`)

/** Waits for the end of a program that ends well, by itself. */
async function ended(program) {
  const { code, signal } = await program.ended
  if (code !== 0) throw new Error(`The program ended with ${code ?? signal}: ${program.errors}`)
}

/** A new group begins with what is sent once it has looked where a queue ends. */
const beginsIn = (broker, topic) =>
  until(() =>
    broker.offsets('GID_billing').some(({ queue, committedOffset }) => queue.topic === topic && committedOffset >= 0),
  )

const texts = async (broker, topic) => (await broker.messages(topic)).map(({ body }) => body.toString())

test('README: its first program is plain JavaScript, which runs as it stands, without a broker, and ends', async () => {
  const { code } = block('README.md', 'rocketmq-orderly')
  const file = path.join(project, 'first.mjs')
  fs.writeFileSync(file, code)
  const env = { ...PLAIN_ENV, ROCKETMQ_NAMESRV: undefined, NAMESRV_ADDR: undefined }
  const program = new LineProcess(
    spawn(process.execPath, [file], { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'] }),
  )
  open.push(() => program.kill9())
  await ended(program)
  expect(program.errors).toBe('')
  expect(program.lines.map(({ text }) => text)).toEqual(
    ['created', 'paid', 'shipped'].map((step) => `order-4711 ${step}`),
  )
})

test('no piece of the documents needs a newer Node.js than the package does', () => {
  // `using` is younger than Node.js 20 and 22; TypeScript and bundlers translate it, and a reader who runs a piece as it stands has neither.
  const younger = allBlocks().filter(({ language, code }) => language === 'ts' && /^\s*(?:await )?using /m.test(code))
  expect(younger).toEqual([])
})

test('README: a producer with credentials', async () => {
  const credentials = { accessKey: 'test-key', secretKey: 'test-secret' }
  const broker = await testBroker({ topics: ['orders'], credentials })
  const env = { ACCESS_KEY: credentials.accessKey, SECRET_KEY: credentials.secretKey }
  await ended(start(block('README.md', 'Produce'), { broker, env }))
  expect(await broker.messages('orders')).toMatchObject([{ tags: 'paid', keys: ['4711'], shardingKey: 'order-4711' }])
})

test('README: many messages', async () => {
  const broker = await testBroker({ topics: ['orders'] })
  await ended(start(block('README.md', 'Produce', 2), { broker, reader: reader('many-messages') }))
  const thrice = [1, 2, 3].flatMap(() => [...Array(100).keys()])
  for (const order of ['order-0', 'order-1', 'order-2']) {
    const stored = (await broker.messages('orders')).filter(({ shardingKey }) => shardingKey === order)
    expect(stored.map(({ body }) => JSON.parse(body.toString()).row)).toEqual(
      thrice.filter((row) => `order-${row % 3}` === order),
    )
  }
})

test('README: a consumer, until SIGTERM', async () => {
  const broker = await testBroker({ topics: { orders: 1 } })
  const program = start(block('README.md', 'Consume'), { broker, reader: reader('consume') })
  await program.line(({ text }) => text === 'through', { what: 'its start' })
  const publish = (order, tags) => broker.publish({ topic: 'orders', body: JSON.stringify(order), tags }, 'order-1')
  await publish({ id: 1, step: 'created' }, 'created')
  await publish({ id: 2, step: 'unwanted' }, 'other')
  await publish({ step: 'no id' }, 'paid')
  await publish({ id: 3, step: 'fails once' }, 'paid')
  await publish({ id: 4, step: 'locked once' }, 'created')
  await broker.caughtUp('GID_billing', { timeoutMs: 60_000 })
  program.kill('SIGTERM')
  await ended(program)
  expect(program.lines.filter(({ booked }) => booked).map(({ booked }) => booked)).toEqual([
    'created',
    'fails once',
    'locked once',
  ])
  expect(program.lines.filter(({ warned }) => warned).map(({ warned }) => warned)).toEqual([1000, 5000])
  expect(await texts(broker, '%DLQ%GID_billing')).toEqual(['{"step":"no id"}'])
  await until(() => broker.members('GID_billing').length === 0)
}, 120_000)

test('README: a loop', async () => {
  const broker = await testBroker({ topics: { orders: 1 } })
  const program = start(block('README.md', 'Consume', 2), { broker })
  await beginsIn(broker, 'orders')
  for (const step of ['created', 'paid']) await broker.publish({ topic: 'orders', body: step }, 'order-1')
  await program.line(({ text }) => text === 'order-1 paid', { what: 'the second message' })
  expect(program.lines.map(({ text }) => text)).toEqual(['order-1 created', 'order-1 paid'])
})

test('docs/operations.md: a loop, until SIGTERM', async () => {
  const broker = await testBroker({ topics: { orders: 1 } })
  const program = start(block('docs/operations.md', 'A loop'), { broker })
  await beginsIn(broker, 'orders')
  await broker.publish({ topic: 'orders', body: 'paid', tags: 'paid' }, 'order-1')
  await program.line(({ text }) => text === 'order-1 paid', { what: 'the message' })
  await broker.caughtUp('GID_billing')
  program.kill('SIGTERM')
  await ended(program)
  expect(program.lines.map(({ text }) => text)).toEqual(['order-1 paid', 'closed', 'through'])
})

test('README: a service and its test', async () => {
  const program = start(block('README.md', 'Test your service'), { reader: reader('service') })
  await ended(program)
  expect(program.lines).toContainEqual({ booked: 4711 })
})

test('docs/ordering.md: sent again from the first failure on, in order', async () => {
  const broker = await testBroker({ topics: { orders: 1 } })
  const refused = broker.fault({ request: 'send', answer: 2, remark: '[TIMEOUT_CLEAN_QUEUE] busy', nth: 2, times: 20 })
  const program = start(block('docs/ordering.md', 'The fence'), {
    broker,
    reader: reader('send-all'),
    defines: 'sendAll',
  })
  await program.line(({ rejected }) => rejected !== undefined, { what: 'a failure' })
  await until(() => refused.hits > 1, { what: 'sends that are refused' })
  refused.remove()
  await ended(program)
  // Where nobody knew whether a message was stored, it may be there twice; none is behind its successors.
  const firstCopies = [...new Set(await texts(broker, 'orders'))]
  expect(firstCopies).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`))
})

test('docs/ordering.md: a function chooses the queues of each region', async () => {
  const broker = await testBroker({ topics: { orders: 8 } })
  const piece = block('docs/ordering.md', 'A sharding key has one queue')
  const program = start(piece, { broker, reader: reader('sharding'), defines: 'producer' })
  await ended(program)
  expect(program.lines.slice(1)).toEqual([
    ...['eu', 'us', 'cn', 'ap'].map((region, i) => ({ region, queueId: 2 * i })),
    { code: 'ERR_ROCKETMQ_INVALID_ARGUMENT' },
  ])
})

test('docs/operations.md: dead letters are sent again', async () => {
  const broker = await testBroker({ topics: ['orders'] })
  const program = start(block('docs/operations.md', 'The dead-letter queue'), { broker, reader: reader('repair') })
  await until(async () => (await texts(broker, 'orders')).length === 3, { what: 'the message, again' })
  program.kill('SIGTERM')
  await program.ended
  // Behind its successors, under an id of its own.
  expect(await texts(broker, 'orders')).toEqual(['no order', 'its successor', 'no order'])
  const [first, , second] = await broker.messages('orders')
  const { body, tags, keys, shardingKey } = first
  expect(second).toMatchObject({ body, tags, keys, shardingKey, properties: { mine: 'too' } })
  expect(second.msgId).not.toBe(first.msgId)
})

test('docs/testing.md: access control', async () => {
  const program = start(block('docs/testing.md', 'Access control'))
  await program.line(({ text }) => text === 'through', { what: 'its end' })
})

test('the types: a producer, a consumer and a test broker', async () => {
  const broker = await testBroker({ topics: ['orders'] })
  const [ofProducer, ofConsumer] = blocks('index.d.ts')
  const consumer = start(ofConsumer, { broker })
  await consumer.line(({ text }) => text === 'through', { what: 'its start' })
  const producer = start(ofProducer, { broker })
  await ended(producer)
  expect(producer.lines[0].text).toMatch(/^[0-3] 0$/)
  await consumer.line(({ text }) => text === 'order-4711 paid', { what: 'the message' })
  consumer.kill('SIGTERM')
  await ended(consumer)

  const [ofTestBroker] = blocks('testing.d.ts')
  const program = start(ofTestBroker)
  await ended(program)
  expect(program.lines).toContainEqual({ id: 1 })
})
