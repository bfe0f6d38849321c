// The public types of rocketmq-orderly: what is declared here works in this release, and nothing else does.
/// <reference types="node" />

// Without this line everything declared below would be exported.
import type { Writable } from 'node:stream'

export {}

// ---------------------------------------------------------------- shared

/** A message's payload: a string is sent as UTF-8. Empty bodies are refused. */
export type Body = string | Uint8Array

/** An account of the brokers' access control. Secrets never show in errors, logs or `util.inspect`. */
export interface Credentials {
  /** The account's name. Non-empty. */
  accessKey: string
  /** The account's secret, which signs every request. Non-empty. */
  secretKey: string
  /** A temporary account's token (Alibaba Cloud STS). Default: none. */
  securityToken?: string | undefined
  /** Sent as `OnsChannel`, e.g. `'ALIYUN'`, only when given. Default: none. */
  channel?: string | undefined
  /**
   * When temporary credentials end: a `Date`, or milliseconds since 1970. A function that has given them is asked for new ones before: 5 minutes, or a
   * fifth of their life, if that is less. Default: they do not end.
   */
  expiresAt?: Date | number | undefined
}

/**
 * Where log records go, in pino's argument order. The field `err` is always an `Error`; what failed otherwise (a handler that threw a text,
 * the reason of `deadLetter()`) is the text `reason`. A logger that throws does not disturb the client: what it throws
 * surfaces as an uncaught exception of its own.
 */
export interface Logger {
  /** Without this method, debug records do not leave the native side. */
  debug?(fields: Record<string, unknown>, text: string): void
  /** Ordinary changes: connections, assignments, routes. */
  info(fields: Record<string, unknown>, text: string): void
  /** Something failed and is being tried again, or a queue is held. */
  warn(fields: Record<string, unknown>, text: string): void
  /** Something needs a person: an undecodable message. */
  error(fields: Record<string, unknown>, text: string): void
}

/** Options of producers and consumers alike. An unknown option is refused, not ignored. */
export interface ClientOptions {
  /**
   * The group: 1..120 characters of `[%|a-zA-Z0-9_-]`; `DEFAULT_PRODUCER` and `DEFAULT_CONSUMER` are refused. All members of
   * a consumer group need the same subscriptions.
   */
  groupId: string
  /**
   * Name servers: `'host:9876;host2:9876'`, an array of such addresses, or `'http://MQ_INST_….aliyuncs.com:80'`.
   * Default: the environment variable `ROCKETMQ_NAMESRV`, then `NAMESRV_ADDR`, read by `start()`.
   */
  nameServer?: string | readonly string[] | undefined
  /** The account to sign requests with. Default: none, requests are not signed. */
  credentials?: Credentials | CredentialsProvider | undefined
  /** Namespace (instance id) of topics and groups. Default: taken from an `MQ_INST_…` name server address, else none. */
  namespace?: string | undefined
  /** Part of the client id, to tell clients of one host apart. Default: unique for this process and client. */
  instanceName?: string | undefined
  /**
   * TLS with name servers and brokers. `true` trusts the authorities of this system, and those of `NODE_EXTRA_CA_CERTS`. A wrong setting is
   * refused when it is given or at the start; an unusable server is `ERR_ROCKETMQ_TLS`. Default: false.
   */
  tls?: boolean | TlsOptions | undefined
  /** Bound of one request, in milliseconds from when its last byte has left, 1..2147483647. Default: 3000. */
  requestTimeoutMs?: number | undefined
  /** Bound of `start()`, in milliseconds, 1..2147483647: so long it waits for name servers and brokers. Default: 10000. */
  startTimeoutMs?: number | undefined
  /**
   * Whether `start()` waits for topics that do not exist, within `startTimeoutMs`; else it rejects. With it a consumer does not
   * wait for `%DLQ%` topics at all: it starts without them, and consumes them from when the broker makes them. Default: false.
   */
  waitForTopics?: boolean | undefined
  /** Bound of `close()` and of `await using`, in milliseconds, 1..2147483647. Default: 15000. */
  closeTimeoutMs?: number | undefined
  /** Where log records go. Default: nowhere; see {@link ClientEvents} for what shows all the same. */
  logger?: Logger | undefined
  /** Aborting it is `close()`; a `start()` under way rejects with `ERR_ROCKETMQ_ABORTED`. Default: none. */
  signal?: AbortSignal | undefined
}

/**
 * A message to send. An unknown field is refused, not ignored. A {@link ReceivedMessage} is a message, too: it, or a copy of it, can be
 * forwarded as it is.
 */
export interface MessageInit {
  /** Topic: 1..127 characters of `[%|a-zA-Z0-9_-]`. */
  topic: string
  /** Payload, 1 byte up to `maxMessageBytes`. Do not change it before the send has settled. */
  body: Body
  /**
   * One tag, to filter by, which a {@link FilterExpression} can name: non-empty, without white space around it, and without `|`, `,`, `;`, `*`,
   * `&&`, `OR` or `AND` between words. A {@link ReceivedMessage} keeps the tag that it has. Default: none.
   */
  tags?: string | undefined
  /** Business keys, to look the message up by. A key holds no space; a string may hold several, separated by spaces. */
  keys?: string | readonly string[] | undefined
  /**
   * Properties of your own: names and values are non-empty, without `\x01` and `\x02`; RocketMQ's own names (`TAGS`, `KEYS`,
   * `DELAY`, …) are refused. At most 32000 bytes in all.
   */
  properties?: Readonly<Record<string, string>> | undefined
}

/** A builder in the shape of Alibaba Cloud's samples; a plain {@link MessageInit} does as well. Checked when it is sent. */
export class Message implements MessageInit {
  /** A message for `topic`; the body may follow with {@link Message.setBody}. */
  constructor(topic: string, body?: Body)
  /** See {@link MessageInit.topic}. */
  topic: string
  /** See {@link MessageInit.body}. */
  body: Body
  /** See {@link MessageInit.tags}. */
  tags?: string | undefined
  /** See {@link MessageInit.keys}. */
  keys?: string | readonly string[] | undefined
  /** See {@link MessageInit.properties}. */
  properties?: Record<string, string> | undefined
  /** Sets the tag. */
  setTags(tags: string): this
  /** Sets the keys. */
  setKeys(keys: string | readonly string[]): this
  /** Sets the body. */
  setBody(body: Body): this
  /** Sets one property of your own. */
  setProperty(name: string, value: string): this
}

/** A queue of a topic: the unit of order and of assignment. */
export interface MessageQueue {
  /** The topic, without namespace. */
  readonly topic: string
  /** The broker's name, as in the route. */
  readonly brokerName: string
  /** The queue's number on that broker, from 0. */
  readonly queueId: number
}

/**
 * Gives credentials that end, as those of Alibaba Cloud's STS. It is asked at the start, before `expiresAt`, and after a refusal that may be due to
 * them, whose request is then made once more; once at a time. Where it throws or rejects, a `warning` says so while it has given some that are
 * used on; it is asked again, and what is refused meanwhile fails with `ERR_ROCKETMQ_ACCESS_DENIED`, whose `cause` is what it has thrown.
 */
export type CredentialsProvider = () => Credentials | Promise<Credentials>

