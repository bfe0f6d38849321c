'use strict'
// The metrics of clients, as prom-client tells them.

const { Counter, Registry } = require('prom-client')
const { ConsumeStatus, Producer, deadLetter, suspend } = require('..')
const { register } = require('../prometheus')
const { clients, createTopic, makeConsumer, startProducer, uniqueGroup, uniqueTopic, until } = require('./support')

let registry
beforeEach(() => (registry = new Registry()))

/** The values of one metric with these labels, of a scrape's text: by name, labels and value. */
async function scrape() {
  const samples = []
  for (const line of (await registry.metrics()).split('\n')) {
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, text]) => [label, text])
    samples.push({ name, labels: Object.fromEntries(pairs), value: Number(value) })
  }
  const like = (labels) => (sample) => Object.entries(labels).every(([name, text]) => sample.labels[name] === text)
  return {
    samples,
    all: (name, labels = {}) => samples.filter((s) => s.name === `rocketmq_orderly_${name}`).filter(like(labels)),
    value(name, labels) {
      const found = this.all(name, labels)
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
    },
  }
}

function consumerOf(topic, handler, options) {
  const consumer = makeConsumer({ suspendMs: 10, ...options })
  for (const event of ['suspended', 'deadLetter', 'warning']) consumer.on(event, () => {})
  return consumer.subscribe(topic, handler)
}

const send = (producer, topic, bodies) =>
  Promise.all(bodies.map((body) => producer.sendOrderly({ topic, body }, 'key')))

test('a producer: what was sent with which outcome, how long it took, what it asked for, and what it holds', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer({ sendTimeoutMs: 5_000 })
  register(producer, { registry, labels: { service: 'shop' } })
  await send(producer, topic, ['a', 'b', 'c'])
  const batch = ['d', 'e'].map((body) => ({ topic, body }))
  await producer.sendOrderlyBatch(batch, 'key')
  const missing = uniqueTopic('missing')
  const failed = ['a', 'b', 'c'].map((body) =>
    producer.sendOrderly({ topic: missing, body }, 'key', { timeoutMs: 300 }),
  )
  const codes = (await Promise.allSettled(failed)).map(({ reason }) => reason.code)
  const scraped = await scrape()
  const { groupId: group } = producer
  const ours = { group, service: 'shop' }
  expect(scraped.value('producer_sent_messages_total', { ...ours, topic, outcome: 'stored' })).toBe(5)
  expect(scraped.value('producer_sent_messages_total', { ...ours, topic: missing, outcome: 'not_stored' })).toBe(3)
  expect(scraped.value('producer_order_broken_messages_total', ours) ?? 0).toBe(
    codes.filter((code) => code === 'ERR_ROCKETMQ_ORDER_BROKEN').length,
  )
  expect(scraped.value('producer_send_duration_seconds_count', { ...ours, topic })).toBe(4)
  expect(scraped.value('producer_send_duration_seconds_bucket', { ...ours, topic, le: '+Inf' })).toBe(4)
  expect(scraped.value('producer_send_duration_seconds_sum', { ...ours, topic })).toBeGreaterThan(0)
  const { requests, retries } = producer.stats()
  expect(scraped.value('producer_requests_total', ours)).toBe(requests)
  expect(scraped.value('producer_retries_total', ours)).toBe(retries)
  for (const name of ['pending_messages', 'pending_bytes', 'waiting_messages']) {
    expect(scraped.all(`producer_${name}`, ours).map(({ value }) => value)).toEqual([0])
  }
})

test('messages whose order is broken show', async () => {
  const topic = uniqueTopic('missing')
  const producer = await startProducer()
  register(producer, { registry })
  const sends = ['a', 'b', 'c'].map((body) => producer.sendOrderly({ topic, body }, 'key'))
  const [, ...others] = (await Promise.allSettled(sends)).map(({ reason }) => reason.code)
  expect(others).toEqual(['ERR_ROCKETMQ_ORDER_BROKEN', 'ERR_ROCKETMQ_ORDER_BROKEN'])
  expect((await scrape()).value('producer_order_broken_messages_total', { topic })).toBe(2)
})

