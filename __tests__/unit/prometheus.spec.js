'use strict'

jest.mock('../../src/js/native.js', () => require('./fake-native.js'), { virtual: true })

const { Registry } = require('prom-client')
const { Producer, PushConsumer } = require('../../index.js')
const { register } = require('../../prometheus.js')
const { NativeConsumer, NativeProducer, reset } = require('./fake-native.js')

beforeEach(reset)

/** Each gauge of these names, with its labels. */
async function gauges(registry, names) {
  const all = await registry.getMetricsAsJSON()
  const values = names.map((name) => all.find((metric) => metric.name === `rocketmq_orderly_${name}`).values)
  return Object.fromEntries(names.map((name, i) => [name, values[i].map(({ labels, value }) => [labels, value])]))
}

test('what a producer holds and has asked for is read on each scrape', async () => {
  const registry = new Registry()
  const producer = await new Producer({ groupId: 'g', nameServer: 'a:1' }).start()
  register(producer, { registry })
  const names = ['pending_messages', 'pending_bytes', 'waiting_messages', 'requests_total', 'retries_total']
  const scraped = () =>
    gauges(
      registry,
      names.map((name) => `producer_${name}`),
    )
  for (const times of [1, 2]) {
    const [pendingMessages, pendingBytes, waiting, requests, retries] = [3, 30, 2, 7, 1].map((count) => count * times)
    NativeProducer.last.counts = { pendingMessages, pendingBytes, waiting, requests, retries }
    expect(await scraped()).toEqual({
      producer_pending_messages: [[{ group: 'g' }, 3 * times]],
      producer_pending_bytes: [[{ group: 'g' }, 30 * times]],
      producer_waiting_messages: [[{ group: 'g' }, 2 * times]],
      producer_requests_total: [[{ group: 'g' }, 7 * times]],
      producer_retries_total: [[{ group: 'g' }, times]],
    })
  }
  await producer.close()
  expect(await scraped()).toEqual({
    producer_pending_messages: [],
    producer_pending_bytes: [],
    producer_waiting_messages: [],
    producer_requests_total: [[{ group: 'g' }, 14]],
    producer_retries_total: [[{ group: 'g' }, 2]],
  })
})

test('queues are counted by topic and by why they stand, of times the longest is told, and what is unknown is not', async () => {
  const registry = new Registry()
  const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1' }).subscribe('orders', () => {})
  register(consumer, { registry, labels: { service: 's' } })
  await consumer.start()
  const since = (seconds) => Date.now() - 1000 * seconds
  const queue = {
    topic: 'orders',
    brokerName: 'broker-a',
    inFlight: 0,
    lag: 0,
    committedOffset: 0,
    nextOffset: 0,
    since: since(1),
  }
  const blockedBy = { msgId: 'm', queueOffset: 0, attempt: 2, since: since(100) }
  NativeConsumer.last.states = [
    { ...queue, queueId: 0, state: 'running', lag: 5, inFlight: 1, runningSince: since(70), nextStoredAt: since(40) },
    { ...queue, queueId: 1, state: 'suspended', lag: 7, blockedBy, nextStoredAt: since(200) },
    { ...queue, queueId: 2, state: 'suspended', since: since(50) },
    { ...queue, queueId: 3, state: 'locking', lag: null, since: since(20) },
    { ...queue, queueId: 4, state: 'locking', lag: 9, since: since(30) },
    { ...queue, queueId: 5, state: 'paused' },
  ]
  const found = await gauges(registry, [
    'consumer_lag_messages',
    'consumer_lag_seconds',
    'consumer_queues',
    'consumer_blocked_queues',
    'consumer_blocked_seconds',
    'consumer_running_handlers',
    'consumer_running_handler_seconds',
  ])
  const common = { group: 'g', service: 's', topic: 'orders' }
  const by = (name, label) => found[name].map(([labels, value]) => [labels[label], Math.round(value)])
  expect(found.consumer_lag_messages).toEqual([[common, 21]])
  expect(by('consumer_lag_seconds', 'topic')).toEqual([['orders', 200]])
  expect(by('consumer_queues', 'state')).toEqual([
    ['running', 1],
    ['suspended', 2],
    ['locking', 2],
    ['paused', 1],
  ])
  expect(by('consumer_blocked_queues', 'reason')).toEqual([
    ['handler', 1],
    ['undecodable', 1],
    ['lock', 2],
    ['paused', 1],
  ])
  expect(by('consumer_blocked_seconds', 'reason')).toEqual([
    ['handler', 100],
    ['undecodable', 50],
    ['lock', 30],
    ['paused', 1],
  ])
  expect(found.consumer_running_handlers).toEqual([[common, 1]])
  expect(by('consumer_running_handler_seconds', 'topic')).toEqual([['orders', 70]])
  await consumer.close()
})