/** How to speak TLS (1.2 and 1.3) with name servers and brokers. Texts are PEM, not names of files. */
export interface TlsOptions {
  /** The authorities to trust, one or more in each text. Default: those of this system, and those of `NODE_EXTRA_CA_CERTS`. */
  ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  /** The certificate of this client, and those between it and its authority, for servers that ask for one. Needs `key`. Default: none. */
  cert?: string | Buffer | undefined
  /** The private key of `cert`, not encrypted. Default: none. */
  key?: string | Buffer | undefined
  /**
   * The name that the certificates of all name servers and brokers must have. Default: for each the host that was connected to, which for
   * brokers is what the route says, mostly an IP address.
   */
  servername?: string | undefined
  /** false trusts anybody: it encrypts and proves nothing, and a `warning` says so. Default: true. */
  rejectUnauthorized?: boolean | undefined
}

/** What {@link RocketMQError.code} can be. May grow in minor versions. */
export type ErrorCode =
  /** A bad option, message, key or call; the text names the field. Nothing was written. */
  | 'ERR_ROCKETMQ_INVALID_ARGUMENT'
  /** Not started yet, or changed after `start()`. */
  | 'ERR_ROCKETMQ_INVALID_STATE'
  /** Used after `close()`, or still waiting when `close()` ran out of time. */
  | 'ERR_ROCKETMQ_CLOSED'
  /** A caller's signal; `cause` is `signal.reason`. */
  | 'ERR_ROCKETMQ_ABORTED'
  /** No answer in time; see `outcome`. */
  | 'ERR_ROCKETMQ_TIMEOUT'
  /** Refused, reset or half-open connection; `address` tells which. */
  | 'ERR_ROCKETMQ_CONNECTION'
  /** The peer broke the protocol. */
  | 'ERR_ROCKETMQ_PROTOCOL'
  /** A TLS handshake, or what a certificate is good for; the text says which, and what to do. */
  | 'ERR_ROCKETMQ_TLS'
  /** Signature, key or permission refused; the text says which it can be. */
  | 'ERR_ROCKETMQ_ACCESS_DENIED'
  /** No route for the topic: it does not exist, or no broker has registered it yet. */
  | 'ERR_ROCKETMQ_TOPIC_NOT_FOUND'
  /** The broker does not know the group and will not create it. */
  | 'ERR_ROCKETMQ_GROUP_NOT_FOUND'
  /** The topic has a route, but no queue that takes messages. */
  | 'ERR_ROCKETMQ_NO_WRITABLE_QUEUE'
  /** The broker has no master at the moment. */
  | 'ERR_ROCKETMQ_NO_MASTER'
  /** Any other refusal; see `brokerCode` and the broker's remark in the text. */
  | 'ERR_ROCKETMQ_BROKER'
  /** A retriable refusal that outlasted the time. */
  | 'ERR_ROCKETMQ_BROKER_BUSY'
  /** Not sent: an earlier message of the same sharding key failed (`cause`). */
  | 'ERR_ROCKETMQ_ORDER_BROKEN'
  /** The reason of a handler's signal: the queue may belong to another consumer now; of a warning: another client keeps a queue's lock. */
  | 'ERR_ROCKETMQ_LOCK_LOST'
  /** A stored message that cannot be decoded. */
  | 'ERR_ROCKETMQ_UNDECODABLE'
  /** Messages lie, or are being written, in queues that the topic's route lets nobody read. */
  | 'ERR_ROCKETMQ_UNREAD_QUEUE'
  /** A tag or SQL expression was refused; as a `warning` and in `health()`: members of the group do not subscribe alike. */
  | 'ERR_ROCKETMQ_FILTER'
  /** A handler blocks its queue, returned something that is no outcome, or still runs at the end of `close()`. */
  | 'ERR_ROCKETMQ_HANDLER'
  /** Thrown by `require` and `import`: no native side for this platform, or one that does not load here; the text says which there are. */
  | 'ERR_ROCKETMQ_PLATFORM'
  /** `offsetFile` is torn, of another group, in use, or cannot be read; as a `warning`: it cannot be written. */
  | 'ERR_ROCKETMQ_OFFSET_FILE'
  /** In `warning` and `health()`: members of the group differ in their `messageModel`. */
  | 'ERR_ROCKETMQ_MESSAGE_MODEL'
  /** Messages of a queue are gone before anybody handled them, or its store is another one and some come again. */
  | 'ERR_ROCKETMQ_OFFSET_RESET'
  /** A defect of this package; please report it. */
  | 'ERR_ROCKETMQ_INTERNAL'

/** What a {@link RocketMQError} carries beside its code and text. */
export interface ErrorDetails {
  /** Default: what the code says. */
  retriable?: boolean | undefined
  /** See {@link RocketMQError.outcome}. */
  outcome?: 'not-stored' | 'unknown' | undefined
  /** See {@link RocketMQError.msgId}. */
  msgId?: string | undefined
  /** See {@link RocketMQError.brokerCode}. */
  brokerCode?: number | undefined
  /** See {@link RocketMQError.address}. */
  address?: string | undefined
  /** See {@link RocketMQError.topic}. */
  topic?: string | undefined
  /** See {@link RocketMQError.queue}. */
  queue?: MessageQueue | undefined
  /** See {@link RocketMQError.cause}. */
  cause?: unknown
}

/** The one error class of this package: tell failures apart by `code`. */
export class RocketMQError extends Error {
  /** For tests of your own; the package makes its errors itself. */
  constructor(code: ErrorCode, message: string, details?: ErrorDetails)
  /** Always `'RocketMQError'`. */
  readonly name: 'RocketMQError'
  /** What kind of failure this is. */
  readonly code: ErrorCode
  /** The same call may succeed later (and duplicate the message, if `outcome` is `'unknown'`). */
  readonly retriable: boolean
  /** Of a failed send: never stored, or possibly stored, now or later. So of offsets that `commit()` and `seek()` could not store. */
  readonly outcome?: 'not-stored' | 'unknown'
  /** Of a send that reached the wire: to look the message up or to deduplicate by. */
  readonly msgId?: string
  /** The broker's own response code. */
  readonly brokerCode?: number
  /** The peer, `host:port`. */
  readonly address?: string
  /** The topic, without namespace. */
  readonly topic?: string
  /** The queue. */
  readonly queue?: MessageQueue
  /** What led to this failure. */
  readonly cause?: unknown
  /**
   * What `JSON.stringify` makes of it: everything but the stack, of `cause` its name, message, code and own causes. Also what to post to
   * another thread: a structured clone of any error keeps `message`, `stack` and `cause` alone.
   */
  toJSON(): { name: 'RocketMQError'; code: ErrorCode; message: string } & ErrorDetails
}

/** Who is at the other end of a connection: one that keeps messages, or one that knows where brokers are. */
export type ServerKind = 'broker' | 'nameServer'

/**
 * Events of producers and consumers, with their arguments. Background faults are events and never crash the process. With
 * no logger and no listener of the event or of `warning`, the first `warning`, `suspended`, `undecodable` and `offsetReset` per code and
 * topic goes to `process.emitWarning` with the type `RocketMQWarning`, and says why.
 */
