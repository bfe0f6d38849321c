// What the facade needs of the native side, which `addon.js` hands out under these types.
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
  /** Milliseconds since 1970. */
  expiresAt?: number | undefined
  /** There are none yet: `credentialsWanted` asks for them. */
  asksForCredentials: boolean
  tls?: TlsSettings | undefined
  /** Whether `start()` waits for topics that do not exist. */
  waitForTopics: boolean
  /** Whether records are wanted. */
  logs: boolean
  /** Whether debug records are wanted, too. */
  debug: boolean
}

/** Texts as PEM. */
export interface TlsSettings {
  /** Empty: the system's. */
  ca: string[]
  cert?: string | undefined
  key?: string | undefined
  servername?: string | undefined
  rejectUnauthorized: boolean
}

export interface ProducerSettings {
  topics: string[]
  /** `caller`: a function, which stays in JavaScript. */
  shardingHash: 'java' | 'ons' | 'go' | 'cpp' | 'proxy' | 'caller'
  batching: 'auto' | 'queue' | 'key' | 'off'
  sendTimeoutMs: number
  maxPendingMessages: number
  maxPendingBytes: number
  onRouteChange: 'follow' | 'hold'
  maxMessageBytes: number
  /** None: never. */
  compression?: 'zlib' | 'lz4' | 'zstd' | undefined
  compressOverBytes: number
}

export interface Subscription {
  topic: string
  expressionType: 'TAG' | 'SQL92'
  expression: string
}

export interface ConsumerSettings {
  subscriptions: Subscription[]
  /** Most messages that a handler gets at once. */
  maxBatchMessages: number
  /** What is handled one after the other. */
  orderedBy: 'queue' | 'key'
  initialPosition: 'last' | 'first' | 'timestamp'
  /** Milliseconds since the epoch; 0 unless the position is a time. */
  initialTimestamp: number
  /** -1: without end. */
  maxReconsumeTimes: number
  /** Whether every member gets every message. */
  broadcasting: boolean
  /** An absolute path; only when broadcasting. */
  offsetFile?: string | undefined
  onUndecodable: 'hold' | 'deadLetter' | 'skip'
  suspendInitialMs: number
  suspendFactor: number
  suspendMaxMs: number
  prefetchMessages: number
  prefetchBytes: number
  commitIntervalMs: number
  /** -1: none; the native side tells of handlers that run for 60 s only then. */
  handlerTimeoutMs: number
}

/** An event, as JSON. */
export type NativeEvent =
  | { type: 'warning'; error: NativeError }
  | { type: 'credentialsWanted' }
  | { type: 'connecting'; address: string; server: 'broker' | 'nameServer' }
  | { type: 'unconnected'; address: string; server: 'broker' | 'nameServer'; error: NativeError }
  | { type: 'connected'; address: string; server: 'broker' | 'nameServer' }
  | { type: 'disconnected'; address: string; server: 'broker' | 'nameServer'; reason: string }
  | { type: 'routeChanged'; topic: string; queues: QueueName[] }
  | { type: 'log'; level: string; fields: Record<string, unknown>; text: string }
  | { type: 'assigned' | 'revoked'; queues: QueueName[] }
  | { type: 'lockLost'; queue: QueueName }
  | {
      type: 'offsetReset'
      queue: QueueName
      from: number
      to: number
      reason: 'administrator' | 'deleted' | 'store-set-back'
      error?: NativeError
    }
  | { type: 'undecodable'; queue: QueueName; error: NativeError }

export interface QueueName {
  topic: string
  brokerName: string
  queueId: number
}

/** What native calls. */
export interface Calls {
  /** There is something to be taken, with `producerTake` or `consumerTake`: once until everything was taken. */
  ring(): void
}

/**
 * Everything that a client's native side says, in one order, is an array of this kind; from kind 2 on it is its own. A `start()` that is
 * answered with an error says nothing more and has left nothing running.
 */
export type Said = [kind: number, ...rest: any[]]

export type ClientSaid =
  /** Of `start`, `close`, `queues`, `ready` and `heard`: an error as JSON, or a result as JSON. */
  | [kind: 0, slot: number, error: string | null, json: string]
  /** A `NativeEvent` as JSON. */
  | [kind: 1, json: string]

