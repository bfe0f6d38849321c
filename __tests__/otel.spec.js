'use strict'
// Spans and metrics of OpenTelemetry's own SDK, of sends and handler calls.

const { SpanKind, SpanStatusCode, context, metrics, propagation, trace } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } = require('@opentelemetry/core')
const sdkMetrics = require('@opentelemetry/sdk-metrics')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const { setImmediate: turn } = require('node:timers/promises')
const { ConsumeStatus, deadLetter } = require('..')
const { RocketMQInstrumentation } = require('../otel')
const { version } = require('../package.json')
const { backend, createTopic, makeConsumer, startProducer, uniqueTopic, until } = require('./support')

const spanExporter = new InMemorySpanExporter()
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] })
const metricExporter = new sdkMetrics.InMemoryMetricExporter(sdkMetrics.AggregationTemporality.CUMULATIVE)
const reader = new sdkMetrics.PeriodicExportingMetricReader({
  exporter: metricExporter,
  exportIntervalMillis: 2_147_483_647,
  exportTimeoutMillis: 30_000,
})
const meterProvider = new sdkMetrics.MeterProvider({ readers: [reader] })

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(tracerProvider)
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  )
})
afterAll(async () => {
  for (const api of [context, trace, metrics, propagation]) api.disable()
  await Promise.all([tracerProvider.shutdown(), meterProvider.shutdown()])
})

let instrumentation
const observe = (config) => (instrumentation = new RocketMQInstrumentation(config))
beforeEach(() => spanExporter.reset())
afterEach(() => instrumentation?.disable())

const spansOf = (topic) =>
  spanExporter.getFinishedSpans().filter(({ attributes }) => attributes['messaging.destination.name'] === topic)
const sendOf = (topic) => spansOf(topic).filter(({ kind }) => kind === SpanKind.PRODUCER)
const processOf = (topic) => spansOf(topic).filter(({ kind }) => kind === SpanKind.CONSUMER)
const idsOf = ({ traceId, spanId }) => ({ traceId, spanId })

async function consume(topic, handler, count = 1) {
  let calls = 0
  const consumer = makeConsumer({ suspendMs: 10 })
  consumer.on('suspended', () => {})
  consumer.on('deadLetter', () => {})
  consumer.subscribe(topic, async (message, context) => {
    try {
      return await handler(message, context)
    } finally {
      calls++
    }
  })
  await consumer.start()
  await until(() => calls >= count && processOf(topic).length >= count)
  return consumer
}

/** What was measured of a topic: the data points of each metric. */
async function measured(topic) {
  metricExporter.reset()
  await reader.forceFlush()
  const all = metricExporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
  return Object.fromEntries(
    all.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      dataPoints.filter(({ attributes }) => attributes['messaging.destination.name'] === topic),
    ]),
  )
}

test('a send is a span with the conventions’ names, and so is the handler call, with a link to it', async () => {
  observe()
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  const parent = trace.getTracer('test').startSpan('order')
  const message = { topic, body: 'paid', tags: 'orders', keys: ['4711', '4712'] }
  const { msgId, queue } = await context.with(trace.setSpan(context.active(), parent), () =>
    producer.sendOrderly(message, 'order-4711'),
  )
  let active
  let properties
  const consumer = await consume(topic, async (message) => {
    await turn()
    active = trace.getActiveSpan()
    properties = message.properties
  })
  const [sent] = sendOf(topic)
  const [processed] = processOf(topic)
  const host = backend.brokers.find(({ name }) => name === queue.brokerName).address
  const common = {
    'messaging.system': 'rocketmq',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': `${queue.brokerName}/${queue.queueId}`,
    'messaging.message.id': msgId,
    'messaging.message.body.size': 4,
    'messaging.rocketmq.message.group': 'order-4711',
    'messaging.rocketmq.message.type': 'fifo',
    'messaging.rocketmq.message.tag': 'orders',
    'messaging.rocketmq.message.keys': ['4711', '4712'],
    'server.address': host.split(':')[0],
    'server.port': Number(host.split(':')[1]),
  }
  expect(sent.name).toBe(`send ${topic}`)
  expect(sent.instrumentationScope).toMatchObject({ name: 'rocketmq-orderly', version })
  expect(sent.attributes).toEqual({
    ...common,
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.client.id': producer.clientId,
  })
  expect(sent.parentSpanContext.spanId).toBe(parent.spanContext().spanId)
  expect(sent.status.code).toBe(SpanStatusCode.UNSET)
  expect(processed.name).toBe(`process ${topic}`)
  expect(processed.attributes).toEqual({
    ...common,
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.client.id': consumer.clientId,
    'messaging.consumer.group.name': consumer.groupId,
    'messaging.rocketmq.consumption_model': 'clustering',
  })
  expect(processed.parentSpanContext).toBe(undefined)
  expect(processed.spanContext().traceId).not.toBe(sent.spanContext().traceId)
  expect(processed.links.map(({ context }) => idsOf(context))).toEqual([idsOf(sent.spanContext())])
  expect(idsOf(active.spanContext())).toEqual(idsOf(processed.spanContext()))
  const { traceId, spanId } = sent.spanContext()
  expect(properties.traceparent).toBe(`00-${traceId}-${spanId}-01`)
})

