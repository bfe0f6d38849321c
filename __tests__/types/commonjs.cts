// The public types as a user of CommonJS meets them. Compiled, not run.
import type { Writable } from 'node:stream'
import rocketmq = require('rocketmq-orderly')
import otel = require('rocketmq-orderly/otel')
import prometheus = require('rocketmq-orderly/prometheus')
import { Registry } from 'prom-client'
import { CHANNELS, ConsumeStatus, Producer, type ReceivedMessage } from 'rocketmq-orderly'

async function main(): Promise<void> {
  const producer: rocketmq.Producer = new Producer({ groupId: 'g', nameServer: '127.0.0.1:9876' })
  await producer.start()
  await producer.sendOrderly(new rocketmq.Message('orders', 'x'), 'key')
  const shardingHash: rocketmq.ShardingHash = (key, queues: readonly rocketmq.MessageQueue[]) =>
    key.length % queues.length
  const sharded = new Producer({ groupId: 'g', shardingHash })
  const sink: Writable = sharded.writable({ shardingKey: (message: rocketmq.MessageInit) => message.topic })
  sink.end({ topic: 'orders', body: 'x' })
  await producing()
  await consuming()
  const seen: ReceivedMessage[] = []
  const consumer = new rocketmq.PushConsumer('g', true).subscribe('orders', (message) => {
    seen.push(message)
    return ConsumeStatus.CONSUME_SUCCESS
  })
  const names: readonly string[] = Object.values(CHANNELS)
  const instrumentation: otel.RocketMQInstrumentation = new otel.RocketMQInstrumentation({ parent: true })
  const traced: rocketmq.SendTrace[] = []
  console.log(names, instrumentation.instrumentationName, traced)
  prometheus.register(consumer, { registry: new Registry() })
  await consumer.start()
  for (const queue of consumer.assignment()) await consumer.seek(queue, 'last')
  await consumer.commit()
  for await (const message of new rocketmq.PushConsumer('g').messages('orders')) seen.push(message)
  await Promise.all([producer.close(), consumer.close()])
}

/** What both take. */
const both: Required<Omit<rocketmq.ClientOptions, 'credentials'>> = {
  groupId: 'g',
  nameServer: 'a:9876',
  namespace: 'n',
  instanceName: 'i',
  tls: { ca: 'a', cert: 'b', key: 'c', servername: 'd', rejectUnauthorized: true },
  requestTimeoutMs: 1,
  startTimeoutMs: 1,
  waitForTopics: true,
  closeTimeoutMs: 1,
  logger: console,
  signal: AbortSignal.timeout(1),
}

/** All that a consumer takes and does. */
async function consuming(): Promise<void> {
  const options: Required<Omit<rocketmq.PushConsumerOptions, 'credentials'>> = {
    ...both,
    initialPosition: 'first',
    concurrency: { max: 64, by: 'key' },
    messageModel: 'broadcasting',
    maxReconsumeTimes: 16,
    suspendMs: { initialMs: 100, factor: 2, maxMs: 10_000 },
    handlerTimeoutMs: 1,
    onUndecodable: 'skip',
    prefetch: { messages: 1, bytes: 1 },
    commitIntervalMs: 1,
    offsetFile: 'offsets.json',
  }
  const handler: rocketmq.Handler = (message, { signal }) => (signal.aborted ? rocketmq.suspend(10) : undefined)
  const batchHandler: rocketmq.BatchHandler = (messages, context: rocketmq.BatchContext) =>
    context.done(messages.length)
  const consumer = new rocketmq.PushConsumer(options)
    .setNameServerAddress('a:9876')
    .subscribe('orders', handler, { sql92: 'price > 3' })
    .subscribeBatch('payments', batchHandler, { maxMessages: 100, groupBy: 'key', expression: { tags: 'a || b' } })
  consumer.on('suspended', (message, { delayMs, cause }) => console.log(message.msgId, delayMs, cause))
  await consumer.start()
  consumer.pause('orders')
  consumer.resume()
  const queues: readonly rocketmq.QueueState[] = consumer.assignment()
  const stats: rocketmq.ConsumerStats = consumer.stats()
  console.log(queues[0]?.blockedBy?.shardingKey, queues[0]?.blockedKeys, stats.blockedKeys, stats.blockedQueues)
  await consumer.shutdown({ timeoutMs: 1 })
}

/** All that a producer takes and does. */
async function producing(): Promise<void> {
  const options: Required<Omit<rocketmq.ProducerOptions, 'credentials'>> = {
    ...both,
    topics: ['orders'],
    shardingHash: 'proxy',
    batching: 'auto',
    sendTimeoutMs: 1,
    maxPendingMessages: 1,
    maxPendingBytes: 1,
    onRouteChange: 'follow',
    maxMessageBytes: 1,
    compression: 'zstd',
    compressOverBytes: 1,
  }
  const producer = new Producer(options).setNameServerAddress('a:9876').setSessionCredentials('a', 'b')
  producer.on('warning', (error: rocketmq.RocketMQError) => console.log(error.code)).once('close', () => undefined)
  const { status, msgId, offsetMsgId, queue, queueOffset }: rocketmq.SendResult = await producer.sendOrderly(
    { topic: 'orders', body: Buffer.from('x'), tags: 't', keys: ['k'], properties: { a: 'b' } },
    'key',
    { signal: AbortSignal.timeout(1), timeoutMs: 1 },
  )
  await producer.sendOrderlyWithShardingKey(new rocketmq.Message('orders').setBody('x').setProperty('a', 'b'), 'key')
  const batch: rocketmq.SendResult[] = await producer.sendOrderlyBatch([{ topic: 'orders', body: 'x' }], 'key')
  const queues: readonly rocketmq.MessageQueue[] = await producer.queues('orders')
  await producer.ready({ signal: AbortSignal.timeout(1) })
  await producer.flush()
  const stats: rocketmq.ProducerStats = producer.stats()
  const { ok }: rocketmq.Health = producer.health()
  console.log(status === rocketmq.SendStatus.OK, msgId, offsetMsgId, queue, queueOffset, batch, queues, stats.sent, ok)
  await producer.shutdown({ timeoutMs: 1 })
}

export = main