export interface ClientEvents {
  /** A background fault; the client goes on by itself. */
  warning: [RocketMQError]
  /** A connection to `host:port` was made. */
  connected: [address: string, detail: { readonly server: ServerKind }]
  /** A connection to `host:port` has ended. */
  disconnected: [address: string, detail: { readonly server: ServerKind }]
  /** A topic's queues have changed; these are the new ones. */
  routeChanged: [topic: string, queues: readonly MessageQueue[]]
  /** `close()` is through: the last event. */
  close: []
}

/** How a client is, at this moment. */
export interface Health {
  /** Running, and no problem known. */
  readonly ok: boolean
  /** What is wrong: not running, a peer that cannot be reached, a queue that a failing handler blocks, … */
  readonly problems: readonly RocketMQError[]
}

/** An `EventEmitter` with checked event names, and what {@link Producer} and {@link PushConsumer} share. */
export abstract class Client<Events> implements AsyncDisposable {
  /** The group, as given. */
  readonly groupId: string
  /** The id that brokers know this client by; empty before `start()`. */
  readonly clientId: string
  /** Where in its life the client is. After a `start()` that failed it is `'idle'` again. */
  readonly state: 'idle' | 'starting' | 'running' | 'closing' | 'closed'
  /** The sample's call: replaces the `nameServer` option. Throws `ERR_ROCKETMQ_INVALID_STATE` after `start()`. */
  setNameServerAddress(address: string): this
  /** The sample's call: replaces the `credentials` option. Throws `ERR_ROCKETMQ_INVALID_STATE` after `start()`. */
  setSessionCredentials(accessKey: string, secretKey: string, channel?: string): this
  /**
   * Connects, and waits for name servers and brokers that are not up yet, within `startTimeoutMs`; what time does not mend
   * rejects at once. When the time is up, the error says what was waited for, and is `retriable`. A second call returns the same
   * promise; after a failure nothing is left running and it may be called again. Rejects with `ERR_ROCKETMQ_CONNECTION` or
   * `ERR_ROCKETMQ_TIMEOUT` (nobody answers), `ERR_ROCKETMQ_TLS`, `ERR_ROCKETMQ_NO_MASTER` (no broker is registered), `ERR_ROCKETMQ_ACCESS_DENIED`, `ERR_ROCKETMQ_TOPIC_NOT_FOUND`, `ERR_ROCKETMQ_GROUP_NOT_FOUND`, `ERR_ROCKETMQ_FILTER`,
   * `ERR_ROCKETMQ_ABORTED`, `ERR_ROCKETMQ_CLOSED`. A started client keeps the process alive until `close()`.
   */
  start(): Promise<this>
  /** How the client is, at this moment; asks nobody. */
  health(): Health
  /**
   * Ends the client within `timeoutMs` (1..2147483647; default `closeTimeoutMs`): a producer sends what waits; a consumer lets
   * its handlers finish, commits, unlocks and unregisters. A second call returns the same promise. Never rejects, except with
   * `ERR_ROCKETMQ_INVALID_ARGUMENT`.
   */
  close(options?: { timeoutMs?: number | undefined }): Promise<void>
  /** The sample's name of {@link Client.close}: the same function. */
  shutdown(options?: { timeoutMs?: number | undefined }): Promise<void>
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
  /** Listens to an event. An unknown name is warned about once. */
  on<K extends keyof Events & string>(
    event: K,
    listener: (...args: Events[K] extends unknown[] ? Events[K] : never) => void,
  ): this
  /** Listens to an event once. */
  once<K extends keyof Events & string>(
    event: K,
    listener: (...args: Events[K] extends unknown[] ? Events[K] : never) => void,
  ): this
  /** What `JSON.stringify` makes of it: who it is. */
  toJSON(): { groupId: string; clientId: string; state: string }
  /** Stops listening. */
  off<K extends keyof Events & string>(
    event: K,
    listener: (...args: Events[K] extends unknown[] ? Events[K] : never) => void,
  ): this
  /** The same as {@link Client.on}. */
  addListener<K extends keyof Events & string>(
    event: K,
    listener: (...args: Events[K] extends unknown[] ? Events[K] : never) => void,
  ): this
  /** The same as {@link Client.off}. */
  removeListener<K extends keyof Events & string>(
    event: K,
    listener: (...args: Events[K] extends unknown[] ? Events[K] : never) => void,
  ): this
}

// ---------------------------------------------------------------- producer

/** How a stored message was stored. All four mean stored: none of them is sent again. */
export const SendStatus: {
  /** As safe as the broker is configured to be. */
  readonly OK: 0
  /** Stored, the flush to disk was not confirmed in time. */
  readonly FLUSH_DISK_TIMEOUT: 1
  /** Stored, the copy to a slave was not confirmed in time. */
  readonly FLUSH_SLAVE_TIMEOUT: 2
  /** Stored on the master only. */
  readonly SLAVE_NOT_AVAILABLE: 3
}
/** One of {@link SendStatus}. */
export type SendStatus = 0 | 1 | 2 | 3

/** What is known of a stored message. */
export interface SendResult {
  /** How it was stored. */
  readonly status: SendStatus
  /** The unique id given by the client; the same for every attempt, and what the consumer sees as `msgId`. */
  readonly msgId: string
  /** The broker's id of this copy. */
  readonly offsetMsgId: string
  /** The queue it is in. */
  readonly queue: MessageQueue
  /** Its place in that queue, from 0. */
  readonly queueOffset: number
}

/** Options of one send. */
export interface SendOptions {
  /**
   * Takes the message out while it waits (`ERR_ROCKETMQ_ABORTED`, and its key's successors with
   * `ERR_ROCKETMQ_ORDER_BROKEN`, unless it is their signal, too); once it is on the wire it has no effect. Default: none.
   */
  signal?: AbortSignal | undefined
  /** Instead of `sendTimeoutMs`, for this call; 1..2147483647. */
  timeoutMs?: number | undefined
}

/**
 * How a sharding key becomes a queue: as Apache's Java client does it (`'java'`), Alibaba Cloud's (`'ons'`), the Go client with its hash selector
 * (`'go'`), the C++ and Python clients by sharding key (`'cpp'`), a gRPC proxy of 5.x for a message group (`'proxy'`); or a function, which
 * returns an index of `queues`, those that {@link Producer.queues} lists.
 *
 * A function is called at each send, and once more for keys that wait when the queues become known or change. The same key should get the same
 * index for the same queues. While anything of a key is unresolved, the key stays in its queue, whatever the function says. What it
 * throws, or an index that is none, refuses the send (`ERR_ROCKETMQ_INVALID_ARGUMENT`).
 */
export type ShardingHash =
  'java' | 'ons' | 'go' | 'cpp' | 'proxy' | ((shardingKey: string, queues: readonly MessageQueue[]) => number)

