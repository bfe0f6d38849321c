'use strict'
// A member of a group in a process of its own: tells each handler call as a JSON line, and closes when told to.
const { setTimeout: delay } = require('node:timers/promises')
const { PushConsumer } = require('../..')

const [nameServer, groupId, topic] = process.argv.slice(2)
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`)
/** Microseconds on a clock that all processes of the machine share. */
const now = () => Number(process.hrtime.bigint() / 1_000n)

const consumer = new PushConsumer({ groupId, nameServer, initialPosition: 'first' })
consumer.subscribe(topic, async (message) => {
  const began = now()
  await delay(Math.random() * 2)
  say('handled', {
    queueId: message.queue.queueId,
    offset: message.queueOffset,
    body: message.text(),
    began,
    ended: now(),
  })
})
process.on('message', async (order) => {
  if (order === 'stop-now') process.exit(1)
  await consumer.close()
  say('closed') // and the process ends by itself
})
consumer.start().then(
  () => say('started', { clientId: consumer.clientId }),
  (error) => {
    say('failed', { text: String(error) })
    process.exit(1)
  },
)