/** What a started producer is called through. */
export interface ProducerDoor {
  readonly producer: unique symbol
}

export type ProducerSaid =
  | ClientSaid
  /** Single messages that one request has stored, at consecutive offsets; of each two ids: unique, the broker's own. */
  | [
      kind: 2,
      count: number,
      ids: string,
      status: SendStatus,
      brokerName: string,
      queueId: number,
      firstQueueOffset: number,
      /** How many requests have carried each, unless it was one for each. */
      attempts?: number[],
    ]
  /** Sends that have failed in the same way; `failure` is the number of one that its key fails with, `cause` of what it fails with. */
  | [kind: 3, count: number, error: string, failure: number, cause: number, attempts: number]
  /** A batch that was stored: a JSON array of receipts. */
  | [kind: 4, slot: number, receipts: string, attempts: number]
  /** `producerTurned` is wanted, a turn of the event loop from now. */
  | [kind: 5]
  /** A failure that closes its key is next: `producerTake` it when no code of the user is due. */
  | [kind: 6]
  /** Keys of this topic wait for a choice: see `producerUndecided`. Only with the hash `caller`. */
  | [kind: 7, topic: string]

/** The queues that a choice addresses by index: a number to know them by, and of each queue the broker's name and its id. */
export type Listed = [number: number, brokerNames: string[], queueIds: number[]]

/** What a started consumer is called through. */
export interface ConsumerDoor {
  readonly consumer: unique symbol
}

export type ConsumerSaid =
  | ClientSaid
  /** There are messages of this queue, for `consumerChunk`: said once until all were taken. */
  | [kind: 2, queue: number]
  /** The running handler's signal is to fire, with this reason. */
  | [kind: 3, queue: number, generation: number, error: string]
  /** A message is in the dead-letter queue; it is in the scratch memory. */
  | [kind: 4, queue: number]
  /** The scratch memory must have this size, in bytes. */
  | [kind: 5, size: number]

/** What `credentialsWanted` is answered with. */
export interface NativeCredentials {
  accessKey: string
  secretKey: string
  securityToken?: string | undefined
  channel?: string | undefined
  /** Milliseconds since 1970. */
  expiresAt?: number | undefined
}

export interface NativeClient {
  readonly clientId: string
  renewed(credentials: NativeCredentials): void
  /** `keepsake`: stands for what was thrown, see `keepsakes.js`. */
  notRenewed(reason: string, keepsake: number): void
  close(slot: number, timeoutMs: number): void
  stats(): string
  health(): string
}

/** Every method may throw an `Error` whose message is a `NativeError` as JSON. */
export class NativeProducer implements NativeClient {
  constructor(config: NativeConfig, settings: ProducerSettings)
  readonly clientId: string
  renewed(credentials: NativeCredentials): void
  notRenewed(reason: string, keepsake: number): void
  start(slot: number, timeoutMs: number, calls: Calls): ProducerDoor
  /** Answered when less is held than the high-water mark. */
  ready(slot: number): void
  /** Answered behind the outcomes that are decided by now. */
  heard(slot: number): void
  queues(slot: number, topic: string): void
  close(slot: number, timeoutMs: number): void
  stats(): string
  health(): string
}

/** Takes a message in, or throws. */
export function producerSend(
  door: ProducerDoor,
  slot: number,
  topic: string,
  shardingKey: string,
  body: Buffer,
  tags: string | undefined,
  keys: string | undefined,
  properties: string[] | undefined,
  timeoutMs: number,
): void
/** Takes a batch in, or throws. */
export function producerSendBatch(
  door: ProducerDoor,
  slot: number,
  topic: string,
  shardingKey: string,
  bodies: Buffer[],
  tags: (string | null)[],
  keys: (string | null)[],
  properties: string[][],
  timeoutMs: number,
): void
/**
 * What was said next; the numbers of sends are in `scratch`, as `Uint32Array` has them. Taking a failure is delivering it: what is called
 * of its key from now on starts afresh.
 */
