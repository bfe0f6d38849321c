'use strict'
// ali-ons, in JavaScript.

const { Consumer, Message, Producer } = require('ali-ons')
const { serve } = require('./peer')

const nothing = () => {}
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }
/** Its own is 128 KiB. */
const MAX_MESSAGE = 4 * 1024 * 1024

/** It wants one, and uses it for an address that it is not given here. */
const httpclient = { request: () => Promise.reject(new Error('there is no HTTP here')) }

void serve({
  async producer({ nameServer, topic, compress }) {
    const producer = new Producer({
      producerGroup: 'GID_bench',
      nameSrv: nameServer,
      logger,
      httpclient,
      maxMessageSize: MAX_MESSAGE,
      ...(!compress && { compressMsgBodyOverHowmuch: Infinity }),
    })
    producer.on('error', nothing)
    await producer.ready()
    return {
      send(key, body) {
        const message = new Message(topic, body)
        message.shardingKey = key
        return producer.send(message)
      },
      close: () => producer.close(),
    }
  },
  async consumer({ nameServer, topic, group }, handle) {
    const consumer = new Consumer({
      consumerGroup: group,
      nameSrv: nameServer,
      logger,
      httpclient,
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    })
    consumer.on('error', nothing)
    // It takes asynchronous handlers only.
    consumer.subscribe(topic, '*', async ({ body }) => handle(body))
    await consumer.ready()
    return consumer
  },
})
