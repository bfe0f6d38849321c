'use strict'
// A worker thread with a producer and a consumer; its main thread ends it, or it ends by itself with both still open.
const { parentPort, workerData } = require('node:worker_threads')
const { Producer, PushConsumer } = require('../..')

const { nameServer, groupId, topic, exits } = workerData

async function main() {
  const producer = new Producer({ groupId: `${groupId}-P`, nameServer })
  let handled = 0
  const consumer = new PushConsumer({ groupId, nameServer, initialPosition: 'first' }).subscribe(topic, async () => {
    await null
    if (++handled === 5) {
      parentPort.postMessage('exchanged')
      // With everything open, and more messages on their way.
      if (exits) process.exit(0)
    }
  })
  // A busy broker's refusals are no news here.
  for (const client of [producer, consumer]) client.on('warning', () => {})
  await Promise.all([producer.start(), consumer.start()])
  for (;;) await Promise.all([0, 1, 2, 3].map((i) => producer.sendOrderly({ topic, body: 'x' }, `key-${i}`)))
}
main()
