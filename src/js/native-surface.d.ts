// What the facade needs of the native side. `native.d.ts` is generated from the Rust code and says less; `addon.js` hands the
// native side out under these types.
import type { SendStatus } from '../../index'
import type { NativeError } from './errors'

export interface NativeConfig {
  groupId: string
  /** As the user gave them, one address each. */
  nameServers: string[]
  namespace?: string | undefined
  instanceName?: string | undefined
  requestTimeoutMs: number
  accessKey?: string | undefined
  secretKey?: string | undefined
  securityToken?: string | undefined
  channel?: string | undefined
  /** Whether `start()` waits for topics that do not exist. */
  waitForTopics: boolean
  /** Whether debug records are wanted. */
  debug: boolean
}

export interface ProducerSettings {
  topics: string[]
  shardingHash: 'java' | 'ons'
  batching: 'auto' | 'queue' | 'key' | 'off'
  sendTimeoutMs: number
  maxPendingMessages: number
  maxPendingBytes: number
  onRouteChange: 'follow' | 'hold'
  maxMessageBytes: number
}

export interface Subscription {
  topic: string
  expressionType: 'TAG' | 'SQL92'
  expression: string
}

export interface ConsumerSettings {
  subscriptions: Subscription[]
  initialPosition: 'last' | 'first' | 'timestamp'
  /** Milliseconds since the epoch; 0 unless the position is a time. */
  initialTimestamp: number
  /** -1: without end. */
  maxReconsumeTimes: number
  suspendInitialMs: number
  suspendFactor: number
  suspendMaxMs: number
  prefetchMessages: number
  prefetchBytes: number
  commitIntervalMs: number
}

/** An event, as JSON. */
export type NativeEvent =
  | { type: 'warning'; error: NativeError }
  | { type: 'connected'; address: string; server: 'broker' | 'nameServer' }
  | { type: 'disconnected'; address: string; server: 'broker' | 'nameServer'; reason: string }
  | { type: 'routeChanged'; topic: string; queues: QueueName[] }
  | { type: 'log'; level: string; fields: Record<string, unknown>; text: string }
  | { type: 'assigned' | 'revoked'; queues: QueueName[] }
  | { type: 'lockLost'; queue: QueueName }
  | { type: 'offsetReset'; queue: QueueName; from: number; to: number }
  | { type: 'undecodable'; queue: QueueName; error: NativeError }

export interface QueueName {
  topic: string
  brokerName: string
  queueId: number
}

/**
 * Everything that a client's native side says, in one order. A `start()` that is answered with an error says nothing more and has
 * left nothing running.
 */
export interface Calls<Said extends ClientSaid | ProducerSaid | ConsumerSaid> {
  say(...said: Said): void
}

export type ClientSaid =
  /** Of `start`, `close`, `queues` and `sendBatch`: an error as JSON, or a result as JSON. */
  | [kind: 0, slot: number, error: string | null, json: string]
  /** A `NativeEvent` as JSON. */
  | [kind: 1, json: string]

export type ProducerSaid =
  | ClientSaid
  /** Single messages that one request has stored, at consecutive offsets; of each message two ids: unique, the broker's own. */
  | [
      kind: 2,
      slots: number[],
      ids: string[],
      status: SendStatus,
      brokerName: string,
      queueId: number,
      firstQueueOffset: number,
    ]
  /** Of `send`. `failedKey`: the key is closed in native until `heard()`. */
  | [kind: 3, slot: number, error: string, failedKey: boolean]
  /** A lane that has refused has room again. */
  | [kind: 4, lane: number]

export type ConsumerSaid =
  | ClientSaid
  /** Consecutive messages of one queue. */
  | [kind: 2, queue: number, generation: number, messages: unknown[]]
  /** The running handler's signal is to fire, with this reason. */
  | [kind: 3, queue: number, generation: number, error: string]
  /** A message is in the dead-letter queue. */
  | [kind: 4, message: unknown, queue: number]

export type MakeMessage = (
  queue: number,
  offset: number,
  attempt: number,
  topic: string,
  tags: string | null,
  keys: string | null,
  shardingKey: string | null,
  msgId: string,
  offsetMsgId: string,
  bornTimestamp: number,
  storeTimestamp: number,
  bornHost: string,
  storeHost: string,
  properties: string,
  body: Buffer,
) => unknown

export interface NativeClient {
  readonly clientId: string
  close(slot: number, timeoutMs: number): void
  stats(): string
  health(): string
}

/** Every method may throw an `Error` whose message is a `NativeError` as JSON. */
export class NativeProducer implements NativeClient {
  constructor(config: NativeConfig, settings: ProducerSettings)
  readonly clientId: string
  start(slot: number, timeoutMs: number, calls: Calls<ProducerSaid>): void
  /** -1: taken, settled through `say`. Else nothing happened: this lane is full. */
  send(
    slot: number,
    topic: string,
    shardingKey: string,
    body: Buffer,
    tags: string | undefined,
    keys: string | undefined,
    properties: string[] | undefined,
    timeoutMs: number,
    feeding: boolean,
  ): number
  /** As `send`, settled through an answer: a JSON array of receipts, or an error with `"failedKey"` or nothing. */
  sendBatch(
    slot: number,
    topic: string,
    shardingKey: string,
    bodies: Buffer[],
    tags: (string | null)[],
    keys: (string | null)[],
    properties: string[][],
    timeoutMs: number,
    feeding: boolean,
  ): number
  /** What waited for this lane in JavaScript has gone: it may be sent to directly again. */
  drained(lane: number): void
  /** A failure of this key is delivered: what is called from now on starts afresh. */
  heard(topic: string, shardingKey: string): void
  /** Takes a message out, unless it is on the wire. */
  abort(slot: number): void
  queues(slot: number, topic: string): void
  close(slot: number, timeoutMs: number): void
  stats(): string
  health(): string
}

/** It warns by itself of a handler that outlives `close()`, after it has said to abort it; `ack` is for late ones, too. */
export class NativeConsumer implements NativeClient {
  constructor(config: NativeConfig, settings: ConsumerSettings)
  readonly clientId: string
  start(slot: number, timeoutMs: number, calls: Calls<ConsumerSaid>, makeMessage: MakeMessage): void
  queue(index: number): [topic: string, brokerName: string, queueId: number] | null
  /** Whether the handler may be called now, in this tick. Every "no" is final for its generation. */
  mayStart(queue: number, generation: number, offset: number): boolean
  /** Bit 0: go on with this chunk. The rest, of a failure that counts: the delay in milliseconds. */
  ack(
    queue: number,
    generation: number,
    offset: number,
    outcome: 0 | 1 | 2 | 3,
    suspendMs: number,
    reason: string | undefined,
  ): number
  assignment(): string
  close(slot: number, timeoutMs: number): void
  stats(): string
  health(): string
}

export function reservedProperties(): string[]