test('a consumer: what its handlers said, and how long they ran', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  await send(producer, topic, ['success', 'later', 'suspend', 'error', 'dead letter'])
  const says = {
    later: () => ConsumeStatus.RECONSUME_LATER,
    suspend: () => suspend(10),
    error: () => {
      throw new Error('broken')
    },
    'dead letter': () => deadLetter('bad'),
  }
  const consumer = consumerOf(topic, (message, { attempt }) => (attempt === 1 ? says[message.text()]?.() : undefined))
  register(consumer, { registry, labels: { service: 'billing' } })
  await consumer.start()
  const ours = { group: consumer.groupId, service: 'billing', topic }
  await until(async () => (await scrape()).value('consumer_dead_lettered_messages_total', ours) === 1)
  await until(async () => (await scrape()).value('consumer_lag_messages', ours) === 0)
  const scraped = await scrape()
  const consumed = (outcome) => scraped.value('consumer_consumed_messages_total', { ...ours, outcome })
  expect(consumed('success')).toBe(4)
  expect(consumed('later')).toBe(2)
  expect(consumed('suspend')).toBe(1)
  expect(consumed('dead_letter')).toBe(1)
  expect(scraped.value('consumer_suspended_messages_total', ours)).toBe(3)
  expect(scraped.value('consumer_redelivered_messages_total', ours)).toBe(3)
  expect(scraped.value('consumer_process_duration_seconds_count', ours)).toBe(8)
  expect(scraped.value('consumer_lag_seconds', ours)).toBe(0)
  expect(scraped.value('consumer_queues', { ...ours, state: 'running' })).toBe(1)
  expect(scraped.all('consumer_blocked_queues', ours)).toEqual([])
  expect(scraped.value('consumer_buffered_messages', { group: consumer.groupId })).toBe(0)
  expect(scraped.value('client_problems', { group: consumer.groupId })).toBe(undefined)
})

test('a queue that a failing handler blocks, and one that is paused, show with their reason, for as long as it lasts', async () => {
  const topic = await createTopic({ queues: 2 })
  const producer = await startProducer()
  let isBroken = true
  const consumer = consumerOf(topic, () => {
    if (isBroken) throw new Error('broken')
  })
  register(consumer, { registry })
  await consumer.start()
  await until(() => consumer.assignment().filter(({ state }) => state === 'running').length === 2)
  await send(producer, topic, ['a', 'b', 'c'])
  await until(() => consumer.assignment().some(({ blockedBy }) => blockedBy?.attempt >= 2))
  const free = consumer.assignment().find(({ blockedBy }) => blockedBy === undefined)
  consumer.pause({ topic, brokerName: free.brokerName, queueId: free.queueId })
  await until(async () => {
    const scraped = await scrape()
    return (
      scraped.value('consumer_blocked_queues', { topic, reason: 'handler' }) === 1 &&
      scraped.value('consumer_blocked_queues', { topic, reason: 'paused' }) === 1 &&
      scraped.value('consumer_lag_messages', { topic }) === 3 &&
      scraped.value('consumer_lag_seconds', { topic }) > 0
    )
  })
  const scraped = await scrape()
  expect(scraped.value('consumer_blocked_seconds', { topic, reason: 'handler' })).toBeGreaterThan(0)
  expect(scraped.value('consumer_buffered_messages')).toBe(3)
  expect(scraped.value('consumer_buffered_bytes')).toBeGreaterThan(0)
  expect(scraped.value('client_problems', { code: 'ERR_ROCKETMQ_HANDLER' })).toBe(1)
  isBroken = false
  await until(async () => (await scrape()).value('consumer_lag_messages', { topic }) === 0)
  await until(async () => (await scrape()).all('consumer_blocked_queues', { reason: 'handler' }).length === 0)
})

test('handlers that run, and for how long; messages that wait behind them have an age', async () => {
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  await send(producer, topic, ['a', 'b'])
  let end
  const isOver = new Promise((resolve) => (end = resolve))
  const consumer = consumerOf(topic, () => isOver)
  register(consumer, { registry })
  await consumer.start()
  await until(async () => (await scrape()).value('consumer_running_handlers', { topic }) === 1)
  await until(async () => (await scrape()).value('consumer_running_handler_seconds', { topic }) > 0)
  await until(async () => (await scrape()).value('consumer_lag_seconds', { topic }) > 0)
  end()
  await until(async () => (await scrape()).value('consumer_running_handlers', { topic }) === 0)
})

