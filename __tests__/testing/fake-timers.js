'use strict'
// A user's test under the fake timers of FAKES, enabled at MOMENT. The real timers are not used at all: what hangs ends with the process.

const { deepStrictEqual } = require('node:assert')

const COUNT = Number(process.env.COUNT)

/** Fakes all that the tool can, and never advances it. */
function fake() {
  if (process.env.FAKES === 'sinon') require(process.env.SINON).install()
  else require('node:test').mock.timers.enable()
}

async function main() {
  if (process.env.MOMENT === 'before') fake()
  const { Producer, PushConsumer } = require('../../index.js')
  const { TestBroker } = require('../../testing.js')
  if (process.env.MOMENT === 'after') fake()

  const broker = await TestBroker.start({ topics: { orders: 1 } })
  const { nameServer } = broker
  const producer = await new Producer({ groupId: 'GID_shop', nameServer, maxPendingMessages: 100 }).start()
  const sent = Array.from({ length: COUNT }, (_, i) => String(i))
  // More than there is room for: some wait, with a time-out.
  await Promise.all(sent.map((body) => producer.sendOrderly({ topic: 'orders', body }, 'order-4711')))
  for (const groupId of ['GID_first', 'GID_second']) {
    const seen = []
    const options = { groupId, nameServer, initialPosition: 'first', handlerTimeoutMs: 60_000, commitIntervalMs: 20 }
    const consumer = new PushConsumer(options)
    await consumer.subscribe('orders', async (message) => void seen.push(message.text())).start()
    await broker.caughtUp(groupId, { timeoutMs: 60_000 })
    await consumer.close()
    deepStrictEqual(seen, sent)
  }
  await producer.close()
  await broker.close()
  console.log(`handled ${COUNT} of ${COUNT}, twice, in order`)
}

if (process.env.FAKES === 'sinon') void main()
else require('node:test').test('a user’s test', main)
