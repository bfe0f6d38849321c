'use strict'
// A producer and a consumer in a process of their own, for their history: sends messages with everything that is nobody's business, handles
// them, and fails on one once. Says what it has come to, as JSON lines.
//   node recorded.js <name server> <group> <topic> [stay: without leave, to be killed]
const { Producer, PushConsumer } = require('../..')

const [nameServer, groupId, topic, stay] = process.argv.slice(2)
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`)
const credentials = { accessKey: 'the-access-key', secretKey: 'the-secret-key', securityToken: 'the-token' }
const COUNT = 6

async function run() {
  const common = { nameServer, groupId, credentials }
  const producer = new Producer(common)
  const consumer = new PushConsumer({ ...common, initialPosition: 'first', suspendMs: 10 })
  for (const client of [producer, consumer]) {
    client.on('warning', ({ code, message }) => say('warning', { code, text: message }))
  }
  let done = 0
  const everything = new Promise((resolve) => {
    consumer.subscribe(topic, ({ queueOffset }, { attempt }) => {
      if (queueOffset === 1 && attempt === 1) return 'RECONSUME_LATER'
      if (++done === COUNT) resolve(undefined)
    })
  })
  await producer.start()
  await consumer.start()
  const message = { topic, body: 'the-body', tags: 'the-tag', keys: ['the-key'], properties: { name: 'the-value' } }
  const results = await Promise.all(
    Array.from({ length: COUNT }, (_, i) => producer.sendOrderly(message, i % 2 ? 'odd' : 'even')),
  )
  await everything
  say('handled', { msgIds: results.map(({ msgId }) => msgId), clientIds: [producer.clientId, consumer.clientId] })
  if (stay) return
  await Promise.all([producer.close(), consumer.close()])
  say('closed')
}
run().catch(({ code, message }) => {
  say('failed', { code, text: message })
  process.exit(1)
})
