'use strict'
const { Producer, PushConsumer } = require('..')
const { backend, clients, startCluster, uniqueGroup, uniqueTopic, until } = require('./support')

jest.setTimeout(400_000)

let cluster
let topic
beforeAll(async () => {
  cluster = await startCluster({ acl: true })
  topic = uniqueTopic()
  await cluster.admin.createTopic(topic, { queues: 4 })
})

const client = (Kind, options) =>
  clients.add(new Kind({ groupId: uniqueGroup(), nameServer: cluster.nameServer, startTimeoutMs: 30_000, ...options }))

/** Gives an account another secret, as whoever rotates it does. */
const rotate = (account, secretKey) =>
  cluster.admin.changeSecret(cluster.brokers[0].address, account, secretKey, {
    major: backend.major,
    isTestBroker: backend.testBroker,
  })

const logger = () => {
  const records = []
  const record = (level) => (fields, text) => records.push({ level, fields, text })
  return { records, info: record('info'), warn: record('warn'), error: record('error') }
}
const renewals = ({ records }) => records.filter(({ text }) => text === 'the credentials were renewed')

test('a rotation under load: nothing is lost or out of order, each client asks once and says so once', async () => {
  const { member } = cluster.accounts
  let secretKey = member.secretKey
  const asked = { producer: 0, consumer: 0 }
  const provider = (who) => async () => {
    asked[who]++
    await null
    return { ...member, secretKey }
  }
  const [sending, receiving] = [logger(), logger()]
  const producer = client(Producer, { topics: [topic], credentials: provider('producer'), logger: sending })
  await producer.start()
  const received = new Map()
  const consumer = client(PushConsumer, {
    initialPosition: 'first',
    credentials: provider('consumer'),
    logger: receiving,
    commitIntervalMs: 100,
  })
  consumer.subscribe(topic, ({ shardingKey, body }) => {
    received.set(shardingKey, [...(received.get(shardingKey) ?? []), Number(body)])
  })
  await consumer.start()
  const keys = Array.from({ length: 8 }, (_, i) => `key-${i}`)
  let sent = 0
  const sends = []
  const send = () => {
    for (const key of keys) sends.push(producer.sendOrderly({ topic, body: String(sent) }, key))
    sent++
  }
  const isOver = { value: false }
  const sender = (async () => {
    while (!isOver.value) {
      send()
      await new Promise((resolve) => setImmediate(resolve))
      if (sends.length % 512 === 0) await Promise.all(sends)
    }
  })()
  await until(() => received.get('key-0')?.length > 50)
  secretKey = 'another-secret-4'
  await rotate(member, secretKey)
  await until(() => renewals(sending).length > 0 && renewals(receiving).length > 0)
  const before = sent
  await until(() => sent > before + 50)
  isOver.value = true
  await sender
  await Promise.all(sends)
  await until(() => keys.every((key) => received.get(key)?.at(-1) === sent - 1))
  for (const key of keys) expect(received.get(key)).toEqual(Array.from({ length: sent }, (_, i) => i))
  expect(asked).toEqual({ producer: 2, consumer: 2 })
  expect([renewals(sending).length, renewals(receiving).length]).toEqual([1, 1])
  const { records } = sending
  expect(records.filter(({ level }) => level !== 'info')).toEqual([])
  expect(JSON.stringify([sending.records, receiving.records])).not.toContain(secretKey)
  await Promise.all([producer.close(), consumer.close()])
  await rotate(member, member.secretKey)
})

test('they are replaced before they end, without a refusal', async () => {
  let asked = 0
  const credentials = () => {
    asked++
    return { ...cluster.accounts.member, securityToken: `token-${asked}`, expiresAt: Date.now() + 2_000 }
  }
  const said = logger()
  const producer = await client(Producer, { topics: [topic], credentials, logger: said }).start()
  await until(() => asked >= 3)
  await producer.sendOrderly({ topic, body: 'x' }, 'key-0')
  expect(renewals(said).length).toBeGreaterThanOrEqual(1)
  expect(renewals(said)[0].fields).toMatchObject({ expiresAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) })
  expect(said.records.filter(({ level }) => level !== 'info')).toEqual([])
})

test('one that fails is a warning while the old ones do, then the cause of a refusal', async () => {
  const { member } = cluster.accounts
  const failure = new Error('the metadata service is away')
  let isAway = false
  const credentials = async () => {
    if (isAway) throw failure
    return { ...member, expiresAt: new Date(Date.now() + 3_000) }
  }
  const producer = client(Producer, { topics: [topic], credentials })
  const warnings = []
  producer.on('warning', (error) => warnings.push(error))
  await producer.start()
  isAway = true
  await until(() => warnings.length > 0)
  expect(warnings).toMatchObject([{ code: 'ERR_ROCKETMQ_ACCESS_DENIED', retriable: true }])
  expect(warnings[0].message).toContain('the metadata service is away')
  expect(warnings[0].cause).toBe(failure)
  await producer.sendOrderly({ topic, body: 'still good' }, 'key-0')
  await rotate(member, 'another-secret-5')
  const error = await producer.sendOrderly({ topic, body: 'refused' }, 'key-0').catch((reason) => reason)
  expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_ACCESS_DENIED', outcome: 'not-stored' })
  expect(error.cause).toBe(failure)
  await rotate(member, member.secretKey)
  await producer.sendOrderly({ topic, body: 'good again' }, 'key-0')
})

test.each([
  ['throws', () => Promise.reject(new Error('no role')), 'no role'],
  ['gives nothing', () => undefined, 'credentials: must be an object'],
  ['gives half of it', () => ({ accessKey: 'orderly-member' }), 'credentials.secretKey'],
  ['gives no time', () => ({ ...cluster.accounts.member, expiresAt: 'soon' }), 'credentials.expiresAt'],
])('a start whose function %s is refused at once', async (_, credentials, words) => {
  for (const Kind of [Producer, PushConsumer]) {
    const one = client(Kind, { credentials, startTimeoutMs: 60_000 })
    if (one instanceof PushConsumer) one.subscribe(topic, () => {})
    const error = await one.start().catch((reason) => reason)
    expect(error).toMatchObject({ code: 'ERR_ROCKETMQ_ACCESS_DENIED' })
    expect(String(error.cause?.message)).toContain(words)
  }
})

test('a function that does not answer is told of, and a start ends in its time', async () => {
  const producer = client(Producer, {
    topics: [topic],
    credentials: () => new Promise(() => {}),
    startTimeoutMs: 1_000,
  })
  const error = await producer.start().catch((reason) => reason)
  expect(error.message).toMatch(/startTimeoutMs|has not answered/)
  await producer.close()
})

test('those that end and are no function are told of', async () => {
  const credentials = { ...cluster.accounts.member, expiresAt: Date.now() + 2_000 }
  const producer = client(Producer, { topics: [topic], credentials })
  const warnings = []
  producer.on('warning', (error) => warnings.push(error.message))
  await producer.start()
  await until(() => warnings.length > 0)
  expect(warnings).toEqual([expect.stringMatching(/^the credentials end at .*: give a function that returns them$/)])
})