test('clients with the same labels share a series, and counters outlive clients, gauges do not', async () => {
  const topic = await createTopic({ queues: 1 })
  const groupId = uniqueGroup()
  const [first, second] = await Promise.all([startProducer({ groupId }), startProducer({ groupId })])
  const end = register(first, { registry })
  register(second, { registry })
  await Promise.all([first, second].map((producer) => send(producer, topic, ['a', 'b'])))
  const before = await scrape()
  expect(before.all('producer_sent_messages_total')).toEqual([
    {
      name: 'rocketmq_orderly_producer_sent_messages_total',
      labels: { group: groupId, topic, outcome: 'stored' },
      value: 4,
    },
  ])
  const requests = before.value('producer_requests_total')
  expect(requests).toBe(first.stats().requests + second.stats().requests)
  end()
  end() // no more than once
  await second.close()
  const after = await scrape()
  expect(after.value('producer_requests_total')).toBe(requests)
  expect(after.value('producer_sent_messages_total')).toBe(4)
  expect(after.all('producer_pending_messages')).toEqual([])
  await send(first, topic, ['a'])
  expect((await scrape()).value('producer_sent_messages_total')).toBe(4)
})

test('no metric has a key, an id or a queue in its labels, and no series comes twice', async () => {
  const topic = await createTopic({ queues: 4 })
  const producer = await startProducer()
  const consumer = consumerOf(topic, () => {})
  register(producer, { registry })
  register(consumer, { registry })
  await consumer.start()
  await Promise.all(
    Array.from({ length: 40 }, (_, i) => producer.sendOrderly({ topic, body: 'a', keys: `k${i}` }, `key-${i}`)),
  )
  await until(async () => (await scrape()).value('consumer_consumed_messages_total', { topic }) === 40)
  const { samples } = await scrape()
  const names = new Set(samples.flatMap(({ labels }) => Object.keys(labels)))
  expect([...names].sort()).toEqual(
    ['code', 'group', 'le', 'outcome', 'state', 'topic'].filter((name) => names.has(name)),
  )
  const series = samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).sort()]))
  expect(new Set(series).size).toBe(series.length)
})

test('a registry of the user’s takes them beside its own, as text, OpenMetrics and JSON', async () => {
  const own = new Counter({ name: 'own_total', help: 'Own.', registers: [registry] })
  own.inc()
  registry.setDefaultLabels({ pod: 'a' })
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  register(producer, { registry })
  await send(producer, topic, ['a'])
  const scraped = await scrape()
  expect(scraped.samples.find(({ name }) => name === 'own_total').value).toBe(1)
  expect(scraped.value('producer_sent_messages_total', { pod: 'a' })).toBe(1)
  const json = await registry.getMetricsAsJSON()
  const sent = json.find(({ name }) => name === 'rocketmq_orderly_producer_sent_messages_total')
  expect(sent).toMatchObject({ type: 'counter', aggregator: 'sum' })
  const open = new Registry(Registry.OPENMETRICS_CONTENT_TYPE)
  register(producer, { registry: open })
  await send(producer, topic, ['b'])
  for (let i = 0; i < 2; i++) {
    const text = await open.metrics()
    expect(text.match(/^rocketmq_orderly_producer_sent_messages_total\{.*\} 1$/gm)).toHaveLength(1)
    register(await startProducer(), { registry: open })
  }
  registry.resetMetrics()
  expect((await scrape()).value('producer_sent_messages_total')).toBe(undefined)
  registry.clear()
  const another = await startProducer()
  register(another, { registry })
  await send(another, topic, ['a'])
  expect((await scrape()).value('producer_sent_messages_total')).toBe(1)
})

test('arguments are checked', () => {
  const client = clients.add(new Producer({ groupId: 'g', nameServer: 'a:1' }))
  const refused = (...args) => expect(() => register(...args))
  refused({}, { registry }).toThrow('client')
  refused(client, undefined).toThrow('options')
  refused(client, { registry: {} }).toThrow('registry')
  refused(client, { registry, label: {} }).toThrow('options.label')
  refused(client, { registry, labels: [] }).toThrow('labels')
  refused(client, { registry, labels: { 'a-b': 'x' } }).toThrow('labels.a-b')
  refused(client, { registry, labels: { topic: 'x' } }).toThrow('labels.topic')
  refused(client, { registry, labels: { a: 1 } }).toThrow('labels.a')
  register(client, { registry })
  refused(client, { registry }).toThrow('already')
  expect(() => register(client, { registry: new Registry() })).not.toThrow()
})
