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

export = main
