'use strict'
// close() when there is nobody left to whom anything could be given back.
const { PushConsumer } = require('..')
const { clients, startCluster, startProducer, uniqueGroup, uniqueTopic, until } = require('./support')

jest.setTimeout(180_000)

test('close() with the broker gone ends at once, and warns once of what comes again', async () => {
  const cluster = await startCluster({ brokers: 1 })
  const topic = uniqueTopic()
  await cluster.admin.createTopic(topic, { queues: 2 })
  const sender = await startProducer({ nameServer: cluster.nameServer })
  const seen = []
  const client = new PushConsumer({
    groupId: uniqueGroup(),
    nameServer: cluster.nameServer,
    initialPosition: 'first',
    commitIntervalMs: 600_000,
    closeTimeoutMs: 60_000,
  })
  client.subscribe(topic, (message) => void seen.push(message.queueOffset))
  const warnings = []
  const lost = []
  client.on('warning', (warning) => warnings.push(warning))
  client.on('lockLost', (queue) => lost.push(queue))
  clients.add(client)
  await client.start()
  const owned = () => client.assignment().filter(({ state }) => state === 'running').length
  await until(() => owned() === 2, { what: 'both queues' })
  const send = (body) => sender.sendOrderly({ topic, body }, 'one-key')
  const { queue } = await send('first')
  const committed = () => cluster.admin.committedOffset(client.groupId, topic, queue.queueId)
  await until(async () => (await committed()) === 1, { what: 'the first commit, the next comes in 10 minutes' })
  await Promise.all(['second', 'third', 'fourth'].map(send))
  await until(() => seen.length >= 4)
  await sender.close()
  await cluster.brokers[0].kill9()
  await until(() => client.health().problems.some(({ code }) => code === 'ERR_ROCKETMQ_CONNECTION'), {
    what: () => `the broker to be missed: ${JSON.stringify(client.health())}`,
  })
  await expect(client.commit()).rejects.toMatchObject({
    code: expect.stringMatching(/_(CONNECTION|NO_MASTER|TIMEOUT)$/),
    message: expect.stringContaining(
      `what was handled of ${topic}@${queue.brokerName}:${queue.queueId} is not acknowledged`,
    ),
    outcome: expect.stringMatching(/^(not-stored|unknown)$/),
    queue,
  })
  const began = performance.now()
  await client.close()
  expect(performance.now() - began).toBeLessThan(5_000) // far from closeTimeoutMs and from the 30 s of a lease
  const texts = warnings.map(({ message }) => message)
  const told = texts.filter((text) => text.startsWith('close()'))
  expect(told).toHaveLength(1)
  expect(told[0]).toContain(`(topic ${topic}, queue ${queue.queueId}: offsets 1 to 3)`)
  expect(texts.join()).not.toContain('%RETRY%')
  expect(lost).toEqual([])
})
