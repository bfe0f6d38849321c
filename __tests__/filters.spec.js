'use strict'
// What a consumer subscribes is what it gets, whatever other members of its group announce; and members that differ are told of.
const { PushConsumer } = require('..')
const { admin, backend, clients, createTopic, foreignMember, startProducer, uniqueGroup, until } = require('./support')
const { subscriptionData } = require('./support/member')

const CODE = { GET_CONSUMER_CONNECTION_LIST: 203, GET_CONSUMER_RUNNING_INFO: 307 }
/** Of a clock that is ahead. */
const AHEAD_MS = 60_000
/** A held pull that nothing wakes is answered after this. */
const POLL_MS = 15_000
const CREATED_OR_PAID = 'created || paid'

/** Members are sorted by their client id, which ends with `name`: of a topic with one queue, the first owns it. */
function consumer(name, groupId, topic, expression) {
  const options = {
    groupId,
    nameServer: backend.nameServer,
    instanceName: `${name}-${groupId}`,
    initialPosition: 'first',
  }
  const client = clients.add(new PushConsumer(options))
  client.seen = []
  client.warnings = []
  client.on('warning', ({ code, message }) => client.warnings.push({ code, message }))
  return client.subscribe(topic, (message) => void client.seen.push(message.text()), expression)
}

const isRunning = (client) => client.assignment().some(({ state }) => state === 'running')

const store = (topic, body, properties) => admin.send(topic, 0, body, { properties: { TAGS: body, ...properties } })

/** What the broker keeps for the group: who pulls without an expression of its own gets that. */
async function kept(group, topic) {
  const ext = { consumerGroup: group }
  const address = await admin.addressOf({})
  const { body } = await admin.request(address, CODE.GET_CONSUMER_CONNECTION_LIST, ext)
  return JSON.parse(body.toString()).subscriptionTable[topic]?.subString
}

/** A member that says what it subscribes when it is asked, as Java's client does. */
function talkative(group, clientId, wanted) {
  const body = Buffer.from(
    JSON.stringify({ mqTable: {}, properties: {}, subscriptionSet: wanted.map(subscriptionData) }),
  )
  return foreignMember({
    group,
    clientId,
    topics: wanted,
    onRequest: ({ code }) => (code === CODE.GET_CONSUMER_RUNNING_INFO ? { body } : undefined),
  })
}

const told = (client, ...parts) =>
  client.warnings.filter(({ message }) => parts.every((part) => message.includes(part)))
const problem = (client) => client.health().problems.find(({ code }) => code === 'ERR_ROCKETMQ_FILTER')

describe('a consumer gets what it subscribes', () => {
  test('while a new member announces less, and after that one has left', async () => {
    const [topic, group] = [await createTopic({ queues: 1 }), uniqueGroup()]
    const old = await consumer('a', group, topic, CREATED_OR_PAID).start()
    await until(() => isRunning(old))
    const fresh = await consumer('b', group, topic, 'created').start()
    expect(await kept(group, topic)).toBe('created')
    await store(topic, 'paid')
    await until(() => old.seen.length === 1)
    await fresh.close()
    expect(await kept(group, topic)).toBe('created')
    for (const tag of ['created', 'sent', 'paid']) await store(topic, tag)
    await until(() => old.seen.length >= 3)
    expect(old.seen).toEqual(['paid', 'created', 'paid'])
  })

  test('from its first pull on, with a clock behind that of a member with another filter', async () => {
    const [topic, group] = [await createTopic({ queues: 1 }), uniqueGroup()]
    for (const tag of ['created', 'paid', 'sent', 'paid']) await store(topic, tag)
    const wanted = { topic, expression: 'created', version: Date.now() + AHEAD_MS }
    await foreignMember({ group, clientId: 'zzz', topics: [wanted] })
    const client = await consumer('a', group, topic, CREATED_OR_PAID).start()
    await until(() => client.seen.length >= 3)
    await store(topic, 'created')
    await until(() => client.seen.length >= 4)
    expect(client.seen).toEqual(['created', 'paid', 'paid', 'created'])
    expect(await kept(group, topic)).toBe('created')
  })

  test('by conditions and by tags, whatever kind of filter another member announces', async () => {
    const topic = await createTopic({ queues: 1 })
    const [byCondition, byTags] = [uniqueGroup(), uniqueGroup()]
    for (const [tag, n] of Object.entries({ created: '1', paid: '2', sent: '3' })) await store(topic, tag, { n })
    const version = Date.now() + AHEAD_MS
    const condition = { topic, expression: 'n = 3', kind: 'SQL92', version }
    await foreignMember({ group: byCondition, clientId: 'zzz', topics: [condition] })
    await foreignMember({ group: byTags, clientId: 'zzz', topics: [condition] })
    const first = await consumer('a', byCondition, topic, { sql92: 'n <= 2' }).start()
    const second = await consumer('a', byTags, topic, CREATED_OR_PAID).start()
    await until(() => first.seen.length >= 2 && second.seen.length >= 2)
    await store(topic, 'paid', { n: '1' })
    await until(() => first.seen.length >= 3 && second.seen.length >= 3)
    expect([first.seen, second.seen]).toEqual([
      ['created', 'paid', 'paid'],
      ['created', 'paid', 'paid'],
    ])
  })

  test('at once, though another filter was announced while its pull was held', async () => {
    const [topic, group] = [await createTopic({ queues: 1 }), uniqueGroup()]
    const client = await consumer('a', group, topic, CREATED_OR_PAID).start()
    await until(() => isRunning(client))
    await store(topic, 'paid')
    await until(() => client.seen.length === 1)
    const wanted = { topic, expression: 'created', version: Date.now() + AHEAD_MS }
    await foreignMember({ group, clientId: 'zzz', topics: [wanted] })
    const began = performance.now()
    await store(topic, 'paid')
    await until(() => client.seen.length === 2)
    expect(performance.now() - began).toBeLessThan(POLL_MS * 0.8)
  })
})

