'use strict'
// W10: one message, of a process that has just begun. The runner looks at its clock.

const { Bodies } = require('./body')

async function cold(client, given) {
  const producer = await client.producer(given)
  await producer.send('key-0', new Bodies(Number(given.bytes)).of(0, 0))
  return { messages: 1 }
}

module.exports = { cold }