export function producerTake(door: ProducerDoor, scratch: Buffer, isFirst: boolean): ProducerSaid | null
/** Those whose sends were settled have had their turn to send again. */
export function producerTurned(door: ProducerDoor): void
/** The list of a topic, while it is known. */
export function producerList(door: ProducerDoor, topic: string): Listed | null
/**
 * The queue of a key: of its message that is sent next, or of those that wait for a choice. A key with messages that have a queue stays there.
 * False when the list is another by now.
 */
export function producerChoose(
  door: ProducerDoor,
  topic: string,
  shardingKey: string,
  list: number,
  index: number,
): boolean
/** The keys that wait for a choice, and their list. */
export function producerUndecided(door: ProducerDoor, topic: string): [keys: string[], list: Listed] | null
/** All keys that were undecided have a choice, or were refused. */
export function producerDecided(door: ProducerDoor, topic: string): void
/** There is no choice for a key: what waits of it fails with `ERR_ROCKETMQ_INVALID_ARGUMENT`. */
export function producerRefuse(door: ProducerDoor, topic: string, shardingKey: string, reason: string): void
export function producerHasRoom(door: ProducerDoor): boolean
/** Takes these sends out, unless they are on the wire. */
export function producerAbort(door: ProducerDoor, slots: number[]): void

/** It warns by itself of a handler that outlives `close()`, after it has said to abort it. */
export class NativeConsumer implements NativeClient {
  constructor(config: NativeConfig, settings: ConsumerSettings)
  readonly clientId: string
  renewed(credentials: NativeCredentials): void
  notRenewed(reason: string, keepsake: number): void
  start(slot: number, timeoutMs: number, calls: Calls): ConsumerDoor
  queue(index: number): [topic: string, brokerName: string, queueId: number] | null
  /** Whose handlers may not start: nobody's, those of topics, those of queues. */
  pause(everything: boolean, topics: string[], queueTopics: string[], brokerNames: string[], queueIds: number[]): void
  /** Answered with an array of `NativeError`s: one of each queue that has not acknowledged in time what is handled at the call. */
  commit(slot: number): void
  /** Nothing starts at the queue's old position from the call on; answered when the new one is committed. */
  seek(
    slot: number,
    topic: string,
    brokerName: string,
    queueId: number,
    to: 'offset' | 'first' | 'last' | 'timestamp',
    value: number,
  ): void
  assignment(): string
  close(slot: number, timeoutMs: number): void
  stats(): string
  health(): string
}

/** What was said next; a message goes into `scratch`. */
export function consumerTake(door: ConsumerDoor, scratch: Buffer): ConsumerSaid | null
/**
 * The next messages of a queue, packed into `scratch`: `[generation, count, left of their chunk]`; or `[size]`, which `scratch` must have. With
 * `restOf` only what is left of a chunk of that generation.
 */
export function consumerChunk(door: ConsumerDoor, queue: number, scratch: Buffer, restOf?: number): number[] | null
/** Whether the handler of the messages from `offset` to `last` may be called now, in this tick. Every "no" is final for its generation. */
export function consumerMayStart(
  door: ConsumerDoor,
  queue: number,
  generation: number,
  offset: number,
  last: number,
): boolean
/** A running handler of several messages is done with one of them, and goes on with the next. */
export function consumerPass(door: ConsumerDoor, queue: number, generation: number, offset: number, next: number): void
/**
 * What successes of handlers are told with, of late ones, too; `next` is the offset of the message that may be handled in the same tick, or -1.
 * Bit 0 of the answer: go on with this chunk; bit 1: `next` may be handled now.
 */
export type Success = (queue: number, generation: number, offset: number, next: number) => number
export function consumerSuccess(door: ConsumerDoor): Success
/**
 * How a handler has failed, for late ones, too: 1 later, 2 after `suspendMs`, 3 to the dead-letter queue; 4 it has said nothing, and is as if it had
 * not begun. The delay before the next attempt in milliseconds, if it counts.
 */
export function consumerFailure(
  door: ConsumerDoor,
  queue: number,
  generation: number,
  offset: number,
  outcome: 1 | 2 | 3 | 4,
  suspendMs: number,
  reason: string | undefined,
): number

export function reservedProperties(): string[]