describe('members that differ', () => {
  test('are told of on each side, once, and are a problem until one has left', async () => {
    const [topic, group] = [await createTopic({ queues: 2 }), uniqueGroup()]
    const old = await consumer('a', group, topic, CREATED_OR_PAID).start()
    const fresh = await consumer('b', group, topic, 'created').start()
    const members = await admin.members(group)
    await until(() => problem(old) && problem(fresh), { what: 'a problem on each side' })
    for (const [client, other] of [
      [old, members.find((id) => id.includes('@b-'))],
      [fresh, members.find((id) => id.includes('@a-'))],
    ]) {
      expect(client.health().ok).toBe(false)
      expect(problem(client)).toMatchObject({ name: 'RocketMQError', topic })
      for (const part of [other, group, `'${CREATED_OR_PAID}'`, "'created'"])
        expect(problem(client).message).toContain(part)
      await until(() => client.warnings.length > 0)
      expect(client.warnings).toEqual([{ code: 'ERR_ROCKETMQ_FILTER', message: problem(client).message }])
    }
    await fresh.close()
    await until(() => old.health().ok, { what: () => `health: ${JSON.stringify(old.health())}` })
    expect(old.warnings).toHaveLength(1)
  })

  test('are found though the broker keeps our expression, and where a topic is missing on one side', async () => {
    const [topic, more, group] = [await createTopic({ queues: 1 }), await createTopic({ queues: 1 }), uniqueGroup()]
    const other = await talkative(group, 'zzz', [{ topic, expression: 'sent', version: 1 }, more])
    const client = await consumer('a', group, topic, CREATED_OR_PAID).start()
    expect(await kept(group, topic)).toBe(CREATED_OR_PAID)
    await until(() => client.warnings.length >= 2)
    expect(told(client, 'member zzz', topic, "'sent'", `'${CREATED_OR_PAID}'`)).toHaveLength(1)
    expect(told(client, 'member zzz', more, 'this consumer does not')).toHaveLength(1)
    await other.leave()
    await until(() => client.health().ok)
    expect(client.warnings).toHaveLength(2)
  })

  test('are found by what the broker keeps, where they do not answer', async () => {
    const [topic, group] = [await createTopic({ queues: 1 }), uniqueGroup()]
    const client = await consumer('a', group, topic, CREATED_OR_PAID).start()
    const wanted = { topic, expression: 'created', version: Date.now() + AHEAD_MS }
    const other = await foreignMember({ group, clientId: 'zzz', topics: [wanted] })
    await until(() => problem(client))
    for (const part of ['zzz, which does not tell', "'created'", `'${CREATED_OR_PAID}'`])
      expect(problem(client).message).toContain(part)
    await other.leave()
    await until(() => client.health().ok)
  })

  test('only in how they write it do not differ', async () => {
    const [topic, group] = [await createTopic({ queues: 1 }), uniqueGroup()]
    const client = await consumer('a', group, topic, CREATED_OR_PAID).start()
    const other = await talkative(group, 'zzz', [{ topic, expression: 'paid||created' }])
    const questions = () => other.requests.filter(({ code }) => code === CODE.GET_CONSUMER_RUNNING_INFO).length
    await until(() => questions() > 0)
    // A second member, so that the first has looked again.
    const another = await talkative(group, 'zzzz', [{ topic, expression: ' created || paid || paid ' }])
    await until(() => another.requests.some(({ code }) => code === CODE.GET_CONSUMER_RUNNING_INFO))
    await until(() => isRunning(client))
    expect([questions(), client.warnings, client.health()]).toEqual([1, [], { ok: true, problems: [] }])
  })
})

test('a received message is forwarded with whatever tag it has, which no send of ours could have', async () => {
  const [topic, target] = [await createTopic({ queues: 1 }), await createTopic({ queues: 1 })]
  const producer = await startProducer()
  const group = uniqueGroup()
  const options = { groupId: group, nameServer: backend.nameServer, initialPosition: 'first' }
  const client = clients.add(new PushConsumer(options)).subscribe(topic, async (message) => {
    message.topic = target
    await producer.sendOrderly(message, 'k')
  })
  await client.start()
  await store(topic, 'a || b')
  const [stored] = await admin.readBack(target, { expected: 1 })
  expect(stored).toMatchObject({ body: Buffer.from('a || b'), tags: 'a || b' })
})
