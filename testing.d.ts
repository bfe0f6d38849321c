/**
 * `rocketmq-orderly/testing`: a name server and brokers inside your process, on 127.0.0.1, that speak RocketMQ's real
 * protocol to any client in any language. They keep nothing: what is stored is gone with {@link TestBroker.close}.
 *
 * @example
 * ```ts
 * import { PushConsumer } from 'rocketmq-orderly'
 * import { TestBroker } from 'rocketmq-orderly/testing'
 *
 * const broker = await TestBroker.start({ topics: ['orders'] })
 * const consumer = new PushConsumer({ groupId: 'GID_billing', nameServer: broker.nameServer })
 * consumer.subscribe('orders', (message) => console.log(message.text()))
 * await consumer.start()
 *
 * await broker.publish({ topic: 'orders', body: '{"id":1}' }, 'customer-7')
 * await broker.caughtUp('GID_billing') // no sleeping in tests
 *
 * await consumer.close()
 * await broker.close()
 * ```
 */
import type { Credentials, MessageInit, MessageQueue, SendResult } from './index.js'

/** How a test broker is to be. */
export interface TestBrokerOptions {
  /**
   * Topics: `['orders']` gives each 4 queues, `{ orders: 8 }` as many as it says, spread over the brokers. With `topics`, others
   * do not exist; default: topics are created by the first send, where a client asks for that.
   */
  topics?: readonly string[] | Readonly<Record<string, number>> | undefined
  /** Consumer groups; with them, others are refused. Default: groups are created as they come. */
  groups?: readonly string[] | undefined
  /** How many brokers; 1..64. Default: 1. */
  brokers?: number | undefined
  /** Port of the name server; 0 for any. Default: 0. A port in use is refused with `ERR_ROCKETMQ_INVALID_ARGUMENT`. */
  port?: number | undefined
  /** Which broker line it behaves as, where 4.9.7 and 5.5.0 differ. Default: `'5.5'`. */
  version?: '4.9' | '5.5' | undefined
  /** Accounts with all rights; with them, every request to a broker must be signed by one. Default: no access control. */
  credentials?: Credentials | readonly Credentials[] | undefined
  /**
   * Seed of every chance: under the same seed, the nth match of a fault draws the same again; an integer from 0. Default: 1, so
   * that tests repeat.
   */
  seed?: number | undefined
  /**
   * By which the broker's own times are multiplied: the 60 s of a lock, the 5 s between looks at held pulls and how long pulls are
   * held, the 5 s after which offsets survive a crash, the 10 s until a new name server is told, delays, the 200 ms of a waiting
   * send. What clients measure (heartbeats every 30 s, 120 s without one) stays. 0.000001..1000. Default: 1.
   */
  timeFactor?: number | undefined
  /** TLS on the ports of name server and brokers; `true` is `{}`. Default: false. */
  tls?: boolean | TestBrokerTls | undefined
}

/** How a test broker speaks TLS. Texts are PEM. */
export interface TestBrokerTls {
  /** The certificate of all its servers, with `key`. Default: one of its own, for `localhost`, `127.0.0.1` and `::1`: {@link TestBroker.ca}. */
  cert?: string | Buffer | undefined
  /** The private key of `cert`. Default: that of its own certificate. */
  key?: string | Buffer | undefined
  /** The authority of the certificates that clients must show. Default: clients need none. */
  clientCa?: string | Buffer | undefined
  /** `'permissive'` serves connections without TLS as well, which is a real server's default. Default: `'enforcing'`. */
  mode?: 'enforcing' | 'permissive' | undefined
}

/** A message as the broker keeps it. */
export interface StoredMessage {
  /** Its topic. */
  readonly topic: string
  /** Its queue. */
  readonly queue: MessageQueue
  /** Its place in the queue, from 0. */
  readonly queueOffset: number
  /** The payload as stored: compressed if the sender compressed it. */
  readonly body: Buffer
  /** The tag. */
  readonly tags?: string
  /** Business keys. */
  readonly keys: readonly string[]
  /** The sharding key. */
  readonly shardingKey?: string
  /** The sender's unique id, else the broker's. */
  readonly msgId: string
  /** The broker's id of this copy. */
  readonly offsetMsgId: string
  /** All properties as stored, RocketMQ's own among them. Without prototype. */
  readonly properties: Readonly<Record<string, string>>
  /** When the sender made it, in milliseconds since 1970. */
  readonly bornTimestamp: number
  /** When it was stored, in milliseconds since 1970. */
  readonly storeTimestamp: number
  /** Attempts before it was handed back; 0 outside of retry and dead-letter topics. */
  readonly reconsumeTimes: number
}