/** Options of a {@link Producer}. An unknown option is refused, not ignored. */
export interface ProducerOptions extends ClientOptions {
  /** Topics that `start()` checks: route, permission to write, credentials. Default: none. */
  topics?: readonly string[] | undefined
  /** Which queue a key belongs to. Who sends to a topic together must do it alike. Default: `'java'`. */
  shardingHash?: ShardingHash | undefined
  /**
   * What leaves together. `'queue'`: what waits for a queue, as one request; `'key'`: one sharding key per request (Alibaba
   * Cloud); `'off'`: single requests. Default `'auto'`: `'key'` on Alibaba Cloud endpoints, else `'queue'`. Un-awaited sends
   * keep their order per sharding key in every mode, and over the whole queue with `'queue'` and `'off'`.
   */
  batching?: 'auto' | 'queue' | 'key' | 'off' | undefined
  /** Bound of a send from its call: waiting, every attempt, everything. Milliseconds, 1..2147483647. Default: 30000. */
  sendTimeoutMs?: number | undefined
  /**
   * High-water mark of what the producer holds, in messages, 1..2147483647. Nothing is refused above it; `ready()` waits until less is held,
   * `stats().waiting` counts what is above, and a `warning` tells once of eight times as much. Default: 65536.
   */
  maxPendingMessages?: number | undefined
  /** As `maxPendingMessages`, in bytes of bodies and properties, 1..2147483647. Default: 64 MiB. */
  maxPendingBytes?: number | undefined
  /**
   * What becomes of the keys of a broker that leaves the route. `'follow'`: a key moves to another broker's queue once nothing of it
   * is unresolved; `'hold'`: it stays, and its sends wait and time out. A broker that changes its number of queues moves keys either
   * way. Default: `'follow'`.
   */
  onRouteChange?: 'follow' | 'hold' | undefined
  /** Largest body before it is compressed, in bytes, 1..16711680; brokers refuse more than 4 MiB unless configured otherwise. Default: 4 MiB. */
  maxMessageBytes?: number | undefined
  /**
   * Compresses the bodies of single sends, from `compressOverBytes` on, where that makes them smaller; large ones on threads of its own, in the order of
   * their keys. Such a message travels alone: it shares a request with no other, so small ones are sent faster without. Readers of this package and
   * the Java clients 4.9.7 and 5.5.0 read all three; clients that do not know the others take them for zlib, and cannot read them.
   * Default: none, nothing is compressed.
   */
  compression?: 'zlib' | 'lz4' | 'zstd' | undefined
  /** The smallest body that `compression` compresses, in bytes, 1..2147483647. Default: 4096. */
  compressOverBytes?: number | undefined
}

/** Counts of a {@link Producer}; all of them since `start()`, except the first three, which are of this moment. */
export interface ProducerStats {
  /** Messages above the high-water mark (`maxPendingMessages`, `maxPendingBytes`). */
  readonly waiting: number
  /** Messages held: waiting, or not yet answered. */
  readonly pendingMessages: number
  /** Their bodies and properties, in bytes. */
  readonly pendingBytes: number
  /** Messages stored. */
  readonly sent: number
  /** Messages that failed for good. */
  readonly failed: number
  /** Send requests written. */
  readonly requests: number
  /** Send requests written again. */
  readonly retries: number
}

/**
 * Sends messages in order per sharding key, also when the sends are not awaited one by one.
 *
 * A message that fails takes everything of its key with it that was called before its rejection was delivered
 * (`ERR_ROCKETMQ_ORDER_BROKEN`), so that a retry by the caller cannot end up behind its successors.
 *
 * @example
 * ```ts
 * import { Producer } from 'rocketmq-orderly'
 *
 * const producer = await new Producer({ groupId: 'GID_shop', nameServer: '127.0.0.1:9876' }).start()
 * const { queue, queueOffset } = await producer.sendOrderly({ topic: 'orders', body: 'paid' }, 'order-4711')
 * console.log(queue.queueId, queueOffset)
 * await producer.close()
 * ```
 */
export class Producer extends Client<ClientEvents> {
  /** `new Producer({ groupId, … })`, or the sample's shape `new Producer(groupId, true)`. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT`. */
  constructor(options: ProducerOptions | string, orderly?: true)
  /**
   * Sends one message; resolves when it is stored. `shardingKey` (non-empty) chooses the queue: equal keys, equal order.
   * It is never refused for want of room: above the high-water mark (`maxPendingMessages`) memory is the caller's choice. Rejects with `ERR_ROCKETMQ_INVALID_ARGUMENT`,
   * `ERR_ROCKETMQ_INVALID_STATE`, `ERR_ROCKETMQ_CLOSED`, `ERR_ROCKETMQ_ABORTED`, `ERR_ROCKETMQ_TIMEOUT`,
   * `ERR_ROCKETMQ_ORDER_BROKEN`, or what the broker or the connection said; `outcome` tells whether it may be stored.
   */
  sendOrderly(message: MessageInit, shardingKey: string, options?: SendOptions): Promise<SendResult>
  /** The sample's name of {@link Producer.sendOrderly}: the same function. */
  sendOrderlyWithShardingKey(message: MessageInit, shardingKey: string, options?: SendOptions): Promise<SendResult>
  /**
   * Sends messages of one topic as one request: stored whole or not at all, at consecutive offsets; together, with properties
   * and some bytes each, at most `maxMessageBytes`. Order and errors as {@link Producer.sendOrderly}.
   */
  sendOrderlyBatch(messages: readonly MessageInit[], shardingKey: string, options?: SendOptions): Promise<SendResult[]>
  /**
   * A stream in object mode that sends each message it is given, as {@link Producer.sendOrderly} with the key that `shardingKey` returns:
   * in order, and no faster than there is room for (`ready()`): `await pipeline(rows, producer.writable({ shardingKey: … }))`.
   *
   * It finishes when all of it is stored. The first error of a send, or of `shardingKey`, destroys it with that error, and `signal` with
   * `ERR_ROCKETMQ_ABORTED`. Once it is destroyed it sends nothing more, and takes out what still waits. Throws
   * `ERR_ROCKETMQ_INVALID_ARGUMENT`, `ERR_ROCKETMQ_INVALID_STATE`, `ERR_ROCKETMQ_CLOSED`.
   */
  writable(options: { shardingKey: (message: MessageInit) => string; signal?: AbortSignal | undefined }): Writable
  /** The writable queues of a topic, in the order that sharding keys are hashed over. Rejects with `ERR_ROCKETMQ_TOPIC_NOT_FOUND`. */
  queues(topic: string): Promise<readonly MessageQueue[]>
  /** Resolves when less is held than the high-water mark, so that there is room for another. Rejects with `ERR_ROCKETMQ_ABORTED`, `ERR_ROCKETMQ_CLOSED`. */
  ready(options?: { signal?: AbortSignal | undefined }): Promise<void>
  /** Resolves when every send made so far has settled, one way or the other. Never rejects. */
  flush(): Promise<void>
  /** Counts of this producer. */
  stats(): ProducerStats
}

// ---------------------------------------------------------------- consumer

/** The two plain outcomes of a handler. */
export const ConsumeStatus: {
  /** Done; the same as returning nothing. */
  readonly CONSUME_SUCCESS: 'CONSUME_SUCCESS'
  /** The same message again after `suspendMs`; its queue is held. The same as throwing. */
  readonly RECONSUME_LATER: 'RECONSUME_LATER'
}
/** One of {@link ConsumeStatus}. */
export type ConsumeStatus = 'CONSUME_SUCCESS' | 'RECONSUME_LATER'

