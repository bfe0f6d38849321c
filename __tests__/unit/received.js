'use strict'

const { Unpacker } = require('../../src/js/consumer/unpacker.js')
const { NativeConsumer } = require('./fake-native.js')

/** A message as a handler gets it, of queue 0 and offset 7. */
function received(options) {
  const native = new NativeConsumer({}, {})
  native.chunks.set(0, [{ generation: 1, messages: [native.message(0, 7, options)] }])
  return new Unpacker().chunk(native, 0, { topic: 'orders', brokerName: 'broker-a', queueId: 0 }).messages[0]
}

module.exports = { received }
