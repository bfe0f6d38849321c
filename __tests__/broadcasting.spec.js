'use strict'
// Broadcasting: every member handles every message, in order per queue, without locks, and keeps its own offsets, in a file if it is given one.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { PushConsumer, deadLetter } = require('..')
const {
  admin,
  backend,
  childProcess,
  clients,
  createTopic,
  foreignMember,
  startProducer,
  uniqueGroup,
  until,
} = require('./support')

const CODE = { GET_CONSUMER_CONNECTION_LIST: 203 }
const QUEUES = [0, 1, 2, 3]

let folder
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'offsets-'))))
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

async function fill(topic, from, count) {
  const producer = await startProducer()
  const sends = Array.from({ length: count }, (_, i) =>
    producer.sendOrderly({ topic, body: `${from + i}` }, `key-${(from + i) % 16}`),
  )
  return Promise.all(sends)
}

/** A member, and what it was given: [queue, offset] in order of the calls. */
function member(groupId, topic, options = {}, handle = () => {}) {
  const defaults = { nameServer: backend.nameServer, initialPosition: 'first', commitIntervalMs: 100, suspendMs: 50 }
  const client = clients.add(new PushConsumer({ ...defaults, groupId, messageModel: 'broadcasting', ...options }))
  const seen = []
  const warnings = []
  client.on('warning', (error) => warnings.push(error))
  client.subscribe(topic, (message) => {
    seen.push([message.queue.queueId, message.queueOffset])
    return handle(message)
  })
  return { client, seen, warnings }
}

/** Whether these calls went through each queue from `from` on, one offset after the other. */
function expectEveryOffset(seen, from = {}) {
  for (const id of QUEUES) {
    const offsets = seen.filter(([queueId]) => queueId === id).map(([, offset]) => offset)
    expect(offsets).toEqual(offsets.map((_, i) => (from[id] ?? 0) + i))
  }
}

const readOffsets = (file) =>
  Object.fromEntries(JSON.parse(fs.readFileSync(file)).offsets.map(({ queueId, offset }) => [queueId, offset]))

async function atBroker(group) {
  const address = backend.brokers[0].address
  const { body } = await admin.request(address, CODE.GET_CONSUMER_CONNECTION_LIST, { consumerGroup: group })
  return JSON.parse(body.toString())
}

test('every member handles everything, in order per queue; brokers see no lock, no commit and no retry topic', async () => {
  const topic = await createTopic({ queues: 4 })
  await fill(topic, 0, 200)
  const group = uniqueGroup()
  const members = [member(group, topic), member(group, topic)]
  await Promise.all(members.map(({ client }) => client.start()))
  await until(() => members.every(({ seen }) => seen.length === 200), {
    what: () => members.map(({ seen }) => seen.length).join(' and '),
  })
  for (const { seen } of members) expectEveryOffset(seen)
  expect(await admin.lockProbe(group, topic, QUEUES)).toEqual(QUEUES)
  // 4.9 answers 0 for nothing.
  for (const id of QUEUES) expect([undefined, 0]).toContain(await admin.committedOffset(group, topic, id))
  const { messageModel, subscriptionTable, connectionSet } = await atBroker(group)
  expect([messageModel, Object.keys(subscriptionTable), connectionSet.length]).toEqual(['BROADCASTING', [topic], 2])
  const [{ client }, other] = members
  await until(() => client.stats().lag === 0, { what: () => JSON.stringify(client.assignment()) })
  expect(client.assignment().map(({ queueId, state }) => [queueId, state])).toEqual(QUEUES.map((id) => [id, 'running']))
  expect(client.health()).toEqual({ ok: true, problems: [] })
  // Nobody's queues change with who comes and goes.
  await client.close()
  await fill(topic, 200, 40)
  await until(() => other.seen.length === 240)
  expectEveryOffset(other.seen)
  expect(await admin.lockProbe(group, topic, QUEUES)).toEqual(QUEUES)
})