declare const outcome: unique symbol
/** The outcome made by {@link suspend}. */
export interface Suspend {
  /** Tells outcomes from other objects. */
  readonly [outcome]: 'suspend'
  /** Milliseconds until the message is handled again, 10..900000. */
  readonly suspendMs: number
}
/** The outcome made by {@link deadLetter}. */
export interface DeadLetter {
  /** Tells outcomes from other objects. */
  readonly [outcome]: 'deadLetter'
  /** Why, for the event and the log. */
  readonly reason?: string
}
/** An outcome: this message again after `ms` (an integer, 10..900000), its queue is held. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT`. */
export function suspend(ms: number): Suspend
/** An outcome: this message to the group's dead-letter queue now, then on with the next. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT`. */
export function deadLetter(reason?: string): DeadLetter
/**
 * What a handler can say, by returning or by throwing it. Anything else it returns (`0`, `true`, a row count) is a `warning`
 * and counts as `RECONSUME_LATER`, anything else it throws as `RECONSUME_LATER`: no message is ever skipped.
 */
export type ConsumeOutcome = ConsumeStatus | Suspend | DeadLetter

/**
 * A message as the handler gets it. A spread, `JSON.stringify`, `structuredClone` and `postMessage` copy all its fields, not `text()` and
 * `json()`; the body becomes what `Buffer.from()` makes a Buffer of again.
 */
export interface ReceivedMessage {
  /** The topic, without namespace. */
  readonly topic: string
  /** The tag. */
  readonly tags?: string
  /** The business keys; empty when there are none. */
  readonly keys: readonly string[]
  /**
   * The payload; may be empty when another client sent it. Small ones are parts of a `buffer` that they share, as those that `Buffer.from()`
   * makes: mind `byteOffset`, and copy what you transfer to another thread.
   */
  readonly body: Buffer
  /** The sender's own properties, without prototype. */
  readonly properties: Readonly<Record<string, string>>
  /** RocketMQ's own (`UNIQ_KEY`, `__SHARDINGKEY`, `CLUSTER`, …), without prototype. */
  readonly systemProperties: Readonly<Record<string, string>>
  /** The unique id given by the sender: deduplicate by it, or by a business key. */
  readonly msgId: string
  /** The broker's id of this copy. */
  readonly offsetMsgId: string
  /** The queue it was read from. */
  readonly queue: MessageQueue
  /** Its place in that queue. */
  readonly queueOffset: number
  /** The sharding key, where the sender wrote one (this package and Alibaba Cloud's clients do). */
  readonly shardingKey?: string
  /** How often a handler has failed on it before, as this consumer counts. */
  readonly reconsumeTimes: number
  /** When it was sent, milliseconds since the epoch, by the sender's clock. */
  readonly bornTimestamp: number
  /** When it was stored, milliseconds since the epoch, by the broker's clock. */
  readonly storeTimestamp: number
  /** The sender, `host:port`. */
  readonly bornHost: string
  /** The broker, `host:port`. */
  readonly storeHost: string
  /** The body as UTF-8 text. */
  text(): string
  /** The body as JSON. Throws `SyntaxError`. */
  json<T = unknown>(): T
}

/** What a handler gets beside its message. */
export interface ConsumeContext {
  /** The queue, of which (with `concurrency.by: 'key'`: of whose sharding key) at most one handler runs in the whole group. */
  readonly queue: MessageQueue
  /** `reconsumeTimes + 1`. */
  readonly attempt: number
  /**
   * Aborted by `handlerTimeoutMs`, by a lost lock, or when `close()` runs out of time; its reason is a {@link RocketMQError}:
   * `ERR_ROCKETMQ_TIMEOUT`, `ERR_ROCKETMQ_LOCK_LOST`, `ERR_ROCKETMQ_CLOSED`.
   */
  readonly signal: AbortSignal
}

/** Handles one message at a time per queue, or per sharding key with `concurrency.by: 'key'`. Every call begins in the async context of `start()`. */
export type Handler = (
  message: ReceivedMessage,
  context: ConsumeContext,
) => ConsumeOutcome | void | Promise<ConsumeOutcome | void>

/** What a {@link BatchHandler} gets beside its messages. Its `attempt` is that of the first of them. */
export interface BatchContext extends ConsumeContext {
  /**
   * The first `count` messages are handled: they do not come again, whatever becomes of the others, and are committed while the handler goes on
   * (the last message of the call once the handler has ended).
   * May be called again with a higher count. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT` for a count that is lower than before or higher than there are
   * messages, `ERR_ROCKETMQ_INVALID_STATE` after the handler has ended.
   */
  done(count: number): void
}

/**
 * Handles several messages of one topic and one queue, in their order. A success is that of all of them. A failure holds from the first message that
 * is not `done()`: that one is in the `suspended` event, counts the attempt, and is the first that comes again.
 */
export type BatchHandler = (
  messages: readonly ReceivedMessage[],
  context: BatchContext,
) => ConsumeOutcome | void | Promise<ConsumeOutcome | void>

/** How {@link PushConsumer.subscribeBatch} hands messages over. */
export interface BatchOptions {
  /** As that of {@link PushConsumer.subscribe}. */
  expression?: FilterExpression | undefined
  /** Most messages of a call, 1..1024. What is there comes, nobody waits for more; a call has at most 256 KiB of bodies, or one message. Default: 32. */
  maxMessages?: number | undefined
  /**
   * Whose messages a call has: of a queue, as they follow each other (`'queue'`, the default), or of one sharding key (`'key'`). Where a whole queue is handled
   * in order, the latter are those that follow each other; with `concurrency.by: 'key'` a call always has the messages of one key.
   */
  groupBy?: 'queue' | 'key' | undefined
}

/**
 * What of a topic is wanted: tags (`'TagA || TagB'`, `'*'`), or an SQL92 condition over properties. Tags are compared whole, and nothing but `||`
 * stands between them: what would match nothing, such as `'a, b'`, `'a | b'`, `'a OR b'` or `'a*'`, is refused. All members of a group subscribe
 * the same topics with the same expressions.
 */
export type FilterExpression = string | { tags: string } | { sql92: string }