/** A request that came. */
export interface SeenRequest {
  /** Request code. */
  readonly code: number
  /** RocketMQ's name of it, e.g. `SEND_MESSAGE_V2`. */
  readonly name: string
  /** The client id where it is known, by a heartbeat on the same connection or from the request; else `host:port`. */
  readonly client: string
  /** The broker's name; empty for the name server. */
  readonly broker: string
  /** The topic it is about; of a lock request, the first. */
  readonly topic?: string
  /** The queue it is about; of a lock request, the first. */
  readonly queueId?: number
  /** Of a send: the keys of its messages, each once. */
  readonly shardingKeys?: readonly string[]
  /** When it came, in milliseconds since 1970. */
  readonly at: number
  /** When its answer was written; absent while there is none. */
  readonly answered?: number
}

/** A lock that is held. */
export interface LockState {
  /** What is locked. */
  readonly queue: MessageQueue
  /** By whom. */
  readonly clientId: string
  /** Until when, unless renewed, in milliseconds since 1970. */
  readonly expiresAt: number
}

/** How far a group has come in a queue. */
export interface GroupOffset {
  /** The queue. */
  readonly queue: MessageQueue
  /** Offset of the next message to consume; -1 when nothing is committed. */
  readonly committedOffset: number
  /** Offset behind the last message stored. */
  readonly maxOffset: number
  /** Messages between the two. */
  readonly lag: number
}

/** Which requests a fault hits; every field given must match. */
export interface FaultMatch {
  /** Request code, or what requests of several codes are for. Default: every request. */
  request?: number | 'send' | 'pull' | 'lock' | 'unlock' | 'commit' | 'heartbeat' | 'route' | undefined
  /** The whole client id, or a pattern in it. */
  clientId?: string | RegExp | undefined
  /** Topic; of a lock request, one of its topics. */
  topic?: string | undefined
  /** Queue; of a lock request, one of its queues. */
  queueId?: number | undefined
  /** The nth match only, from 1; with `times`, from the nth on. */
  nth?: number | undefined
  /** At most so many hits. Default: without end, with `nth`: 1. */
  times?: number | undefined
  /** Of each match, from 0 to 1. Default: 1. */
  probability?: number | undefined
}

/** One thing that goes wrong. Faults that hit the same request add up. */
export type Fault = FaultMatch &
  (
    | {
        /** Done at once, and answered so many milliseconds later. */
        delayMs: number
      }
    | {
        /** The store stands still for so many milliseconds; sends that wait for it longer than 200 ms are answered 2, unstored. */
        stallMs: number
      }
    | {
        /** Answered with this code; nothing is done. */
        answer: number
        /** The words of the answer. Default: none. */
        remark?: string | undefined
      }
    | {
        /** `'answer'`: done, and never answered. `'request'`: never seen. */
        drop: 'answer' | 'request'
      }
    | {
        /** The connection ends before the request is done, or after it, without an answer. */
        disconnect: 'before' | 'after'
      }
    | {
        /** So many bytes of the answer, then the connection ends. */
        cutAnswerAt: number
      }
    | {
        /** From this request on the connection is open, and silent in both directions. */
        blackhole: true
      }
    | {
        /** Of two sends of one queue that are here at once, the second is stored first. One alone waits 20 ms for another. */
        disorder: true
      }
    | {
        /** Done, and answered with these bytes. */
        garbage: Uint8Array
      }
  )

/** A fault in force. */
export interface FaultHandle {
  /** How many requests it has hit. */
  readonly hits: number
  /** Takes it back. */
  remove(): void
}

/**
 * A name server and brokers in memory. Faithful, not kind: pipelined sends of one queue are now and then stored the other way round,
 * an acknowledged message may be invisible to pulls for some milliseconds, queue locks survive their connection for 60 s.
 *
 * It keeps the process alive until it is closed. Methods of a closed one throw or reject with `ERR_ROCKETMQ_CLOSED`.
 */
export class TestBroker implements AsyncDisposable {
  /** Use {@link TestBroker.start}. */
  private constructor()

  /** Starts it; everything listens when this resolves. */
  static start(options?: TestBrokerOptions): Promise<TestBroker>

  /** `host:port` of the name server, for a client's `nameServer`. */
  readonly nameServer: string
  /** `host:port` of each broker. */
  readonly brokers: readonly string[]
  /** With `tls` and without a certificate of yours: the authority to give to a client's `tls.ca`, as PEM. */
  readonly ca: string | undefined

