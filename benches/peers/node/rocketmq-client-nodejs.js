'use strict'
// Apache's client for Node.js: gRPC, through a proxy of 5.x.

const { ConsumeResult, Producer, PushConsumer } = require('rocketmq-client-nodejs')
const { serve } = require('./peer')

const nothing = () => {}
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, close: nothing }

void serve({
  async producer({ proxy, topic }) {
    const producer = new Producer({ endpoints: proxy, topics: [topic], namespace: '', logger })
    await producer.startup()
    return {
      send: (key, body) => producer.send({ topic, body, messageGroup: key }),
      close: () => producer.shutdown(),
    }
  },
  async consumer({ proxy, topic, group }, handle) {
    const consumer = new PushConsumer({
      endpoints: proxy,
      namespace: '',
      consumerGroup: group,
      subscriptions: new Map([[topic, '*']]),
      logger,
      messageListener: {
        async consume({ body }) {
          handle(body)
          return ConsumeResult.SUCCESS
        },
      },
    })
    await consumer.startup()
    return { close: () => consumer.shutdown() }
  },
})
