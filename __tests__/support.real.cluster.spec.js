'use strict'
// Clusters of a spec's own: two brokers, access control, a kill and a restart.

const fs = require('node:fs')
const path = require('node:path')
const { startCluster, uniqueTopic, until } = require('./support')
const { TestAdmin } = require('./support/admin')

jest.setTimeout(400_000)

test('a killed broker leaves the route, and is back with its messages after a restart', async () => {
  const { admin, brokers, dir } = await startCluster({ brokers: 2 })
  const topic = uniqueTopic()
  await admin.createTopic(topic, { queues: 8 })
  expect(await admin.queues(topic)).toHaveLength(16)
  const brokerNames = async () => (await admin.route(topic)).queueDatas.map(({ brokerName }) => brokerName).sort()
  for (const { name } of brokers) {
    for (let index = 0; index < 10; index++)
      await admin.send(topic, { brokerName: name, queueId: 7 }, `${name} ${index}`)
  }
  await admin.readBack(topic, { expected: 20 })

  const { pid } = brokers[1]
  await brokers[1].kill9()
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  await until(async () => (await brokerNames()).length === 1, { what: 'the end of the route to the killed broker' })
  expect(await brokerNames()).toEqual(['broker-a'])

  // As if it had been killed while it made the file of a queue.
  const queue = path.join(dir, brokers[1].name, 'store', 'consumequeue', topic, '6')
  fs.mkdirSync(queue)
  fs.writeFileSync(path.join(queue, '0'.repeat(20)), '')
  const { address } = brokers[1]
  await brokers[1].restart()
  expect(brokers[1].address).toBe(address)
  await until(async () => (await brokerNames()).length === 2, { what: 'the route to the restarted broker' })
  const messages = await admin.readBack(topic, { expected: 20 })
  expect(messages.map(({ body }) => body.toString())).toEqual(
    brokers.flatMap(({ name }) => Array.from({ length: 10 }, (_, index) => `${name} ${index}`)),
  )
})

test('with access control each account may do what it was made for', async () => {
  const cluster = await startCluster({ acl: true })
  const { accounts, nameServer } = cluster
  const topic = uniqueTopic()
  await cluster.createTopic(topic, { queues: 1 })
  const attempt = async (credentials) => {
    const as = new TestAdmin(nameServer, { credentials })
    try {
      await as.send(topic, 0, 'x')
      await as.maxOffset(topic, 0)
      return 'done'
    } catch (error) {
      return error.code
    } finally {
      await as.close()
    }
  }
  const refused = cluster.version.startsWith('4.') ? 1 : 16
  expect(await attempt(accounts.admin)).toBe('done')
  expect(await attempt(accounts.member)).toBe('done')
  expect(await attempt(accounts.stranger)).toBe(refused)
  expect(await attempt({ ...accounts.member, secretKey: 'not-this-secret' })).toBe(refused)
  expect(await attempt(undefined)).toBe(refused)
})
