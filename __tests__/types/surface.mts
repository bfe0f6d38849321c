// The public types as a user of ES modules meets them. Compiled, not run.
import { once } from 'node:events'
import { tracingChannel } from 'node:diagnostics_channel'
import { Registry } from 'prom-client'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  CHANNELS,
  Client,
  ConsumeStatus,
  Message,
  Producer,
  PushConsumer,
  RocketMQError,
  SendStatus,
  deadLetter,
  suspend,
  type BatchHandler,
  type BatchOptions,
  type ClientEvents,
  type ClientTrace,
  type ConnectTrace,
  type ConsumeContext,
  type ConsumeOutcome,
  type ConsumerStats,
  type DeadLetterTrace,
  type ErrorCode,
  type Handler,
  type Health,
  type Logger,
  type MessageInit,
  type MessageQueue,
  type ProcessTrace,
  type ProducerOptions,
  type PushConsumerOptions,
  type QueueState,
  type ReceivedMessage,
  type SendResult,
  type ShardingHash,
  type SendTrace,
  type ServerKind,
  type SuspendedTrace,
} from 'rocketmq-orderly'
import { RocketMQInstrumentation, type RocketMQInstrumentationConfig } from 'rocketmq-orderly/otel'
import { register, type RegisterOptions } from 'rocketmq-orderly/prometheus'