/** Options of a {@link PushConsumer}. An unknown option is refused, not ignored. */
export interface PushConsumerOptions extends ClientOptions {
  /**
   * Where a group begins in a queue in which it has committed nothing: `'last'`, nothing stored after `start()` resolved is skipped;
   * `'first'`, the oldest message there is; a `Date`, the first message stored at or after it. A 4.x broker that still has a queue's
   * first message in memory begins there in any case: more is delivered, never less. Default: `'last'`.
   */
  initialPosition?: 'last' | 'first' | Date | undefined
  /**
   * `max`, or the number alone: handlers at once, over all queues, 1..2147483647. Default: 20. Queues take turns, and so do keys of a queue.
   *
   * `by`: what is handled in order. `'queue'` (default): all messages of a queue, which never has two handlers. `'key'`: the messages of a
   * queue that have the same sharding key, and those that have none; different keys of a queue are handled at once, and a message that fails
   * holds its key alone. What is committed are the messages up to the first that is not done, so a crash repeats up to
   * `prefetch.messages` messages of a queue that lie behind it, in the order of their keys.
   */
  concurrency?: number | { max?: number | undefined; by?: 'queue' | 'key' | undefined } | undefined
  /**
   * `'clustering'`: every message goes to one member of the group. `'broadcasting'`: every member handles every message, in order per queue, without locks,
   * and keeps its own offsets: see {@link PushConsumerOptions.offsetFile}. A failing handler holds its queue as ever; there is no dead-letter queue, so
   * `deadLetter()` and `maxReconsumeTimes` skip the message, with a `warning` for each, counted in `stats().skipped`. All members of a group have the
   * same model. Default: `'clustering'`.
   */
  messageModel?: 'clustering' | 'broadcasting' | undefined
  /**
   * How often a message is tried again before it goes to the dead-letter queue: 0 (at its first failure) to 2147483647, or
   * `Infinity`. Default: `Infinity`.
   */
  maxReconsumeTimes?: number | undefined
  /**
   * How long a queue is held after a failure, in milliseconds, 10..900000. As an object, it grows with every failure of the
   * same message: `initialMs`, times `factor` (1..1000), up to `maxMs`. Default: 1000.
   */
  suspendMs?: number | { initialMs: number; factor: number; maxMs: number } | undefined
  /**
   * After how many milliseconds (1..2147483647) the handler's signal is aborted. Frees nothing: the queue is held until the
   * handler ends, and its late outcome counts. Default: none; then a handler that runs for 60 s is a `warning`, and nothing is aborted.
   */
  handlerTimeoutMs?: number | undefined
  /**
   * What becomes of a stored message that cannot be decoded: its bytes are damaged, or compressed by neither zlib, LZ4 nor Zstandard. It is never
   * delivered, in any case counted (`stats().undecodable`), and told as an `undecodable` event. `'hold'`: it holds its queue. `'deadLetter'`: once everything
   * before it is handled (with `concurrency.by: 'key'`, at once), its bytes as they were stored go to the group's dead-letter queue, as the body of a message that any client can read, with its
   * properties, `UNDECODABLE_REASON`, and `UNDECODABLE_SYS_FLAG`, the bit set that says how they were to be read; the queue is held until the broker
   * has acknowledged that. `'skip'`: the queue goes past it, and nobody handles it. Default: `'hold'`.
   */
  onUndecodable?: 'hold' | 'deadLetter' | 'skip' | undefined
  /**
   * What is fetched ahead: `messages` per queue (default 1000), `bytes` over all queues (default 64 MiB); both 1..2147483647. With
   * `concurrency.by: 'key'`, `messages` counts from the first message that is not done, with those behind it that are.
   */
  prefetch?: { messages?: number | undefined; bytes?: number | undefined } | undefined
  /** How often a changed offset is committed, in milliseconds, 1..2147483647. Default: 1000. */
  commitIntervalMs?: number | undefined
  /**
   * Only with `messageModel: 'broadcasting'`: the file in which this consumer keeps its offsets, in a folder that exists; a relative path is resolved when
   * the consumer is made. It is replaced atomically about every `commitIntervalMs`, and by `close()`. One consumer at a time owns it, by a lock on a file
   * beside it (`.lock`). A file that is torn, of another group, or in use makes `start()` reject with `ERR_ROCKETMQ_OFFSET_FILE`, and is left as it is.
   * `initialPosition` holds for queues of which the file has no offset. Default: none, offsets live in memory, and `initialPosition` holds at every start.
   */
  offsetFile?: string | undefined
}

/** The message that holds a queue, or its key. */
export interface BlockedBy {
  /** Its unique id. */
  readonly msgId: string
  /** Its sharding key, if it has one. */
  readonly shardingKey?: string
  /** Its place in the queue. */
  readonly queueOffset: number
  /** How often it has been handled. */
  readonly attempt: number
  /** Since when, milliseconds since the epoch. */
  readonly since: number
  /** What the handler threw last, as it is; `JSON.stringify` takes of an error what {@link RocketMQError.toJSON} tells. */
  readonly cause?: unknown
}

/** Why a queue goes on at another offset. */
export type ResetReason =
  /** An administrator has moved the group. */
  | 'administrator'
  /** The broker has deleted messages, or cannot read them, before the group came to them: nobody handles them. */
  | 'deleted'
  /** The topic was made anew, or its broker set back to an older state: the group goes back, so that nothing is skipped. */
  | 'store-set-back'

/** An offset that was moved by others. */
export interface OffsetReset {
  /** The next offset to be handled before. */
  readonly from: number
  /** The next offset to be handled then. */
  readonly to: number
  /** Why. */
  readonly reason: ResetReason
  /** When, milliseconds since the epoch. */
  readonly at: number
}

/** A queue that this consumer owns, or is about to. */
export interface QueueState extends MessageQueue {
  /** Where in its life the queue is. */
  readonly state: 'locking' | 'positioning' | 'running' | 'suspended' | 'paused' | 'draining'
  /** The next offset the group would begin at; `undefined` where the broker has not told it, or may not tell it to this account. */
  readonly committedOffset: number | undefined
  /** The next offset to be handled; `undefined` until the queue is ours. */
  readonly nextOffset: number | undefined
  /** Messages stored and not committed, also while the queue waits for its lock; `undefined` where one of the two is unknown. */
  readonly lag: number | undefined
  /**
   * When the next message to be handled was stored, by the broker's clock, in ms since 1970: what the queue is behind by, in time. Absent while that
   * message is not in memory, as when there is none.
   */
  readonly nextStoredAt?: number
  /** Handlers running: 0 or 1, or with `concurrency.by: 'key'` as many as keys are handled. */
  readonly inFlight: number
  /** When the queue came into this state, in ms since 1970. */
  readonly since: number
  /** When the running handler was called, of several the one that runs longest, in ms since 1970, while one runs. */
  readonly runningSince?: number
  /**
   * The message that holds the queue, while one does; with `concurrency.by: 'key'` the first of those that hold their keys. All other keys
   * go on until as many messages are handled behind it as `prefetch.messages` says: then the queue's `state` is `'suspended'`.
   */
  readonly blockedBy?: BlockedBy
  /** With `concurrency.by: 'key'`: keys that a failing message holds. */
  readonly blockedKeys?: number
  /** The last time that the broker or an administrator has moved the offset, while this consumer had the queue. */
  readonly lastReset?: OffsetReset
}

/** Counts of a {@link PushConsumer}. */
export interface ConsumerStats {
  /** Queues owned, or on their way in or out. */
  readonly queues: number
  /** Queues held by a failing handler, or by a message that cannot be decoded: nothing of them goes on. */
  readonly blockedQueues: number
  /** Keys held by a failing handler, with `concurrency.by: 'key'`; else 0. */
  readonly blockedKeys: number
  /** Handlers running. */
  readonly running: number
  /** Messages handled since `start()`. */
  readonly consumed: number
  /** Handler calls that failed since `start()`. */
  readonly failed: number
  /** Messages that went to the dead-letter queue since `start()`. */
  readonly deadLettered: number
  /** Messages that could not be decoded since `start()`, whatever became of them: see {@link PushConsumerOptions.onUndecodable}. */
  readonly undecodable: number
  /** Messages that were passed over since `start()`, handled by no handler and in no dead-letter queue. */
  readonly skipped: number
  /** Messages fetched and not yet handled. */
  readonly buffered: number
  /** Their bytes. */
  readonly bufferedBytes: number
  /** Messages stored and not committed, over all those queues, as far as it is known: see {@link QueueState.lag}. */
  readonly lag: number
}