  /**
   * Makes a topic, or changes it: with another number of queues or another `perm` its route changes, its messages stay.
   * Default: 4 queues, `'rw'`. `readQueues`: so many of them can be read, and those behind are written only; or more, as
   * while a topic is being made smaller. Default: as many as `queues`.
   */
  createTopic(
    name: string,
    options?: {
      queues?: number | undefined
      readQueues?: number | undefined
      perm?: 'rw' | 'r' | 'w' | undefined
    },
  ): Promise<void>
  /** Makes a consumer group at every broker. */
  createGroup(name: string): Promise<void>
  /** Stores a message as a producer would: the queue is the one that a producer chooses for this sharding key. */
  publish(message: MessageInit, shardingKey: string): Promise<SendResult>
  /**
   * Everything stored in a topic, by broker, queue and offset; also of `%DLQ%group` (dead letters) and `%RETRY%group`. An unknown
   * topic rejects with `ERR_ROCKETMQ_TOPIC_NOT_FOUND`.
   */
  messages(topic: string): Promise<readonly StoredMessage[]>
  /** Deletes what lies before an offset, as a broker does with files that are too old. */
  truncate(queue: MessageQueue, offset: number): Promise<void>
  /**
   * Deletes what lies at and behind an offset, as a disk that was restored or an unclean change of master does: what is stored next gets
   * these offsets again. What groups have committed stays.
   */
  setBack(queue: MessageQueue, offset: number): Promise<void>

  /**
   * Resolves when the group has committed everything that is stored in the topics it subscribes: what a test awaits instead of
   * sleeping. A group that nobody has heard of is waited for. Rejects with `ERR_ROCKETMQ_TIMEOUT`, which names the queues that
   * lag, after `timeoutMs`. Default: 4000.
   */
  caughtUp(group: string, options?: { timeoutMs?: number | undefined }): Promise<void>
  /** How far a group has come, in every queue of the topics that it subscribes or has committed. */
  offsets(group: string): readonly GroupOffset[]
  /**
   * Moves a group in every queue of a topic, as the console does: to an offset, or to the first message stored at or after a time.
   * A 5.5 broker tells the next pull; a 4.9 one tells the members that are there.
   */
  resetOffset(group: string, topic: string, to: number | Date): Promise<void>
  /** Client ids of a group's members, sorted. */
  members(group: string): readonly string[]
  /** The locks that a group's members hold. */
  locks(group: string): readonly LockState[]
  /** Gives a group's locks, or one queue's, to a client that does not exist, for 60 s. */
  stealLocks(group: string, queue?: MessageQueue): void
  /** Forgets all locks, as a restart does. */
  forgetLocks(): void

  /** The requests that came, oldest first; the last 100 000. */
  requests(): readonly SeenRequest[]
  /**
   * The most sends of one topic and sharding key that were here and not answered at one time: 1 for a producer that keeps order.
   * Answers are quick; a fault with `delayMs` leaves a faulty producer more time to show itself.
   */
  maxInFlightPerKey(): number
  /**
   * What clients did that ruins a real broker, e.g. a `sysFlag` that makes its log unreadable; empties the list. What is left in it
   * makes {@link TestBroker.close} reject with `ERR_ROCKETMQ_PROTOCOL`.
   */
  violations(): readonly string[]

  /** Makes something go wrong, from now on. */
  fault(fault: Fault): FaultHandle
  /** Takes all faults back. */
  clearFaults(): void

  /**
   * Stops a broker as SIGTERM does: its connections end and its route goes, at once on `'5.5'`, 2 s later on `'4.9'`. Default: the
   * first one.
   */
  stopBroker(index?: number): Promise<void>
  /**
   * Starts a stopped broker again, on its port. `keep: 'stored'` (default): as after `kill -9`, locks and offsets committed in the
   * last 5 s are gone. `'all'`: everything is as it was, as after a network failure. Registrations end with their connections.
   */
  startBroker(index?: number, options?: { keep?: 'all' | 'stored' | undefined }): Promise<void>
  /** Stops the name server; brokers go on. */
  stopNameServer(): Promise<void>
  /** Starts the name server again, on its port. Brokers that run register with it 10 s later; until then it knows no topic. */
  startNameServer(): Promise<void>

  /** Closes every socket; what is stored is gone. Again: the same promise. */
  close(): Promise<void>
  /** {@link TestBroker.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}