test('with the option `parent` a handler goes on in the trace of the sender; baggage comes along', async () => {
  observe({ parent: true })
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  const baggage = propagation.createBaggage({ tenant: { value: 'acme' } })
  await context.with(propagation.setBaggage(context.active(), baggage), () =>
    producer.sendOrderly({ topic, body: 'a' }, 'key'),
  )
  let tenant
  await consume(topic, () => {
    tenant = propagation.getActiveBaggage()?.getEntry('tenant')?.value
    trace.getTracer('test').startSpan('query').end()
  })
  const [sent] = sendOf(topic)
  const [processed] = processOf(topic)
  expect(idsOf(processed.parentSpanContext)).toEqual(idsOf(sent.spanContext()))
  expect(processed.links.map(({ context }) => idsOf(context))).toEqual([idsOf(sent.spanContext())])
  const query = spanExporter.getFinishedSpans().find(({ name }) => name === 'query')
  expect(idsOf(query.parentSpanContext)).toEqual(idsOf(processed.spanContext()))
  expect(tenant).toBe('acme')
})

test('messages that are handled at once have contexts of their own', async () => {
  observe()
  const topic = await createTopic({ queues: 4 })
  const producer = await startProducer()
  const count = 32
  await Promise.all(
    Array.from({ length: count }, (_, i) => producer.sendOrderly({ topic, body: String(i) }, `key-${i}`)),
  )
  const seen = new Map()
  await consume(
    topic,
    async (message) => {
      const before = trace.getActiveSpan().spanContext().spanId
      await turn()
      seen.set(message.msgId, [before, trace.getActiveSpan().spanContext().spanId])
    },
    count,
  )
  expect(sendOf(topic)).toHaveLength(count)
  const sent = new Map(sendOf(topic).map((span) => [span.attributes['messaging.message.id'], span.spanContext()]))
  for (const span of processOf(topic)) {
    const id = span.attributes['messaging.message.id']
    expect(seen.get(id)).toEqual([span.spanContext().spanId, span.spanContext().spanId])
    expect(span.links.map(({ context }) => idsOf(context))).toEqual([idsOf(sent.get(id))])
  }
})

test('failures have a status and a type; an outcome that is no success has its own', async () => {
  observe()
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  const missing = uniqueTopic('missing')
  const error = await producer.sendOrderly({ topic: missing, body: 'a' }, 'key').catch((error) => error)
  const [failed] = sendOf(missing)
  expect(failed.status.code).toBe(SpanStatusCode.ERROR)
  expect(failed.attributes['error.type']).toBe(error.code)
  expect(failed.events.map(({ name }) => name)).toEqual(['exception'])

  await producer.sendOrderly({ topic, body: 'a' }, 'key')
  const says = [
    () => {
      throw new TypeError('broken')
    },
    () => ConsumeStatus.RECONSUME_LATER,
    () => deadLetter('enough'),
  ]
  await consume(topic, (_message, { attempt }) => says[attempt - 1](), says.length)
  const calls = processOf(topic)
  expect(calls.map(({ attributes }) => attributes['error.type'])).toEqual([
    'TypeError',
    'RECONSUME_LATER',
    'deadLetter',
  ])
  expect(calls.map(({ status }) => status.code)).toEqual(Array(3).fill(SpanStatusCode.ERROR))
  expect(calls[0].status.message).toBe('broken')
})

