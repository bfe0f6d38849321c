'use strict'
// messages(): a loop is the whole program.

const { setTimeout: delay } = require('node:timers/promises')
const { admin, backend, createTopic, makeConsumer, startProducer, until } = require('./support')

const KEYS = 8

/** A topic with the messages 0, 1, … of some keys. */
async function filled(count, { queues = 1 } = {}) {
  const topic = await createTopic({ queues })
  const producer = await startProducer()
  const body = (number) => JSON.stringify({ key: number % KEYS, number })
  for (let i = 0; i < count; i++) void producer.sendOrderly({ topic, body: body(i) }, `key-${i % KEYS}`)
  await producer.flush()
  await admin.readBack(topic, { expected: count })
  return topic
}

const upTo = (end, from = 0) => Array.from({ length: end - from }, (_, i) => from + i)

/** What another member of the group is given first. */
async function firstOfNext(groupId, topic) {
  for await (const message of makeConsumer({ groupId }).messages(topic)) return message.queueOffset
}

test('it gives what is stored, in order, one message at a time over all queues, and breaks off', async () => {
  const topic = await filled(200, { queues: 4 })
  const client = makeConsumer()
  const seen = []
  let atWork = 0
  for await (const message of client.messages(topic)) {
    expect([++atWork, client.stats().running]).toEqual([1, 1])
    seen.push(message.json())
    if (seen.length % 50 === 0) await delay(1)
    atWork--
    if (seen.length === 200) break
  }
  expect(client.state).toBe('closed')
  expect(seen.map(({ number }) => number).sort((a, b) => a - b)).toEqual(upTo(200))
  for (let key = 0; key < KEYS; key++) {
    const numbers = seen.filter((message) => message.key === key).map(({ number }) => number)
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
  }
})

test('asking for the next one commits the one before, and break does not', async () => {
  const topic = await filled(10)
  const client = makeConsumer()
  const seen = []
  const told = []
  client.on('suspended', () => told.push('suspended')).on('warning', (error) => told.push(error.message))
  for await (const { queueOffset } of client.messages(topic)) {
    seen.push(queueOffset)
    if (queueOffset === 4) break
  }
  expect([seen, client.state, told, client.stats().failed]).toEqual([upTo(5), 'closed', [], 0])
  expect(await firstOfNext(client.groupId, topic)).toBe(4)
})

test('so does a throw in the loop, which is what the loop ends with', async () => {
  const topic = await filled(10)
  const client = makeConsumer()
  const loop = async () => {
    for await (const { queueOffset } of client.messages(topic)) {
      if (queueOffset === 3) throw new Error('poisoned')
    }
  }
  await expect(loop()).rejects.toThrow('poisoned')
  expect(client.state).toBe('closed')
  expect(await firstOfNext(client.groupId, topic)).toBe(3)
})

test.each([
  ['close()', (client) => void client.close()],
  ['the signal', (_client, controller) => controller.abort()],
])('%s ends the loop, without the message that it is at work on', async (_, end) => {
  const topic = await filled(10)
  const client = makeConsumer()
  const controller = new AbortController()
  const seen = []
  for await (const { queueOffset } of client.messages(topic, { signal: controller.signal })) {
    seen.push(queueOffset)
    if (queueOffset !== 5) continue
    end(client, controller)
    await delay(50)
    expect(client.state).toBe('closing')
  }
  expect([seen, client.state]).toEqual([upTo(6), 'closed'])
  expect(await firstOfNext(client.groupId, topic)).toBe(5)
})

test('nobody else has a queue before the work of the loop on it is over', async () => {
  const topic = await filled(5)
  const client = makeConsumer()
  const events = []
  const next = makeConsumer({ groupId: client.groupId })
  next.subscribe(topic, ({ queueOffset }) => void events.push(`next begins ${queueOffset}`))
  for await (const { queueOffset } of client.messages(topic)) {
    if (queueOffset < 2) continue
    await next.start()
    void client.close()
    await until(() => client.state === 'closing')
    await delay(300)
    events.push('the work is over')
  }
  await until(() => events.length > 1)
  expect(events.slice(0, 2)).toEqual(['the work is over', 'next begins 2'])
})

test('a loop that waits is ended by close() and by the signal, with nothing to come again', async () => {
  const topic = await filled(3)
  const controller = new AbortController()
  for (const end of [(client) => client.close(), () => controller.abort()]) {
    const client = makeConsumer()
    const seen = []
    const loop = (async () => {
      for await (const { queueOffset } of client.messages(topic, { signal: controller.signal })) seen.push(queueOffset)
    })()
    await until(() => client.assignment()[0]?.committedOffset === 3)
    await end(client)
    await loop
    expect([seen, client.state]).toEqual([upTo(3), 'closed'])
    expect(
      await admin.committedOffset(client.groupId, topic, { brokerName: backend.brokers[0].name, queueId: 0 }),
    ).toBe(3)
  }
})

test('a start that fails is the failure of next()', async () => {
  const topic = `${await createTopic({ queues: 1 })}-that-does-not-exist`
  const client = makeConsumer()
  const messages = client.messages(topic)
  await expect(messages.next()).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_TOPIC_NOT_FOUND' })
  expect(client.state).toBe('idle')
  await createTopic({ name: topic, queues: 1 })
  const producer = await startProducer()
  await producer.sendOrderly({ topic, body: 'x' }, 'key')
  const { value } = await messages.next()
  expect(value.text()).toBe('x')
  expect(await messages.return('done')).toEqual({ value: 'done', done: true })
  expect(await messages.next()).toEqual({ value: undefined, done: true })
})

test('a filter applies, a pause holds the loop, and a seek leads it elsewhere', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  const send = (body, tags) => producer.sendOrderly({ topic, body, tags }, 'key')
  for (const body of ['a', 'b', 'c', 'd']) await send(body, body < 'c' ? 'low' : 'high')
  const client = makeConsumer()
  const messages = client.messages(topic, { expression: 'high' })
  const next = async () => (await messages.next()).value.text()
  expect([await next(), await next()]).toEqual(['c', 'd'])
  const sought = client.seek(client.assignment()[0], 2) // takes effect once the loop is through with the message
  expect(await next()).toBe('c')
  await sought
  client.pause()
  const later = next()
  expect(await Promise.race([later, delay(300, 'nothing')])).toBe('nothing')
  client.resume()
  expect(await later).toBe('d')
  await messages.return()
})
