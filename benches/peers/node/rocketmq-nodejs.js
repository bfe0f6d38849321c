'use strict'
// rocketmq-nodejs, a native addon. It has no keys: what one queue has is in order by chance.

const { Producer, PushConsumer } = require('rocketmq-nodejs')
const { serve } = require('./peer')

let instances = 0
const own = (nameServer) => [`bench-${process.pid}-${instances++}`, { nameServer, logLevel: 'error' }]

void serve({
  async producer({ nameServer, topic }) {
    const producer = new Producer('GID_bench', ...own(nameServer))
    await producer.start()
    return { send: (_key, body) => producer.send(topic, body), close: () => producer.shutdown() }
  },
  async consumer({ nameServer, topic, group }, handle) {
    const consumer = new PushConsumer(group, ...own(nameServer))
    consumer.subscribe(topic, '*')
    consumer.on('message', ({ body }, ack) => {
      handle(body)
      ack.done()
    })
    await consumer.start()
    return { close: () => consumer.shutdown() }
  },
})
