'use strict'
// A producer in a process of its own, that sends what it is told to, and closes when told to.
//   node sender.js <name server> <topic> <number of keys>
// Messages of its parent: { from, to }: the messages with these numbers, none awaited before the next; or 'close'.
const { Producer } = require('../..')

const [nameServer, topic, keys] = process.argv.slice(2)
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`)
const producer = new Producer({ groupId: 'GID-sender', nameServer, requestTimeoutMs: 20_000 })

async function send(from, to) {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i)
  await Promise.all(numbers.map((i) => producer.sendOrderly({ topic, body: String(i) }, `key-${i % Number(keys)}`)))
  say('sent', { to })
}

async function close() {
  await producer.close()
  say('closed')
}

process.on('message', (order) => {
  const done = order === 'close' ? close() : send(order.from, order.to)
  done.catch((error) => say('failed', { text: String(error) }))
})
producer.start().then(
  () => say('started'),
  (error) => {
    say('failed', { text: String(error) })
    process.exit(1)
  },
)
