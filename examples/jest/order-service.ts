// A small service: it charges orders in the order in which their customers placed them, and has them shipped.

import { Producer, PushConsumer, deadLetter, type ConsumeOutcome, type ReceivedMessage } from 'rocketmq-orderly'

export interface Order {
  id: string
  customer: string
  amount: number
}

/** Whoever takes the money. */
export interface Payments {
  isCharged(orderId: string): Promise<boolean>
  charge(order: Order): Promise<void>
}

export class OrderService {
  readonly #producer: Producer
  readonly #consumer: PushConsumer
  readonly #payments: Payments

  constructor(nameServer: string, payments: Payments) {
    this.#payments = payments
    this.#producer = new Producer({ groupId: 'GID_shipping', nameServer, topics: ['shipments'] })
    this.#consumer = new PushConsumer({ groupId: 'GID_billing', nameServer, initialPosition: 'first', suspendMs: 100 })
    this.#consumer.subscribe('orders', (message) => this.#handle(message))
  }

  async start(): Promise<void> {
    await this.#producer.start()
    await this.#consumer.start()
  }

  async close(): Promise<void> {
    await this.#consumer.close()
    await this.#producer.close()
  }

  async #handle(message: ReceivedMessage): Promise<ConsumeOutcome | void> {
    const order = message.json<Order>()
    if (!(order.amount > 0)) return deadLetter('an order without amount')
    // The message comes again after whatever failed below, so every step must bear a second time.
    if (!(await this.#payments.isCharged(order.id))) await this.#payments.charge(order)
    await this.#producer.sendOrderly({ topic: 'shipments', body: message.body, keys: order.id }, order.customer)
  }
}
