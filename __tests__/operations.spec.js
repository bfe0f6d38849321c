'use strict'
// What an operator asks of a consumer through the broker, as the console does.
const { setTimeout: delay } = require('node:timers/promises')
const { PushConsumer } = require('..')
const { admin, backend, clients, createTopic, startProducer, uniqueGroup, until } = require('./support')

async function started(topic, handler, options = {}) {
  const groupId = uniqueGroup()
  const client = clients.add(
    new PushConsumer({ groupId, nameServer: backend.nameServer, initialPosition: 'first', ...options }),
  )
  await client.subscribe(topic, handler).start()
  return client
}

async function produce(topic, count) {
  const client = await startProducer()
  return Promise.all(Array.from({ length: count }, (_, i) => client.sendOrderly({ topic, body: String(i) }, 'order-1')))
}

test('running info is complete and holds no secret', async () => {
  const topic = await createTopic({ queues: 2 })
  let handled = 0
  const client = await started(topic, () => void handled++, {
    credentials: { accessKey: 'some-access-key', secretKey: 'some-secret-key' },
  })
  await produce(topic, 10)
  await until(() => handled >= 10)
  await until(() => client.assignment().length === 2 && client.assignment().every(({ lag }) => lag === 0))
  const info = await admin.runningInfo(client.groupId, client.clientId)
  expect(info.properties).toMatchObject({ PROP_CONSUME_TYPE: 'CONSUME_PASSIVELY', PROP_CONSUMEORDERLY: 'true' })
  expect(JSON.stringify(info)).toContain(topic)
  expect(Object.keys(info.mqTable).length).toBeGreaterThanOrEqual(2)
  expect(JSON.stringify(info)).not.toMatch(/some-secret-key|some-access-key/)
})

test('consume directly: the handler gets that message between two others, and the broker the truth', async () => {
  const topic = await createTopic({ queues: 1 })
  const seen = []
  let fail = false
  let running = 0
  let overlaps = 0
  const client = await started(topic, async (message) => {
    if (running++) overlaps++
    seen.push(message.text())
    await delay(5)
    running--
    if (fail) throw new Error('no')
  })
  client.on('suspended', () => {})
  const sent = await produce(topic, 20)
  await until(() => seen.length >= 20)
  const target = { brokerName: sent[3].queue.brokerName, offsetMsgId: sent[3].offsetMsgId, topic }
  const result = await admin.consumeDirectly(client.groupId, client.clientId, target)
  expect(result).toMatchObject({ consumeResult: 'CR_SUCCESS', order: true })
  expect(seen.slice(20)).toEqual(['3'])
  fail = true
  const failed = await admin.consumeDirectly(client.groupId, client.clientId, target)
  expect(failed.consumeResult).not.toBe('CR_SUCCESS')
  fail = false
  expect(overlaps).toBe(0)
  await until(async () => (await admin.committedOffset(client.groupId, topic, 0)) === 20)
})

test('a reset by an administrator is obeyed and reported: from the new offset on, in order', async () => {
  const topic = await createTopic({ queues: 1 })
  const seen = []
  const resets = []
  const client = await started(topic, (message) => void seen.push(message.queueOffset))
  client.on('offsetReset', (queue, detail) => resets.push([queue.queueId, detail]))
  await produce(topic, 20)
  await until(() => seen.length >= 20)
  await until(async () => (await admin.committedOffset(client.groupId, topic, 0)) === 20)
  await admin.resetOffset(client.groupId, topic, 0)
  // A 5.x broker tells at the next answer to a pull; a message makes that one come.
  await produce(topic, 1)
  // That message may have been handled once before the reset came.
  const again = await until(
    () => {
      const from = seen.lastIndexOf(0)
      return from >= 20 && seen.length - from >= 21 && from
    },
    { what: () => `everything again, not ${seen}` },
  )
  await until(() => resets.length > 0, { what: 'the report of the reset' })
  expect(resets.length).toBe(1)
  expect(resets[0][1].to).toBe(0)
  expect(seen.slice(again)).toEqual(Array.from({ length: 21 }, (_, i) => i))
})