test('a batch is one span, whose context goes with each of its messages; a message that brings one is linked', async () => {
  observe()
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  const own = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  await producer.sendOrderlyBatch(
    [
      { topic, body: 'a' },
      { topic, body: 'b', properties: { traceparent: own } },
    ],
    'key',
  )
  await consume(topic, () => {}, 2)
  const [sent] = sendOf(topic)
  expect(sendOf(topic)).toHaveLength(1)
  expect(sent.attributes).toMatchObject({
    'messaging.batch.message_count': 2,
    'messaging.rocketmq.message.group': 'key',
  })
  expect(sent.attributes).not.toHaveProperty('messaging.message.id')
  expect(sent.links.map(({ context }) => context.spanId)).toEqual(['b'.repeat(16)])
  const links = processOf(topic).map((span) => span.links.map(({ context }) => idsOf(context)))
  expect(links).toEqual([[idsOf(sent.spanContext())], [idsOf(sent.spanContext())]])
})

test('the metrics have the conventions’ names, and no key in an attribute', async () => {
  observe({ enabled: false })
  instrumentation.setMeterProvider(meterProvider)
  instrumentation.enable()
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  await producer.sendOrderly({ topic, body: 'a', keys: 'k' }, 'key')
  await producer.sendOrderlyBatch(
    ['b', 'c'].map((body) => ({ topic, body })),
    'key',
  )
  const consumer = await consume(
    topic,
    (_message, { attempt, queue }) => {
      if (queue.topic === topic && attempt === 1) throw new TypeError('broken')
    },
    6,
  )
  const [{ brokerName }] = await producer.queues(topic)
  const metrics = await measured(topic)
  const sends = { 'messaging.operation.name': 'send' }
  const calls = { 'messaging.operation.name': 'process', 'messaging.consumer.group.name': consumer.groupId }
  const names = (point) => Object.keys(point.attributes).sort()
  const [sent] = metrics['messaging.client.sent.messages']
  expect(sent.value).toBe(3)
  expect(sent.attributes).toMatchObject({
    ...sends,
    'messaging.system': 'rocketmq',
    'messaging.destination.partition.id': `${brokerName}/0`,
  })
  const [took] = metrics['messaging.client.operation.duration']
  expect(took.value.count).toBe(2)
  expect(took.value.buckets.boundaries).toEqual([
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
  ])
  expect(took.attributes).toMatchObject({ ...sends, 'messaging.operation.type': 'send' })
  const consumed = metrics['messaging.client.consumed.messages']
  const failing = ({ attributes }) => attributes['error.type'] === 'TypeError'
  expect(consumed.map((point) => [failing(point), point.value]).sort()).toEqual([
    [false, 3],
    [true, 3],
  ])
  for (const point of consumed) expect(point.attributes).toMatchObject(calls)
  const processing = metrics['messaging.process.duration']
  expect(processing.map(({ value }) => value.count)).toEqual([3, 3])
  const allowed = [
    'error.type',
    'messaging.consumer.group.name',
    'messaging.destination.name',
    'messaging.destination.partition.id',
    'messaging.operation.name',
    'messaging.operation.type',
    'messaging.system',
    'server.address',
    'server.port',
  ]
  for (const point of [sent, took, ...consumed, ...processing]) {
    expect(names(point).filter((name) => !allowed.includes(name))).toEqual([])
  }
})

test('it is an instrumentation as registerInstrumentations() takes them', async () => {
  observe({ parent: true })
  expect(instrumentation).toMatchObject({ instrumentationName: 'rocketmq-orderly', instrumentationVersion: version })
  expect(instrumentation.getConfig()).toEqual({ enabled: true, parent: true })
  const own = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(own)] })
  instrumentation.setTracerProvider(provider)
  instrumentation.enable() // once is enough
  const topic = await createTopic({ queues: 1 })
  const producer = await startProducer()
  await producer.sendOrderly({ topic, body: 'a' }, 'key')
  expect(own.getFinishedSpans().map(({ name }) => name)).toEqual([`send ${topic}`])
  expect(spansOf(topic)).toEqual([])
  instrumentation.disable()
  await producer.sendOrderly({ topic, body: 'a' }, 'key')
  expect(own.getFinishedSpans()).toHaveLength(1)
  await provider.shutdown()
  instrumentation.setConfig({})
  expect(instrumentation.getConfig()).toEqual({ enabled: true, parent: false })
  expect(() => new RocketMQInstrumentation({ parents: true })).toThrow('config.parents')
})
