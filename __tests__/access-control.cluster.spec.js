'use strict'
const util = require('node:util')
const { Producer, PushConsumer } = require('..')
const { clients, startCluster, uniqueGroup, uniqueTopic, until } = require('./support')

jest.setTimeout(400_000)

let cluster
let topic
beforeAll(async () => {
  cluster = await startCluster({ acl: true })
  topic = uniqueTopic()
  await cluster.admin.createTopic(topic, { queues: 4 })
})

const client = (Kind, credentials, options = {}) =>
  clients.add(
    new Kind({
      groupId: uniqueGroup(),
      nameServer: cluster.nameServer,
      credentials,
      startTimeoutMs: 10_000,
      ...options,
    }),
  )

/** Everything that a log or a debugger might show of these. */
const shown = (...values) =>
  values
    .map((value) => `${util.inspect(value, { depth: 9, showHidden: true })} ${JSON.stringify(value)} ${value}`)
    .join('\n')

test('with the right keys: sent, consumed in order, closed', async () => {
  const { member } = cluster.accounts
  const sender = await client(Producer, member, { topics: [topic] }).start()
  const received = []
  const receiver = client(PushConsumer, member, { initialPosition: 'first' }).subscribe(
    topic,
    (message) => void received.push(message.text()),
  )
  await receiver.start()
  await Promise.all(['a', 'b', 'c'].map((body) => sender.sendOrderly({ topic, body }, 'order-1')))
  await until(() => received.length >= 3)
  expect(received).toEqual(['a', 'b', 'c'])
  await receiver.close()
  await sender.close()
})

test("the sample's calls, with the channel of Alibaba Cloud signed along", async () => {
  const { member } = cluster.accounts
  const sender = clients.add(new Producer(uniqueGroup(), true))
  sender
    .setNameServerAddress(`http://${cluster.nameServer}`)
    .setSessionCredentials(member.accessKey, member.secretKey, 'ALIYUN')
  await sender.start()
  const result = await sender.sendOrderlyWithShardingKey({ topic, body: 'x' }, 'order-1')
  expect([result.status, result.msgId.length]).toEqual([0, 32])
  await sender.shutdown()
})

test('a security token is signed along: sent, and consumed', async () => {
  const credentials = { ...cluster.accounts.member, securityToken: 'a-token-of-sts' }
  const sender = await client(Producer, credentials, { topics: [topic] }).start()
  const { msgId } = await sender.sendOrderly({ topic, body: 'x' }, 'order-1')
  const received = []
  await client(PushConsumer, credentials, { initialPosition: 'first' })
    .subscribe(topic, (message) => void received.push(message.msgId))
    .start()
  await until(() => received.includes(msgId))
})

test.each([
  ['a wrong secret', ({ member }) => ({ ...member, secretKey: 'not-the-secret' }), 'the signature does not match'],
  ['an unknown key', ({ member }) => ({ ...member, accessKey: 'nobody-at-all' }), 'does not know this accessKey'],
  ['no credentials', () => undefined, 'asks for credentials'],
])(
  '%s: start() of a consumer, and of a producer given topics, rejects with ACCESS_DENIED, says which it is and shows no secret',
  async (_name, choose, which) => {
    const credentials = choose(cluster.accounts)
    for (const make of [
      () => client(Producer, credentials, { topics: [topic] }),
      () => client(PushConsumer, credentials).subscribe(topic, () => {}),
    ]) {
      const wrong = make()
      const began = performance.now()
      const error = await wrong.start().then(
        () => undefined,
        (e) => e,
      )
      expect(error).toMatchObject({ name: 'RocketMQError', code: 'ERR_ROCKETMQ_ACCESS_DENIED', retriable: false })
      expect(error.message).toContain(which)
      expect(performance.now() - began).toBeLessThan(9_500) // its answer, not the end of startTimeoutMs
      expect(wrong.state).toBe('idle')
      if (credentials) expect(shown(error, wrong)).not.toContain(credentials.secretKey)
    }
  },
)

test('an account without rights may not send', async () => {
  const sender = await client(Producer, cluster.accounts.stranger).start()
  await expect(sender.sendOrderly({ topic, body: 'x' }, 'k')).rejects.toMatchObject({
    code: 'ERR_ROCKETMQ_ACCESS_DENIED',
    outcome: 'not-stored',
    message: expect.stringContaining('the account lacks a right on the topic or the group'),
  })
})
