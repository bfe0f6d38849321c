'use strict'
// A member of a group in a process of its own: tells each handler call as a JSON line, and closes when told to.
//   node member.js <name server> <group> <topic> [<how long a handler takes, in ms>] [key] [<more options, as JSON>]
// Messages of its parent: 'close', 'stop-now', or { blockMs }: the event loop stands still for so long.
const { setTimeout: delay } = require('node:timers/promises')
const { PushConsumer } = require('../..')
const { now, standStill } = require('../support/time')

const [nameServer, groupId, topic, handlerMs, by = 'queue', more = '{}'] = process.argv.slice(2)
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`)

const concurrency = { max: 20, by }
const defaults = { groupId, nameServer, initialPosition: 'first', concurrency }
const consumer = new PushConsumer({ ...defaults, ...JSON.parse(more) })
consumer.subscribe(topic, async (message, { signal }) => {
  const began = now()
  const { queue, queueOffset: offset, shardingKey } = message
  const call = { queueId: queue.queueId, offset, body: message.text(), shardingKey, began }
  say('began', call)
  await delay(handlerMs ? Number(handlerMs) : Math.random() * 2)
  say('handled', { ...call, ended: now(), aborted: signal.aborted ? signal.reason.code : undefined })
})
consumer.on('lockLost', ({ queueId }) => say('lockLost', { queueId, at: now() }))
consumer.on('warning', ({ code, message }) => say('warning', { code, text: message }))

async function close() {
  await consumer.close()
  say('closed', { at: now() }) // and the process ends by itself
}
process.on('message', (order) => {
  if (order === 'stop-now') process.exit(1)
  if (order === 'close') return close()
  say('blocked', { at: now() })
  standStill(order.blockMs)
  say('unblocked', { at: now() })
})
process.once('SIGTERM', close)
consumer.start().then(
  () => say('started', { clientId: consumer.clientId }),
  (error) => {
    say('failed', { text: String(error), code: error.code })
    process.exit(1)
  },
)
