'use strict'
// This package.

const { Producer, PushConsumer } = require('../../..')
const { serve } = require('./peer')

/** A server's own certificate, made at its start, is nobody's. */
const tls = process.argv.includes('--tls') && { rejectUnauthorized: false }

void serve({
  async producer({ nameServer, topic }) {
    const producer = await new Producer({ groupId: 'GID_bench', nameServer, tls }).start()
    return {
      send: (key, body) => producer.sendOrderly({ topic, body }, key),
      requests: () => producer.stats().requests,
      close: () => producer.close(),
    }
  },
  async consumer({ nameServer, topic, group, concurrency, async: isAsync }, handle) {
    const consumer = new PushConsumer({
      groupId: group,
      nameServer,
      tls,
      initialPosition: 'first',
      ...(concurrency && { concurrency: Number(concurrency) }),
    })
    consumer.subscribe(topic, isAsync ? async ({ body }) => handle(body) : ({ body }) => handle(body))
    return consumer.start()
  },
})
