'use strict'
// ROCKETMQ_ORDERLY_HISTORY: what clients write down of what they do.
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { backend, childProcess, createTopic, uniqueGroup } = require('./support')
const { now } = require('./support/time')

jest.setTimeout(120_000)

let folder
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'history-'))))
afterEach(() => fs.rmSync(folder, { recursive: true }))

const script = (topic, file, ...more) =>
  childProcess('support/recorded.js', [backend.nameServer, uniqueGroup(), topic, ...more], {
    env: { ROCKETMQ_ORDERLY_HISTORY: file },
  })
const handled = (child) => child.line(({ event }) => event === 'handled' || event === 'failed')

/** The lines of each client of the file. */
function read(file) {
  const clients = new Map()
  const text = fs.readFileSync(file, 'utf8')
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.trimEnd().split('\n').map(JSON.parse)) {
    clients.set(line.by, [...(clients.get(line.by) ?? []), line])
  }
  return [...clients.values()]
}

const of = (lines, ...events) => lines.filter(({ e }) => events.includes(e))

test('clients of several processes append to one file, each its own story', async () => {
  const topic = await createTopic({ queues: 1 })
  const file = path.join(folder, 'history')
  const began = now()
  const first = script(topic, file)
  const { msgIds, clientIds } = await handled(first)
  await first.ended
  const one = read(file)
  const [producer, consumer] = ['producer', 'consumer'].map((role) => one.find(([{ role: own }]) => own === role))
  expect([one.length, producer[0].client, consumer[0].client]).toEqual([2, ...clientIds])

  for (const lines of one) {
    expect(lines[0]).toMatchObject({ e: 'hello', version: 1, boot: expect.stringMatching(/^[0-9a-f-]{36}$/) })
    expect(lines[0].by).toMatch(/^[0-9a-f]{8}$/)
    expect(lines.at(-1).e).toBe('closed')
    const times = lines.map(({ t }) => t)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect([times[0] >= began, times.at(-1) <= now()]).toEqual([true, true])
  }
  expect(of(producer, 'submit').map(({ ids: [id] }) => id)).toEqual(msgIds)
  expect(of(producer, 'submit').map(({ key }) => key)).toEqual(['even', 'odd', 'even', 'odd', 'even', 'odd'])
  expect(of(producer, 'wire').flatMap(({ sends }) => sends)).toEqual([1, 2, 3, 4, 5, 6])
  expect(of(producer, 'answer').every(({ outcome }) => outcome.stored)).toBe(true)
  expect(of(producer, 'settle').map(({ outcome }) => outcome.stored.offset)).toEqual([0, 1, 2, 3, 4, 5])

  const queue = of(producer, 'wire')[0].queue
  expect(queue).toBe(`${topic}@${queue.split('@')[1]}`)
  const own = consumer.filter((line) => line.queue === queue)
  const tenure = of(own, 'lock', 'position')
  expect(tenure.map(({ e, offset }) => [e, offset])).toEqual([
    ['lock', undefined],
    ['position', 0],
  ])
  // 4.9 says of a young queue that 0 is committed.
  expect(['initial', 'committed']).toContain(tenure[1].why)
  expect(of(own, 'start', 'end').map(({ e, offset, outcome, attempt }) => [e, offset, outcome ?? attempt])).toEqual([
    ['start', 0, 1],
    ['end', 0, 'success'],
    ['start', 1, 1],
    ['end', 1, 'failure'],
    ['start', 1, 2],
    ['end', 1, 'success'],
    ...[2, 3, 4, 5].flatMap((offset) => [
      ['start', offset, 1],
      ['end', offset, 'success'],
    ]),
  ])
  expect(of(own, 'commit').at(-1)).toMatchObject({ offset: 6, phase: 'done' })
  const last = of(own, 'revoked', 'unlock').map(({ e, phase }) => phase ?? e)
  expect(last).toEqual(['revoked', 'sent', 'done'])

  const second = script(topic, file)
  await handled(second)
  await second.ended
  expect(read(file).length).toBe(4)
  const text = fs.readFileSync(file, 'utf8')
  const secrets = ['the-body', 'the-value', 'the-tag', 'the-key', 'the-access-key', 'the-secret-key', 'the-token']
  expect(secrets.filter((secret) => text.includes(secret))).toEqual([])
})

test('of a killed process everything is there that has happened', async () => {
  const topic = await createTopic({ queues: 1 })
  const file = path.join(folder, 'history')
  const child = script(topic, file, 'stay')
  await handled(child)
  await child.kill9()
  const clients = read(file)
  expect(clients.flatMap((lines) => of(lines, 'closed'))).toEqual([])
  const lines = clients.find(([{ role }]) => role === 'consumer')
  expect(of(lines, 'end').at(-1)).toMatchObject({ offset: 5, outcome: 'success', counted: true })
})

test('a file that cannot be opened is named, and nothing starts', async () => {
  const topic = await createTopic({ queues: 1 })
  const file = path.join(folder, 'missing', 'history')
  const { code, text } = await handled(script(topic, file))
  expect(code).toBe('ERR_ROCKETMQ_INVALID_ARGUMENT')
  expect(text).toContain(`ROCKETMQ_ORDERLY_HISTORY: ${file} cannot be opened for writing: No such file`)
})

test('a file that cannot be written is one warning of each client, and stops nothing', async () => {
  const topic = await createTopic({ queues: 1 })
  const child = script(topic, '/dev/full')
  expect((await handled(child)).event).toBe('handled')
  await child.ended
  const warnings = child.lines.filter(({ event }) => event === 'warning')
  expect(warnings.length).toBe(2)
  for (const { text } of warnings) expect(text).toContain('the history in /dev/full cannot be written')
})
