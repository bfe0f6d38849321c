import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { TestBroker } from 'rocketmq-orderly/testing'
import { GROUP, OrderService, TOPIC, type Order, type OrderEvent } from '../src/order-service.js'

/** A busy CI machine takes longer than the usual 4 s. */
const PATIENT = { timeoutMs: 20_000 }

let broker: TestBroker
let service: OrderService
/** What the bank and the warehouse did. */
let done: string[]
/** What a test does to them. */
let bank: (order: Order) => Promise<void>
let warehouse: (order: Order) => Promise<void>

beforeEach(async () => {
  broker = await TestBroker.start({ topics: [TOPIC] }) // takes a millisecond or two: one of its own for each test
  done = []
  bank = async () => {}
  warehouse = async () => {}
  const steps = new Set<string>()
  service = new OrderService({
    nameServer: broker.nameServer,
    bank: {
      charge: async (order) => {
        await bank(order)
        done.push(`charged ${order.id}`)
      },
    },
    warehouse: {
      ship: async (order) => {
        await warehouse(order)
        done.push(`shipped ${order.id}`)
      },
    },
    journal: { has: async (step) => steps.has(step), add: async (step) => void steps.add(step) },
    sendTimeoutMs: 2_000,
    retryMs: 20,
  })
  await service.start()
})

afterEach(async () => {
  await service.close()
  await broker.close() // rejects if the service did what ruins a real broker
})

/** What the topic holds, as `placed a-1`. */
async function stored(topic = TOPIC): Promise<string[]> {
  const events = (await broker.messages(topic)).map(({ body }) => JSON.parse(body.toString()) as OrderEvent)
  return events.map(({ type, order }) => `${type} ${order.id}`)
}

test('an order is charged, then shipped', async () => {
  await service.place({ id: 'a-1', amount: 990 })
  await broker.caughtUp(GROUP, PATIENT) // everything stored is handled: no sleeping
  expect(done).toEqual(['charged a-1', 'shipped a-1'])
  expect(await stored()).toEqual(['placed a-1', 'paid a-1'])
})

test('what another program has sent is handled, too', async () => {
  const placed: OrderEvent = { type: 'placed', order: { id: 'b-1', amount: 10 } }
  await broker.publish({ topic: TOPIC, body: JSON.stringify(placed) }, 'b-1')
  await broker.caughtUp(GROUP, PATIENT)
  expect(done).toEqual(['charged b-1', 'shipped b-1'])
})

test('the broker dies between charge and ship: charged once, shipped once', async () => {
  bank = () => broker.stopBroker() // the money is gone, and nobody can be told
  const failed = new Promise<void>((resolve) => service.consumer.once('suspended', () => resolve()))
  await service.place({ id: 'c-1', amount: 990 })
  await failed
  expect(done).toEqual(['charged c-1'])

  bank = async () => {}
  await broker.startBroker(0, { keep: 'stored' }) // as after kill -9: locks and young offsets are gone, no message
  await broker.caughtUp(GROUP, PATIENT)
  expect(done).toEqual(['charged c-1', 'shipped c-1'])
})

test('an answer is lost: stored twice, shipped once', async () => {
  await service.place({ id: 'd-1', amount: 990 })
  await broker.caughtUp(GROUP, PATIENT)
  const lost = broker.fault({ request: 'send', nth: 1, disconnect: 'after' })
  await service.place({ id: 'd-2', amount: 990 })
  await broker.caughtUp(GROUP, PATIENT)
  expect(lost.hits).toBe(1)
  expect((await stored()).filter((event) => event === 'placed d-2')).toHaveLength(2)
  expect(done).toEqual(['charged d-1', 'shipped d-1', 'charged d-2', 'shipped d-2'])
})

test('the warehouse fails twice: the order waits, and is shipped at the third attempt', async () => {
  let attempts = 0
  warehouse = async () => {
    attempts++
    if (attempts <= 2) throw new Error('the door is shut')
  }
  const causes: unknown[] = []
  service.consumer.on('suspended', (_message, { cause }) => causes.push(cause))
  await service.place({ id: 'e-1', amount: 990 })
  await broker.caughtUp(GROUP, PATIENT)
  expect(attempts).toBe(3)
  expect(causes).toEqual([new Error('the door is shut'), new Error('the door is shut')])
  expect(done).toEqual(['charged e-1', 'shipped e-1'])
})

test('an order without amount becomes a dead letter, and holds nobody up', async () => {
  await service.place({ id: 'f-1', amount: 0 })
  await service.place({ id: 'f-1', amount: 990 })
  await broker.caughtUp(GROUP, PATIENT)
  expect(await stored(`%DLQ%${GROUP}`)).toEqual(['placed f-1'])
  expect(done).toEqual(['charged f-1', 'shipped f-1'])
})
