'use strict'

const { Client } = require('./client.js')
const { PushConsumer } = require('./consumer.js')
const { RocketMQError } = require('./errors.js')
const { Message } = require('./message.js')
const { ConsumeStatus, deadLetter, suspend } = require('./outcomes.js')
const { Producer, SendStatus } = require('./producer.js')

/** @type {typeof import('../../index')} */
module.exports = {
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
