import { Producer, PushConsumer, deadLetter, type ConsumeOutcome, type ReceivedMessage } from 'rocketmq-orderly'

export interface Order {
  id: string
  /** In cents. */
  amount: number
}

/** What happens to an order, one after the other: its id is the sharding key. */
export type OrderEvent = { type: 'placed'; order: Order } | { type: 'paid'; order: Order }

export interface Bank {
  charge(order: Order): Promise<void>
}

export interface Warehouse {
  ship(order: Order): Promise<void>
}

/**
 * Which steps are done. A real one is a table with a unique key, written in the transaction of the step itself, or an
 * idempotency key that the bank takes.
 */
export interface Journal {
  has(step: string): Promise<boolean>
  add(step: string): Promise<void>
}

export interface OrderServiceOptions {
  nameServer: string
  bank: Bank
  warehouse: Warehouse
  journal: Journal
  /** How long one send may take, with everything that is tried again. */
  sendTimeoutMs?: number
  /** How long an order waits after a failure. */
  retryMs?: number
}

export const TOPIC = 'orders'
export const GROUP = 'GID_orders'

/**
 * Charges an order that was placed and ships one that was paid. Every message may come more than once, as RocketMQ delivers at
 * least once and a sender that gets no answer sends again; every step happens once.
 */
export class OrderService {
  readonly consumer: PushConsumer
  readonly #producer: Producer
  readonly #options: OrderServiceOptions

  constructor(options: OrderServiceOptions) {
    const { nameServer, sendTimeoutMs = 30_000, retryMs = 1_000 } = options
    this.#options = options
    this.#producer = new Producer({ groupId: GROUP, nameServer, topics: [TOPIC], sendTimeoutMs })
    this.consumer = new PushConsumer({ groupId: GROUP, nameServer, suspendMs: retryMs, commitIntervalMs: 100 })
    this.consumer.subscribe(TOPIC, (message) => this.#handle(message))
  }

  async start(): Promise<this> {
    await Promise.all([this.#producer.start(), this.consumer.start()])
    return this
  }

  async close(): Promise<void> {
    await this.consumer.close() // first, as its handlers send
    await this.#producer.close()
  }

  async place(order: Order): Promise<void> {
    await this.#send({ type: 'placed', order })
  }

  async #send(event: OrderEvent): Promise<void> {
    await this.#producer.sendOrderly({ topic: TOPIC, body: JSON.stringify(event) }, event.order.id)
  }

  // A throw: the same message again after retryMs, and nothing overtakes it.
  async #handle(message: ReceivedMessage): Promise<ConsumeOutcome | void> {
    const { type, order } = message.json<OrderEvent>()
    if (!(order.amount > 0)) return deadLetter(`order ${order.id} has no amount`)
    if (type === 'placed') {
      await this.#once(`charge ${order.id}`, () => this.#options.bank.charge(order))
      await this.#send({ type: 'paid', order })
    } else {
      await this.#once(`ship ${order.id}`, () => this.#options.warehouse.ship(order))
    }
  }

  async #once(step: string, work: () => Promise<void>): Promise<void> {
    const { journal } = this.#options
    if (await journal.has(step)) return
    await work()
    await journal.add(step)
  }
}
