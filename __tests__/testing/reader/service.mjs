import { PushConsumer } from 'rocketmq-orderly'
import { expect } from 'expect'

globalThis.expect = expect
globalThis.startBilling = async ({ nameServer }) => {
  const consumer = new PushConsumer({ groupId: 'GID_billing', nameServer, commitIntervalMs: 20 })
  consumer.subscribe('orders', (message) => console.log(JSON.stringify({ booked: message.json().id })))
  return consumer.start()
}
