// What the reader's own program has: the documents show pieces of it.

import type { Producer, PushConsumer, ReceivedMessage } from 'rocketmq-orderly'
import type { TestBroker } from 'rocketmq-orderly/testing'

declare global {
  /** Clients and a broker that an earlier piece has started. */
  const producer: Producer
  const consumer: PushConsumer
  let broker: TestBroker

  /** Messages to send. */
  const rows: readonly { json: string; orderId: string }[]
  function report(error: unknown): void

  /** What a handler works with. */
  function isLocked(id: number): Promise<boolean>
  function book(order: { id: number; step: string }, options: { signal: AbortSignal }): Promise<void>
  function save(message: ReceivedMessage): Promise<void>
  const log: { warn(fields: Record<string, unknown>): void }

  /** Services under test. */
  function startBilling(options: { nameServer: string }): Promise<{ close(): Promise<void> }>
  class OrderService {
    constructor(options: { nameServer: string })
    start(): Promise<this>
    close(): Promise<void>
    place(order: { id: string; amount: number }): Promise<void>
  }
  const service: OrderService
  let bank: () => Promise<void>
  const done: readonly string[]

  const describe: (typeof import('@jest/globals'))['describe']
  const beforeEach: (typeof import('@jest/globals'))['beforeEach']
  const expect: (typeof import('@jest/globals'))['expect']
}