test('with a file a consumer goes on where the one before has ended, however often', async () => {
  const topic = await createTopic({ queues: 4 })
  const group = uniqueGroup()
  const offsetFile = path.join(folder, 'offsets.json')
  let sent = 0
  const before = {}
  for (let round = 0; round < 3; round++) {
    const { client, seen } = member(group, topic, { offsetFile, initialPosition: 'first' })
    await client.start()
    await fill(topic, sent, 50)
    sent += 50
    await until(() => seen.length >= 20)
    await client.close()
    expectEveryOffset(seen, before)
    for (const [queueId, offset] of seen) before[queueId] = Math.max(before[queueId] ?? 0, offset + 1)
    expect(readOffsets(offsetFile)).toMatchObject(before)
  }
  const { client, seen } = member(group, topic, { offsetFile, initialPosition: 'last' })
  await client.start()
  const left = sent - Object.values(before).reduce((sum, offset) => sum + offset, 0)
  await until(() => seen.length === left, { what: () => `${seen.length} of ${left}` })
  expectEveryOffset(seen, before)
  expect(fs.readdirSync(folder).sort()).toEqual(['offsets.json', 'offsets.json.lock'])
  expect(JSON.parse(fs.readFileSync(offsetFile))).toMatchObject({
    format: 'rocketmq-orderly offsets',
    version: 1,
    group,
    namespace: null,
    offsets: expect.arrayContaining([expect.objectContaining({ topic, brokerName: backend.brokers[0].name })]),
  })
})

test('a process that is killed leaves a whole file, and nothing is skipped', async () => {
  const topic = await createTopic({ queues: 4 })
  await fill(topic, 0, 2_000)
  const group = uniqueGroup()
  const offsetFile = path.join(folder, 'offsets.json')
  const options = JSON.stringify({ messageModel: 'broadcasting', offsetFile, commitIntervalMs: 20 })
  const child = childProcess('integrity/member.js', [backend.nameServer, group, topic, '', 'queue', options])
  const handled = () => child.lines.filter(({ event }) => event === 'handled')
  await child.line(() => handled().length >= 500, { what: '500 messages' })
  // Two processes never share a file.
  const second = childProcess('integrity/member.js', [backend.nameServer, group, topic, '', 'queue', options])
  const { code, text } = await second.line(({ event }) => event === 'failed')
  expect(code).toBe('ERR_ROCKETMQ_OFFSET_FILE')
  expect(text).toContain(`in use by client`)
  expect(text).toContain(`process ${child.pid}`)
  await child.kill9()
  const kept = readOffsets(offsetFile)
  const done = {}
  for (const { queueId, offset } of handled()) done[queueId] = offset + 1
  for (const id of QUEUES) expect(kept[id]).toBeLessThanOrEqual(done[id] ?? 0)
  expect(Object.values(kept).reduce((sum, offset) => sum + offset, 0)).toBeGreaterThan(0)
  const { client, seen } = member(group, topic, { offsetFile })
  await client.start()
  const left = 2_000 - Object.values(kept).reduce((sum, offset) => sum + offset, 0)
  await until(() => seen.length === left, { what: () => `${seen.length} of ${left}` })
  expectEveryOffset(seen, kept)
})

test('a file that is torn, of another group, or in use is refused, and left as it is', async () => {
  const topic = await createTopic({ queues: 4 })
  await fill(topic, 0, 20)
  const [group, offsetFile] = [uniqueGroup(), path.join(folder, 'offsets.json')]
  const first = member(group, topic, { offsetFile })
  await first.client.start()
  await until(() => first.seen.length === 20)
  const inUse = member(group, topic, { offsetFile: path.join(folder, '.', 'offsets.json') })
  await expect(inUse.client.start()).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_OFFSET_FILE',
    retriable: true,
    message: expect.stringContaining(`${offsetFile}: it is in use by client ${first.client.clientId}`),
  })
  await first.client.close()
  // The same consumer may try again.
  await inUse.client.start()
  await inUse.client.close()
  expect(inUse.seen).toEqual([])
  const whole = fs.readFileSync(offsetFile)
  const other = member(uniqueGroup(), topic, { offsetFile })
  await expect(other.client.start()).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_OFFSET_FILE',
    message: expect.stringContaining(`belongs to group ${group}`),
  })
  for (const torn of [whole.subarray(0, whole.length / 2), Buffer.alloc(whole.length), Buffer.alloc(0)]) {
    fs.writeFileSync(offsetFile, torn)
    const { client, seen } = member(group, topic, { offsetFile })
    await expect(client.start()).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_OFFSET_FILE',
      retriable: false,
      message: expect.stringMatching(/torn.* Nothing was changed/),
    })
    expect([client.state, seen, fs.readFileSync(offsetFile)]).toEqual(['idle', [], torn])
  }
  const nowhere = member(group, topic, { offsetFile: path.join(folder, 'nowhere', 'offsets.json') })
  await expect(nowhere.client.start()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_OFFSET_FILE' })
  expect(fs.existsSync(path.join(folder, 'nowhere'))).toBe(false)
})

