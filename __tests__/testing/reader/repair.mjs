import { once } from 'node:events'
import { Producer, PushConsumer, deadLetter } from 'rocketmq-orderly'

globalThis.producer = await new Producer({ groupId: 'GID_shop', topics: ['orders'] }).start()
const message = { topic: 'orders', body: 'no order', tags: 'paid', keys: ['1', '2'], properties: { mine: 'too' } }
await globalThis.producer.sendOrderly(message, 'order-1')
await globalThis.producer.sendOrderly({ topic: 'orders', body: 'its successor' }, 'order-1')

const consumer = new PushConsumer({ groupId: 'GID_billing', initialPosition: 'first' })
consumer.subscribe('orders', (given) => (given.text() === 'no order' ? deadLetter('no order') : undefined))
const dead = once(consumer, 'deadLetter')
await consumer.start()
await dead
await consumer.close()
