'use strict'
// What brokers refuse with one code, and who is at fault: not always the account.

const { PushConsumer } = require('..')
const { admin, backend, clients, createTopic, uniqueGroup, until } = require('./support')

/** A started consumer with what it was warned of. */
async function consumer(topic, options) {
  const client = clients.add(
    new PushConsumer({ groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first', ...options }),
  )
  const seen = []
  client.subscribe(topic, (message) => void seen.push(message.text()))
  client.on('warning', () => {})
  await client.start()
  return { client, seen }
}

const denied = (client) => client.health().problems.find(({ code }) => code === 'ERR_ROCKETMQ_ACCESS_DENIED')

test('a disabled group is told as that, and goes on when it is enabled', async () => {
  const topic = await createTopic({ queues: 1 })
  const groupId = uniqueGroup()
  await admin.createGroup(groupId, { consumeEnable: false })
  await admin.send(topic, 0, 'x')
  const { client, seen } = await consumer(topic, { groupId })
  const problem = await until(() => denied(client), { what: 'a problem' })
  expect(problem.brokerCode).toBe(16)
  expect(problem.message).toContain('the group is disabled at this broker, consumeEnable=false')
  expect(problem.message).not.toContain('accessKey')
  await admin.createGroup(groupId, { consumeEnable: true })
  await until(() => seen.length > 0 && client.health().ok, { what: 'the message' })
})

test('a topic that loses its read permission is told as that', async () => {
  const topic = await createTopic({ queues: 1 })
  await admin.send(topic, 0, 'x')
  const { client, seen } = await consumer(topic)
  await until(() => seen.length > 0)
  await createTopic({ name: topic, queues: 1, perm: 2 })
  await admin.send(topic, 0, 'y') // wakes the pull that is held
  const problem = await until(() => denied(client), { what: 'a problem' })
  expect(problem.message).toMatch(/read permission/)
  expect(problem.message).not.toContain('accessKey')
  await createTopic({ name: topic, queues: 1, perm: 6 })
  await until(() => seen.includes('y') && client.health().ok, { timeoutMs: 90_000, what: 'the message' })
})