test('a failing handler holds its queue; what is given up is skipped with a warning, and is in no dead-letter queue', async () => {
  const topic = await createTopic({ queues: 4 })
  for (const body of ['a', 'again', 'never', 'd']) await admin.send(topic, 0, body)
  const group = uniqueGroup()
  const { client, seen, warnings } = member(group, topic, { maxReconsumeTimes: 2 }, (message) => {
    if (message.text() === 'again') throw new Error('not today')
    if (message.text() === 'never') return deadLetter('no use')
  })
  const dead = []
  client.on('deadLetter', (message) => dead.push(message))
  await client.start()
  await until(() => client.stats().consumed === 2)
  expect(seen.map(([, offset]) => offset)).toEqual([0, 1, 1, 1, 2, 3])
  expect(client.stats()).toMatchObject({ skipped: 2, deadLettered: 0, failed: 4, consumed: 2 })
  expect(dead).toEqual([])
  expect(warnings.map(({ code, message }) => [code, message])).toEqual([
    ['ERR_ROCKETMQ_HANDLER', expect.stringMatching(/offset 1 .*given up after attempt 3.*not today/)],
    ['ERR_ROCKETMQ_HANDLER', expect.stringMatching(/offset 2 .*given up after attempt 1/)],
  ])
  expect(await admin.queues(`%DLQ%${group}`)).toEqual([])
})

test('members whose models differ are warned of, whether they are ours or not', async () => {
  const topic = await createTopic({ queues: 4 })
  const group = uniqueGroup()
  const first = member(group, topic)
  const second = member(group, topic, { messageModel: 'clustering' })
  await first.client.start()
  await second.client.start()
  const told = ({ warnings }) => warnings.filter(({ code }) => code === 'ERR_ROCKETMQ_MESSAGE_MODEL')
  await until(() => told(first).length === 1 && told(second).length === 1, {
    what: () => JSON.stringify([first.warnings, second.warnings]),
  })
  expect(told(first)[0].message).toContain(`member ${second.client.clientId} of group ${group} is clustering`)
  expect(told(second)[0].message).toContain(`member ${first.client.clientId} of group ${group} is broadcasting`)
  const problems = second.client.health().problems.map(({ code }) => code)
  expect(problems).toContain('ERR_ROCKETMQ_MESSAGE_MODEL')
  await first.client.close()
  await second.client.close()

  // One that says so in nothing but its heartbeats: the broker shows the model of the last one.
  const alone = uniqueGroup()
  const third = member(alone, topic, { messageModel: 'clustering' })
  await third.client.start()
  await foreignMember({
    group: alone,
    clientId: 'foreign',
    topics: [topic, `%RETRY%${alone}`],
    messageModel: 'BROADCASTING',
  })
  expect((await atBroker(alone)).messageModel).toBe('BROADCASTING')
  await until(() => told(third).length === 1, { what: () => JSON.stringify(third.warnings) })
  expect(told(third)[0].message).toContain('member foreign')
})

test('an administrator reaches a broadcasting group as far as its broker lets him', async () => {
  const topic = await createTopic({ queues: 4 })
  await fill(topic, 0, 40)
  const group = uniqueGroup()
  const members = [member(group, topic), member(group, topic)]
  await Promise.all(members.map(({ client }) => client.start()))
  await until(() => members.every(({ seen }) => seen.length === 40))
  const resets = members.map(({ client }) => {
    const told = []
    client.on('offsetReset', (queue, detail) => told.push([queue.queueId, detail]))
    return told
  })
  if (backend.major === 4) {
    // It knows no offsets of the group, so there is nothing that it would move.
    await expect(admin.resetOffset(group, topic, 0)).rejects.toThrow(/not exist/)
  } else {
    // It keeps the new offset for whoever pulls first.
    await admin.resetOffset(group, topic, 0)
    await fill(topic, 40, 40)
    await until(() => members.every(({ seen }) => seen.length >= 80) && resets.flat().length === 4, {
      what: () => `${members.map(({ seen }) => seen.length)}, ${JSON.stringify(resets)}`,
    })
    const ids = resets.flat().map(([queueId]) => queueId)
    expect(ids.sort()).toEqual(QUEUES)
  }
  for (const { client } of members) expect(client.health().ok).toBe(true)
})