/** Compiles where A and B are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <_T extends true>(): void => undefined

// ---------------------------------------------------------------- producer

const producerOptions: ProducerOptions = {
  groupId: 'g',
  nameServer: ['a:9876', 'b:9876'],
  credentials: { accessKey: 'a', secretKey: 'b', securityToken: 'c', channel: 'ALIYUN' },
  namespace: 'n',
  instanceName: 'i',
  requestTimeoutMs: 1,
  startTimeoutMs: 1,
  waitForTopics: true,
  closeTimeoutMs: 1,
  logger: console,
  signal: AbortSignal.timeout(1),
  topics: ['orders'],
  shardingHash: 'ons',
  batching: 'off',
  sendTimeoutMs: 1,
  maxPendingMessages: 1,
  maxPendingBytes: 1,
  onRouteChange: 'hold',
  maxMessageBytes: 1,
  compression: 'lz4',
  compressOverBytes: 1,
}
const maybe: { timeoutMs: number | undefined } = { timeoutMs: undefined }

export async function produce(): Promise<void> {
  await using producer = await new Producer(producerOptions).start()
  same<Same<typeof producer, Producer>>()
  new Producer('g', true).setNameServerAddress('a:9876').setSessionCredentials('a', 'b', 'ALIYUN')
  new Producer({ groupId: 'g', nameServer: undefined, signal: undefined, batching: undefined })

  const result = await producer.sendOrderly({ topic: 'orders', body: 'x', keys: ['a'] }, 'key', maybe)
  same<Same<typeof result, SendResult>>()
  same<Same<typeof result.queue, MessageQueue>>()
  if (result.status === SendStatus.SLAVE_NOT_AVAILABLE) console.log(result.msgId, result.queueOffset.toFixed())
  const sink = producer.writable({ shardingKey: (message) => message.topic, signal: undefined })
  same<Same<typeof sink, Writable>>()
  await pipeline([{ topic: 'orders', body: 'x' }], producer.writable({ shardingKey: ({ keys }) => String(keys) }))
  // @ts-expect-error a key is a text
  producer.writable({ shardingKey: () => 1 })
  // @ts-expect-error and there must be one
  producer.writable({})
  const results = await producer.sendOrderlyBatch([new Message('orders', Buffer.from('x'))], 'key')
  same<Same<typeof results, SendResult[]>>()
  await producer.sendOrderlyWithShardingKey(new Message('orders').setBody('x').setTags('t'), 'key')
  await producer.ready({ signal: AbortSignal.timeout(1) })
  await producer.flush()
  await producer.ready()
  await producer.sendOrderly({ topic: 'orders', body: 'x' }, 'key', { signal: AbortSignal.timeout(1), timeoutMs: 1 })
  const { waiting, pendingMessages, pendingBytes, sent, failed, requests, retries } = producer.stats()
  const counts: number[] = [waiting, pendingMessages, pendingBytes, sent, failed, requests, retries]
  console.log(counts, producer.state, producer.clientId, producer.groupId)
  const queues: readonly MessageQueue[] = await producer.queues('orders')
  const health: Health = producer.health()
  console.log(queues.length, health.ok, health.problems[0]?.code)
  const posted: { code: string; message: string; cause?: unknown } | undefined = health.problems[0]?.toJSON()
  console.log(posted, producer.toJSON().groupId)

  producer
    .on('warning', (error) => same<Same<typeof error, RocketMQError>>())
    .once('routeChanged', (topic, changed) => console.log(topic.length, changed.length))
    .off('close', () => undefined)
    .addListener('connected', (address) => console.log(address.length))
    .removeListener('disconnected', (address) => console.log(address.length))
  await producer.close({ timeoutMs: 1 })
  await producer.shutdown()

  // @ts-expect-error a misspelt event
  producer.on('warnings', () => undefined)
  // @ts-expect-error an event of consumers
  producer.on('assigned', () => undefined)
  // @ts-expect-error not an unordered producer
  new Producer('g', false)
  // @ts-expect-error no group
  new Producer({})
  // @ts-expect-error no sharding key
  await producer.sendOrderly({ topic: 'orders', body: 'x' })
  // @ts-expect-error no body
  await producer.sendOrderly({ topic: 'orders' }, 'key')
  // @ts-expect-error a body is a string or bytes
  await producer.sendOrderly({ topic: 'orders', body: { a: 1 } }, 'key')
  // @ts-expect-error not an option of a send
  await producer.sendOrderly({ topic: 'orders', body: 'x' }, 'key', { timeout: 1 })
}

// ---------------------------------------------------------------- consumer

const consumerOptions: PushConsumerOptions = {
  groupId: 'g',
  initialPosition: new Date(),
  concurrency: { max: 1 },
  messageModel: 'clustering',
  maxReconsumeTimes: Infinity,
  suspendMs: { initialMs: 100, factor: 2, maxMs: 1000 },
  handlerTimeoutMs: 1,
  onUndecodable: 'deadLetter',
  prefetch: { messages: 1, bytes: 1 },
  commitIntervalMs: 1,
}

const broadcasting: PushConsumerOptions = {
  groupId: 'g',
  concurrency: { max: 1, by: 'key' },
  messageModel: 'broadcasting',
  offsetFile: '/var/lib/orders.json',
  onUndecodable: 'skip',
}

const handler: Handler = async (message, context) => {
  same<Same<typeof message, ReceivedMessage>>()
  same<Same<typeof context, ConsumeContext>>()
  same<Same<typeof message.body, Buffer>>()
  same<Same<typeof message.queueOffset, number>>()
  const { id } = message.json<{ id: number }>()
  const unknown = message.json()
  same<Same<typeof unknown, unknown>>()
  await fetch('http://localhost', { signal: context.signal })
  if (id === 0) return deadLetter('no id')
  if (message.reconsumeTimes > 3) throw suspend(1000)
  if (message.shardingKey === undefined) return ConsumeStatus.RECONSUME_LATER
  return ConsumeStatus.CONSUME_SUCCESS
}

const batchHandler: BatchHandler = async (messages, { attempt, done, queue, signal }) => {
  same<Same<typeof messages, readonly ReceivedMessage[]>>()
  for (const [i, { shardingKey }] of messages.entries()) {
    if (signal.aborted || shardingKey === undefined) return suspend(1000)
    done(i + 1)
  }
  console.log(attempt, queue.queueId)
  return ConsumeStatus.CONSUME_SUCCESS
}
const batchOptions: BatchOptions = { expression: 'TagA', maxMessages: 100, groupBy: 'key' }

export async function consume(): Promise<void> {
  const consumer = new PushConsumer(consumerOptions)
    .subscribe('orders', handler)
    .subscribe('a', () => undefined, 'TagA || TagB')
    .subscribe('b', async () => {}, { tags: '*' })
    .subscribe('c', () => suspend(10), { sql92: 'price > 3' })
    .subscribeBatch('e', batchHandler, batchOptions)
    .subscribeBatch('f', (messages) => console.log(messages.length))
  // @ts-expect-error a row count is no outcome
  consumer.subscribeBatch('g', (messages) => messages.length)
  // @ts-expect-error no such group
  consumer.subscribeBatch('g', () => undefined, { groupBy: 'topic' })
  // @ts-expect-error an expression has its name here
  consumer.subscribeBatch('g', () => undefined, 'TagA')
  const producer = new Producer('g', true)
  consumer.subscribe('forwarded', async (message) => {
    await producer.sendOrderly(message, message.shardingKey ?? 'none')
  })
  consumer.on('suspended', (message, { delayMs, cause }) => console.log(message.msgId, delayMs.toFixed(), cause))
  consumer.on('suspended', (message) => console.log(message.msgId)).once('lockLost', () => undefined)
  consumer.on('deadLetter', (message, detail) => console.log(message.topic, detail.cause))
  consumer.on('assigned', (queues) => console.log(queues.length))
  consumer.on('offsetReset', (queue, { from, to, reason }) => console.log(queue.queueId, to - from, reason))
  consumer.assignment().map(({ lastReset }) => console.log(lastReset?.reason === 'deleted', lastReset?.at))
  consumer.on('undecodable', (queue, error) => console.log(queue.brokerName, error.code))
  const started = await consumer.start()
  same<Same<typeof started, PushConsumer>>()
  const states: readonly QueueState[] = consumer.assignment()
  consumer.pause()
  consumer.pause('orders')
  for (const queue of states) if (queue.state === 'paused') consumer.resume(queue)
  consumer.resume({ topic: 'orders', brokerName: 'broker-a', queueId: 0 })
  // @ts-expect-error several at once
  consumer.pause(states)
  const [first] = states
  if (first) {
    await Promise.all([consumer.seek(first, 7), consumer.seek(first, 'first'), consumer.seek(first, new Date())])
    // @ts-expect-error no such word
    await consumer.seek(first, 'latest')
    // @ts-expect-error an offset is a number
    await consumer.seek(first, 7n)
  }
  // @ts-expect-error a topic has many positions
  await consumer.seek('orders', 'last')
  const committed = await consumer.commit()
  same<Same<typeof committed, void>>()
  const stats: ConsumerStats = consumer.stats()
  console.log(states[0]?.blockedBy?.since, stats.lag, stats.blockedKeys, stats.skipped, stats.undecodable)
  same<Same<QueueState['blockedKeys'], number | undefined>>()
  console.log(states[0]?.blockedBy?.shardingKey?.length, states[0]?.runningSince, states[0]?.nextStoredAt)
  const [error] = (await once(consumer as never, 'warning')) as [RocketMQError]
  console.log(error.code)

  // @ts-expect-error a row count is no outcome
  consumer.subscribe('d', () => 1)
  // @ts-expect-error nor is a boolean, later
  consumer.subscribe('d', async () => true)
  // @ts-expect-error nor any other text
  consumer.subscribe('d', async () => 'OK' as string)
  // @ts-expect-error outcomes are made by their functions
  consumer.subscribe('d', () => ({ suspendMs: 10 }))
  // @ts-expect-error either tags or SQL
  consumer.subscribe('d', () => undefined, { regex: '.' })
}

export async function loop(signal: AbortSignal): Promise<void> {
  const consumer = new PushConsumer({ groupId: 'g' })
  for await (const message of consumer.messages('orders', { expression: 'TagA || TagB', signal })) {
    same<Same<typeof message, ReceivedMessage>>()
  }
  const messages: AsyncIterableIterator<ReceivedMessage> = new PushConsumer('g', true).messages('orders')
  const { value, done } = await messages.next()
  console.log(done, value)
  await messages.return?.()
  // @ts-expect-error a loop has no handler
  consumer.messages('orders', () => undefined)
  // @ts-expect-error not an option of a loop
  consumer.messages('orders', { tags: 'TagA' })
}

const outcomes: ConsumeOutcome[] = [suspend(10), deadLetter(), deadLetter('x'), 'CONSUME_SUCCESS', 'RECONSUME_LATER']

// ---------------------------------------------------------------- observers

const nothing = (): void => undefined
const rest = { end: nothing, error: nothing, asyncStart: nothing }

export function observe(producer: Producer, consumer: PushConsumer): void {
  same<Same<typeof CHANNELS.deadLetter, 'rocketmq-orderly:dead-letter'>>()
  // @ts-expect-error frozen
  CHANNELS.send = 'x'
  tracingChannel<unknown, SendTrace>(CHANNELS.send).subscribe({
    ...rest,
    start(trace) {
      const { message, messages } = trace
      if (message) message.properties.traceparent = 'x'
      for (const each of messages ?? []) each.properties.traceparent = 'x'
      // @ts-expect-error only properties may be written
      if (message) trace.message = message
    },
    asyncEnd({ client, clientId, topic, shardingKey, result, results, outcome, queue, msgId, serverAddress, error }) {
      same<Same<typeof client, Producer>>()
      same<Same<typeof outcome, 'stored' | 'not-stored' | 'unknown' | undefined>>()
      same<Same<typeof result, SendResult | undefined>>()
      console.log(clientId, topic, shardingKey, results?.length, queue?.queueId, msgId, serverAddress, error)
    },
  })
  tracingChannel<unknown, ProcessTrace>(CHANNELS.process).subscribe({
    ...rest,
    start: nothing,
    asyncEnd(trace) {
      same<Same<typeof trace.client, PushConsumer>>()
      same<Same<typeof trace.outcome, ConsumeOutcome | undefined>>()
      same<Same<typeof trace.context, ConsumeContext>>()
      if (trace.messages) same<Same<typeof trace.messages, readonly ReceivedMessage[]>>()
      else same<Same<typeof trace.message, ReceivedMessage>>()
      console.log(trace.attempt.toFixed(), trace.queueOffset.toFixed(), trace.serverPort?.toFixed(), trace.messageModel)
    },
  })
  const connect = ({ server, serverAddress, serverPort }: ConnectTrace): [ServerKind, string, number] => [
    server,
    serverAddress,
    serverPort,
  ]
  const suspended = ({ message, delayMs, error }: SuspendedTrace): unknown[] => [
    message.msgId,
    delayMs.toFixed(),
    error,
  ]
  const dead = ({ client }: DeadLetterTrace): PushConsumer => client
  const made = ({ client }: ClientTrace): Producer | PushConsumer => client
  console.log(connect, suspended, dead, made, consumer.assignment()[0]?.nextStoredAt?.toFixed())

  const config: RocketMQInstrumentationConfig = { enabled: true, parent: false }
  const instrumentation = new RocketMQInstrumentation(config)
  instrumentation.setConfig()
  instrumentation.disable()
  // @ts-expect-error
  new RocketMQInstrumentation({ parents: true })

  const options: RegisterOptions = { registry: new Registry(), labels: { service: 'billing' } }
  const unregister: () => void = register(producer, options)
  register(consumer, { registry: new Registry() })
  unregister()
  // @ts-expect-error labels are texts
  register(consumer, { registry: new Registry(), labels: { shard: 1 } })
  // @ts-expect-error no registry
  register(consumer, {})
}

// ---------------------------------------------------------------- shared

export function handle(error: unknown): ErrorCode | undefined {
  if (!(error instanceof RocketMQError)) return undefined
  if (error.code === 'ERR_ROCKETMQ_TIMEOUT' && error.outcome === 'unknown') console.log(error.msgId, error.cause)
  // @ts-expect-error a misspelt code
  if (error.code === 'ERR_ROCKETMQ_TIME_OUT') console.log(error)
  return error.code
}

export function either(client: Client<ClientEvents>): Promise<unknown> {
  return client.start()
}

const message: MessageInit = new Message('orders')
const logger: Logger = { info() {}, warn() {}, error() {} }
new RocketMQError('ERR_ROCKETMQ_BROKER', 'for a test', { brokerCode: 1, retriable: true })
console.log(outcomes, message, logger, maybe, broadcasting)

// @ts-expect-error abstract
new Client()
const tls: ProducerOptions[] = [
  { groupId: 'g', tls: true },
  {
    groupId: 'g',
    tls: { ca: ['a', Buffer.from('b')], cert: 'c', key: 'd', servername: 'e', rejectUnauthorized: false },
  },
]
const credentials: ProducerOptions[] = [
  { groupId: 'g', credentials: () => ({ accessKey: 'a', secretKey: 'b' }) },
  { groupId: 'g', credentials: async () => ({ accessKey: 'a', secretKey: 'b', expiresAt: new Date() }) },
]
const compression: ProducerOptions = { groupId: 'g', compression: 'zlib', compressOverBytes: 1024 }
// @ts-expect-error what is compressed otherwise nobody reads
const gzip: ProducerOptions = { groupId: 'g', compression: 'gzip' }
const hashes: ShardingHash[] = [
  'java',
  'ons',
  'go',
  'cpp',
  'proxy',
  (key, queues) => key.length % queues.length,
  () => 0,
]
const hash: ProducerOptions = { groupId: 'g', shardingHash: hashes[0] }
// @ts-expect-error
const rust: ProducerOptions = { groupId: 'g', shardingHash: 'rust' }
// @ts-expect-error an index is a number, and known at once
const later: ProducerOptions = { groupId: 'g', shardingHash: async () => 0 }
// @ts-expect-error
const byTopic: PushConsumerOptions = { groupId: 'g', concurrency: { by: 'topic' } }
console.log(tls, credentials, compression, gzip, hash, rust, later, byTopic)
