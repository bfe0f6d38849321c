'use strict'
// A member whose handler never ends, and which closes all the same.
const { PushConsumer } = require('../..')

const [nameServer, groupId, topic] = process.argv.slice(2)
const options = { groupId, nameServer, initialPosition: 'first', handlerTimeoutMs: 60_000, closeTimeoutMs: 500 }
const consumer = new PushConsumer(options)
consumer.on('warning', () => {})
consumer.subscribe(topic, async () => {
  setImmediate(async () => {
    await consumer.close()
    process.stdout.write(`${JSON.stringify({ event: 'closed' })}\n`)
  })
  await new Promise(() => {})
})
consumer.start()