/** Events of a {@link PushConsumer}, with their arguments. */
export interface ConsumerEvents extends ClientEvents {
  /** Queues are ours: locked and positioned. */
  assigned: [queues: readonly MessageQueue[]]
  /** Queues are no longer ours: drained, committed and unlocked. */
  revoked: [queues: readonly MessageQueue[]]
  /** A queue's lock is lost: another consumer may handle it now. */
  lockLost: [queue: MessageQueue]
  /** A handler failed (`RECONSUME_LATER`, `suspend()`, a throw, no outcome): the message comes again after `delayMs`. */
  suspended: [message: ReceivedMessage, detail: { delayMs: number; cause?: unknown }]
  /** A message is in the dead-letter queue; `cause` is the reason of `deadLetter()`, or what the handler threw last. */
  deadLetter: [message: ReceivedMessage, detail: { cause?: unknown }]
  /**
   * The broker or an administrator has moved the group's offset. Unless it was an administrator, messages are lost or come again: then it is
   * a problem in `health()` for ten minutes, and a `warning` where nobody listens to this event.
   */
  offsetReset: [queue: MessageQueue, detail: { from: number; to: number; reason: ResetReason }]
  /** A stored message cannot be decoded: the error names its offset, its id where that can be read, and what became of it. See `onUndecodable`. */
  undecodable: [queue: MessageQueue, error: RocketMQError]
}

/**
 * Handles messages in order: of one queue (or with `concurrency.by: 'key'` of one sharding key in it) at most one handler runs, in the whole group. At least once: after a crash or a lost
 * lock, messages not yet committed are handled again, in order.
 *
 * @example
 * ```ts
 * import { PushConsumer } from 'rocketmq-orderly'
 *
 * const consumer = new PushConsumer({ groupId: 'GID_billing', nameServer: '127.0.0.1:9876' })
 * consumer.subscribe('orders', async (message) => console.log(message.shardingKey, message.text()))
 * await consumer.start()
 * process.once('SIGTERM', () => consumer.close()) // handlers finish, offsets are committed, queues are handed over
 * ```
 */
export class PushConsumer extends Client<ConsumerEvents> {
  /** `new PushConsumer({ groupId, … })`, or the sample's shape `new PushConsumer(groupId, true)`. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT`. */
  constructor(options: PushConsumerOptions | string, orderly?: true)
  /**
   * Handles a topic. Before `start()`; one handler per topic. `expression` defaults to `'*'`. Throws
   * `ERR_ROCKETMQ_INVALID_ARGUMENT`, `ERR_ROCKETMQ_INVALID_STATE`, `ERR_ROCKETMQ_CLOSED`; `ERR_ROCKETMQ_FILTER` for an expression that would
   * match nothing, with what may have been meant. A condition is checked by a broker, in `start()`.
   */
  subscribe(topic: string, handler: Handler, expression?: FilterExpression): this
  /**
   * As `subscribe()`, with a handler that gets several messages at once.
   *
   * @example
   * ```ts
   * consumer.subscribeBatch('orders', async (messages, { done }) => {
   *   for (const [i, message] of messages.entries()) {
   *     await save(message)
   *     done(i + 1) // what is saved does not come again, though the next one fails
   *   }
   * })
   * ```
   */
  subscribeBatch(topic: string, handler: BatchHandler, options?: BatchOptions): this
  /**
   * Handlers of everything, of a topic, or of a queue no longer start, from this call on; what runs ends in peace, and is committed. Queues keep their
   * locks, and are handed over as any other. A pause outlives rebalances, and may be set before `start()`. While a whole topic is paused, messages that
   * `RECONSUME_LATER` of other clients of the group has brought into its retry topic stand still, too. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT` for a topic
   * without a subscription, and `ERR_ROCKETMQ_CLOSED`.
   */
  pause(target?: string | MessageQueue): void
  /**
   * Lifts the pause of a queue, of a topic with its queues, or, without a target, every pause. Throws `ERR_ROCKETMQ_INVALID_STATE` where more than the
   * target is paused and it would stay so; otherwise as `pause()`.
   */
  resume(target?: string | MessageQueue): void
  /**
   * Instead of `subscribe()`, once per consumer: the messages of a topic for a `for await` loop, one at a time over all queues. The first `next()` starts
   * the consumer, and rejects if that fails. Asking for the next message acknowledges the one before as handled. Leaving the loop (`break`, `return`, a
   * throw), `close()` and `signal` end it and close the consumer, and the message that the loop is at work on is not committed: its next owner handles
   * it. Nobody else has its queue before the loop asks for more or is left, within `closeTimeoutMs`. After the end, `next()` is done. `expression`
   * defaults to `'*'`. Throws as `subscribe()`, and for a `concurrency` other than 1.
   *
   * @example
   * ```ts
   * import { PushConsumer } from 'rocketmq-orderly'
   *
   * for await (const message of new PushConsumer({ groupId: 'GID_billing', nameServer: '127.0.0.1:9876' }).messages('orders')) {
   *   console.log(message.shardingKey, message.text())
   * }
   * ```
   */
  messages(
    topic: string,
    options?: { expression?: FilterExpression | undefined; signal?: AbortSignal | undefined },
  ): AsyncIterableIterator<ReceivedMessage>
  /**
   * Has a queue of this consumer go on elsewhere: at an offset, with the `'first'` message there is, behind the `'last'` one, or with the first message
   * stored at or after a `Date`. Nothing starts at the old position from this call on; a handler that runs ends in peace, then the new position is
   * committed, and acknowledged when this resolves. Going back repeats in order, going forward skips what lies between; attempts of a failing message
   * are forgotten, a pause stays. Calls for one queue are obeyed one after the other, so the later wins. A handler that seeks in its own queue does not
   * await it: it would wait for itself, which is a `warning` after 10 s. Rejects, and nothing moves, with `ERR_ROCKETMQ_INVALID_ARGUMENT` for an offset
   * that does not lie in the queue (its end does), `ERR_ROCKETMQ_INVALID_STATE` for a queue that is not this consumer's, `ERR_ROCKETMQ_LOCK_LOST` where it
   * was lost meanwhile, `ERR_ROCKETMQ_CLOSED`, or what the broker says three times.
   */
  seek(queue: MessageQueue, to: number | 'first' | 'last' | Date): Promise<void>
  /**
   * Resolves when what is handled at the call is acknowledged by the brokers, of all queues of this consumer; where nothing is new, at once. A refusal or
   * a silent broker is tried again for `requestTimeoutMs`; then it rejects with what has kept it from its end, whose `outcome` tells whether it may have
   * been committed, and it is tried again in the background. `ERR_ROCKETMQ_LOCK_LOST`: the lock of a queue was lost meanwhile, and others handle those
   * messages again. Of several queues the first failure says how many there are, and its `cause` is an `AggregateError` of all. Also rejects with
   * `ERR_ROCKETMQ_INVALID_STATE` before `start()`, and `ERR_ROCKETMQ_CLOSED`.
   */
  commit(): Promise<void>
  /** The queues of this consumer, with what blocks them. Empty before `start()` and after `close()`. */
  assignment(): readonly QueueState[]
  /** Counts of this consumer. */
  stats(): ConsumerStats
}

