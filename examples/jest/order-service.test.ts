// The service tested with TestBroker, in plain Jest: no Java, no network, no sleeping.
// In a clone: npx jest --config examples/jest/jest.config.js

import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { TestBroker } from 'rocketmq-orderly/testing'
import { OrderService, type Order, type Payments } from './order-service'

jest.setTimeout(30_000)

/** Remembers whom it charged. */
class FakePayments implements Payments {
  readonly charged: string[] = []
  /** What happens right after the money was taken. */
  afterCharge: (order: Order) => Promise<void> = async () => {}

  async isCharged(orderId: string): Promise<boolean> {
    return this.charged.includes(orderId)
  }

  async charge(order: Order): Promise<void> {
    this.charged.push(order.id)
    await this.afterCharge(order)
  }
}

let broker: TestBroker
let payments: FakePayments
let service: OrderService

beforeEach(async () => {
  broker = await TestBroker.start({ topics: ['orders', 'shipments'] })
  payments = new FakePayments()
  service = new OrderService(broker.nameServer, payments)
})

afterEach(async () => {
  await service.close()
  await broker.close()
})

const place = (order: Order) => broker.publish({ topic: 'orders', body: JSON.stringify(order) }, order.customer)

/** Ids of the orders that were sent to shipping, by customer. */
async function shipped(customer: string): Promise<string[]> {
  const messages = await broker.messages('shipments')
  return messages
    .filter(({ shardingKey }) => shardingKey === customer)
    .map(({ body }) => JSON.parse(body.toString()).id)
}

test('orders of a customer are charged and shipped in their order', async () => {
  await service.start()
  for (const id of ['a-1', 'a-2', 'a-3']) await place({ id, customer: 'ada', amount: 10 })
  for (const id of ['b-1', 'b-2']) await place({ id, customer: 'bob', amount: 20 })
  await broker.caughtUp('GID_billing') // everything stored was handled and committed
  expect(await shipped('ada')).toEqual(['a-1', 'a-2', 'a-3'])
  expect(await shipped('bob')).toEqual(['b-1', 'b-2'])
})

test('an order without amount goes to the dead letters, and the next one is handled', async () => {
  await service.start()
  await place({ id: 'a-1', customer: 'ada', amount: 0 })
  await place({ id: 'a-2', customer: 'ada', amount: 10 })
  await broker.caughtUp('GID_billing')
  expect(payments.charged).toEqual(['a-2'])
  expect(await broker.messages('%DLQ%GID_billing')).toHaveLength(1)
})

test('a payment that fails at first is tried again before the next order', async () => {
  payments.charge = jest.fn(payments.charge.bind(payments)).mockRejectedValueOnce(new Error('the bank does not answer'))
  await service.start()
  await place({ id: 'a-1', customer: 'ada', amount: 10 })
  await place({ id: 'a-2', customer: 'ada', amount: 10 })
  await broker.caughtUp('GID_billing')
  expect(payments.charged).toEqual(['a-1', 'a-2'])
})

test('the broker dies between charge and ship: charged once, shipped in the end', async () => {
  payments.afterCharge = async () => {
    payments.afterCharge = async () => {}
    await broker.stopBroker() // the money is taken, and nobody is there to hear of it
    void broker.startBroker() // back without its locks and its newest offsets, as after kill -9
  }
  await service.start()
  await place({ id: 'a-1', customer: 'ada', amount: 10 })
  await place({ id: 'a-2', customer: 'ada', amount: 10 })
  await broker.caughtUp('GID_billing', { timeoutMs: 20_000 })
  expect(payments.charged).toEqual(['a-1', 'a-2'])
  // At least once: a shipment may be there twice, and its receiver looks at the id. None is missing, none overtook.
  expect([...new Set(await shipped('ada'))]).toEqual(['a-1', 'a-2'])
})

test('shipping is busy: the order waits, and is not charged again', async () => {
  const busy = broker.fault({
    request: 'send',
    topic: 'shipments',
    answer: 2,
    remark: '[PCBUSY_CLEAN_QUEUE]',
    times: 3,
  })
  await service.start()
  await place({ id: 'a-1', customer: 'ada', amount: 10 })
  await broker.caughtUp('GID_billing')
  expect(busy.hits).toBe(3)
  expect(payments.charged).toEqual(['a-1'])
  expect(await shipped('ada')).toEqual(['a-1'])
})
