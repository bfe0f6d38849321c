'use strict'
// The public names, and nothing else: `index.d.ts` documents them.

const { CHANNELS } = require('./channels.js')
const { Client } = require('./client/client.js')
const { PushConsumer } = require('./consumer/consumer.js')
const { RocketMQError } = require('./errors.js')
const { Message } = require('./message.js')
const { ConsumeStatus, deadLetter, suspend } = require('./consumer/outcomes.js')
const { Producer, SendStatus } = require('./producer/producer.js')

/** @type {typeof import('../../index')} */
module.exports = {
  CHANNELS,
  // Abstract in public, and its constructor nobody's business; what its instances can do is checked with the two below.
  Client: /** @type {any} */ (Client),
  ConsumeStatus,
  Message,
  Producer,
  PushConsumer,
  RocketMQError,
  SendStatus,
  deadLetter,
  suspend,
}