// ---------------------------------------------------------------- what observers see

/**
 * The channels of `node:diagnostics_channel` on which every client of the process tells what it does. `send`, `process` and `connect` are tracing
 * channels (`tracingChannel(CHANNELS.send)`): observers hear `start`, `end` when the call has returned, and, when the operation is over, `error` if
 * it has failed, `asyncStart` and `asyncEnd`, in this order, with one object, which knows more from event to event. Stores that are bound to `start`
 * hold for all of them, and for the handler. The others are plain channels. Without subscribers nothing is made.
 *
 * @example
 * ```ts
 * import { tracingChannel } from 'node:diagnostics_channel'
 * import { CHANNELS, type ProcessTrace } from 'rocketmq-orderly'
 *
 * tracingChannel<unknown, ProcessTrace>(CHANNELS.process).subscribe({
 *   start() {},
 *   end() {},
 *   error() {},
 *   asyncStart() {},
 *   asyncEnd: ({ topic, queueOffset, outcome }) => console.log(topic, queueOffset, outcome),
 * })
 * ```
 */
export const CHANNELS: {
  /** Of sends and batches, {@link SendTrace}; over when the promise is about to settle. */
  readonly send: 'rocketmq-orderly:send'
  /** Of handler calls, {@link ProcessTrace}; over when the handler has returned, or its promise has settled. */
  readonly process: 'rocketmq-orderly:process'
  /** Of attempts to connect, {@link ConnectTrace}. */
  readonly connect: 'rocketmq-orderly:connect'
  /** Of clients that are made, {@link ClientTrace}. */
  readonly client: 'rocketmq-orderly:client'
  /** Of messages that a handler has failed on and that come again, {@link SuspendedTrace}. */
  readonly suspended: 'rocketmq-orderly:suspended'
  /** Of messages that are in the dead-letter queue, {@link DeadLetterTrace}. */
  readonly deadLetter: 'rocketmq-orderly:dead-letter'
}

/** Who does something. */
export interface ClientTrace<C = Producer | PushConsumer> {
  /** The client. */
  readonly client: C
  /** Its group. */
  readonly groupId: string
}

/** What the observers of all operations are told. */
export interface OperationTrace<C = Producer | PushConsumer> extends ClientTrace<C> {
  /** The client's id. */
  readonly clientId: string
  /** Of a failure: what was thrown, or a {@link RocketMQError}. */
  readonly error?: unknown
  /** The host of the server, as soon as it is known. */
  readonly serverAddress?: string
  /** Its port. */
  readonly serverPort?: number
}

/** One message, or those of a batch. */
export type Traced<M> =
  | {
      /** The message. */
      readonly message: M
      /** Not of a batch. */
      readonly messages?: undefined
    }
  | {
      /** Not of one. */
      readonly message?: undefined
      /** Those of a batch, in order. */
      readonly messages: readonly M[]
    }

/** A message that is being sent: our copy, whose properties may be written in `start`. The body is the caller's. */
export interface TracedMessage extends MessageInit {
  /** See {@link MessageInit.keys}. */
  readonly keys?: readonly string[] | undefined
  /**
   * See {@link MessageInit.properties}. What is written here in `start` is sent, such as a trace context; what cannot be sent is a `warning`, and the
   * message goes as its sender made it.
   */
  properties: Record<string, string>
}

/** A send (`rocketmq-orderly:send`). A call that is refused for its arguments or its client's state is none. */
export type SendTrace = OperationTrace<Producer> &
  Traced<TracedMessage> & {
    /** The option `namespace`. */
    readonly namespace?: string | undefined
    /** The topic. */
    readonly topic: string
    /** The sharding key. */
    readonly shardingKey: string
    /** Of a message that was stored. */
    readonly result?: SendResult
    /** Of a batch that was stored. */
    readonly results?: readonly SendResult[]
    /** Stored; or, as its error's `outcome`, never stored, or possibly stored. Known in `asyncStart`. */
    readonly outcome?: 'stored' | 'not-stored' | 'unknown'
    /** The queue it was stored in. */
    readonly queue?: MessageQueue
    /** Of a single message: its unique id, once it is known. */
    readonly msgId?: string
    /** Its place in the queue, of a batch that of its first message. */
    readonly queueOffset?: number
    /** How many requests have carried it: 1 as a rule, more where it was sent again, 0 of what was never sent. Known in `asyncStart`. */
    readonly attempt?: number
  }

/** A handler call (`rocketmq-orderly:process`). Handlers run in the stores that are bound to its `start`. */
export type ProcessTrace = OperationTrace<PushConsumer> &
  Traced<ReceivedMessage> & {
    /** The option `namespace`. */
    readonly namespace?: string | undefined
    /** The option `messageModel`. */
    readonly messageModel: 'clustering' | 'broadcasting'
    /** What the handler gets beside it. */
    readonly context: ConsumeContext
    /** The topic. */
    readonly topic: string
    /** The queue. */
    readonly queue: MessageQueue
    /** The place in the queue, of a batch that of its first message. */
    readonly queueOffset: number
    /** How often a handler was called for it, from 1. */
    readonly attempt: number
    /** Of a single message: its sharding key, if it has one. */
    readonly shardingKey?: string | undefined
    /** Of a single message: its unique id. */
    readonly msgId?: string
    /** What the handler has said; `RECONSUME_LATER` if it has thrown, or returned what is no outcome (`error`). Known in `asyncStart`; none of a message that a loop over `messages()` leaves. */
    readonly outcome?: ConsumeOutcome
  }

/** An attempt to connect (`rocketmq-orderly:connect`). */
export interface ConnectTrace extends OperationTrace {
  /** Who is to be there. */
  readonly server: ServerKind
  /** The host. */
  readonly serverAddress: string
  /** The port. */
  readonly serverPort: number
}

/** A message that has failed; `error` is what the handler threw, or the reason of `deadLetter()`. */
export interface FailedTrace extends OperationTrace<PushConsumer> {
  /** The message. */
  readonly message: ReceivedMessage
  /** The topic. */
  readonly topic: string
  /** The queue. */
  readonly queue: MessageQueue
  /** The place in the queue. */
  readonly queueOffset: number
  /** The unique id. */
  readonly msgId: string
  /** The sharding key, if it has one. */
  readonly shardingKey?: string | undefined
  /** How often a handler was called for it, from 1. */
  readonly attempt: number
}

/** A message that comes again (`rocketmq-orderly:suspended`). */
export interface SuspendedTrace extends FailedTrace {
  /** In so many milliseconds. */
  readonly delayMs: number
}

/** A message that is in the dead-letter queue (`rocketmq-orderly:dead-letter`). */
export interface DeadLetterTrace extends FailedTrace {}
