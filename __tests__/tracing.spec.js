'use strict'
// What the channels of `node:diagnostics_channel` tell of sends, handler calls and connections.

const { AsyncLocalStorage } = require('node:async_hooks')
const { setImmediate: turn } = require('node:timers/promises')
const { CHANNELS, ConsumeStatus, Producer, PushConsumer, deadLetter, suspend } = require('..')
const {
  backend,
  clients,
  createTopic,
  makeConsumer,
  startProducer,
  uniqueGroup,
  uniqueTopic,
  until,
} = require('./support')
const { bind, observe, observePlain } = require('./support/observer')

/** Everything that is told on a tracing channel of these topics. */
function record(name, topic) {
  const told = []
  observe(name, (event, trace) => trace.topic === topic && told.push({ event, trace, ...trace }))
  return told
}

const events = (told) => told.map(({ event }) => event)
const last = (told) => told.filter(({ event }) => event === 'asyncEnd')

async function startConsumer(topic, handler, options) {
  const client = makeConsumer({ suspendMs: 10, ...options })
  client.subscribe(topic, handler)
  return client.start()
}

const brokerOf = ({ serverAddress, serverPort }) => `${serverAddress}:${serverPort}`

describe('sends', () => {
  test('a send is told from its call to its outcome, with all that is known of it', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    const told = record(CHANNELS.send, topic)
    const order = []
    observe(CHANNELS.send, (event, trace) => trace.topic === topic && order.push(event))
    const sent = producer.sendOrderly({ topic, body: 'a', tags: 't', keys: 'k1 k2', properties: { a: '1' } }, 'key')
    order.push('called')
    const result = await sent.finally(() => order.push('settled'))
    expect(order).toEqual(['start', 'end', 'called', 'asyncStart', 'asyncEnd', 'settled'])
    const { clientId, groupId } = producer
    const [start] = told
    expect(start).toMatchObject({ client: producer, clientId, groupId, topic, shardingKey: 'key' })
    expect(start).not.toHaveProperty('result')
    const { message } = start.trace
    expect({ ...message, properties: { ...message.properties } }).toEqual({
      topic,
      body: Buffer.from('a'),
      tags: 't',
      keys: ['k1', 'k2'],
      properties: { a: '1' },
    })
    const { msgId, queue, queueOffset } = result
    const [end] = last(told)
    expect(end).toMatchObject({ result, msgId, queue, queueOffset, outcome: 'stored', attempt: 1 })
    expect(end).not.toHaveProperty('error')
    expect(backend.brokers.map(({ address }) => address)).toContain(brokerOf(end))
    expect(new Set(told.map(({ trace }) => trace)).size).toBe(1)
  })

  test('what observers write into the properties is sent, and the caller’s message stays as it is', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    observe(CHANNELS.send, (event, { message }) => {
      if (event === 'start' && message.topic === topic) message.properties.traceparent = '00-a-b-01'
    })
    const message = { topic, body: 'a', properties: { own: '1' } }
    await producer.sendOrderly(message, 'key')
    await producer.sendOrderly({ topic, body: 'b' }, 'key')
    expect(message).toEqual({ topic, body: 'a', properties: { own: '1' } })
    const seen = []
    await startConsumer(topic, ({ properties }) => void seen.push({ ...properties }))
    await until(() => seen.length === 2)
    expect(seen).toEqual([{ own: '1', traceparent: '00-a-b-01' }, { traceparent: '00-a-b-01' }])
  })

  test('an observer that writes what cannot be sent is warned of, and fails no send', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    const warnings = []
    producer.on('warning', (warning) => warnings.push(warning.message))
    observe(CHANNELS.send, (event, { message }) => {
      if (event === 'start' && message.topic === topic) Object.assign(message.properties, { a: '2', TAGS: 'x' })
    })
    await producer.sendOrderly({ topic, body: 'a', properties: { a: '1' } }, 'key')
    expect(warnings).toEqual([expect.stringContaining('message.properties.TAGS')])
    const seen = []
    await startConsumer(topic, ({ properties }) => void seen.push({ ...properties }))
    await until(() => seen.length === 1)
    expect(seen).toEqual([{ a: '1' }])
  })

  test('a batch is one operation with all its messages', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    const told = record(CHANNELS.send, topic)
    observe(CHANNELS.send, (event, { messages }) => {
      if (event === 'start') messages.forEach((message, i) => (message.properties.number = String(i)))
    })
    const results = await producer.sendOrderlyBatch(
      [
        { topic, body: 'a' },
        { topic, body: 'b' },
      ],
      'key',
    )
    expect(events(told)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    const [end] = last(told)
    const { queue, queueOffset } = results[0]
    const stored = { results, queue, queueOffset, outcome: 'stored', attempt: 1 }
    expect(end).toMatchObject({ topic, shardingKey: 'key', ...stored })
    expect(end.messages.map(({ body }) => String(body))).toEqual(['a', 'b'])
    expect(end).not.toHaveProperty('message')
    expect(end).not.toHaveProperty('msgId')
    const seen = []
    await startConsumer(topic, ({ properties }) => void seen.push(properties.number))
    await until(() => seen.length === 2)
    expect(seen).toEqual(['0', '1'])
  })

  test('a failure is told with its error and what it takes along, before callers hear of it', async () => {
    const producer = await startProducer()
    const topic = uniqueTopic('missing')
    const told = record(CHANNELS.send, topic)
    const sends = ['a', 'b'].map((body) => producer.sendOrderly({ topic, body }, 'key'))
    let isSettled = false
    const settled = Promise.allSettled(sends).then((all) => ((isSettled = true), all))
    observe(
      CHANNELS.send,
      (event, trace) => trace.topic === topic && event === 'error' && expect(isSettled).toBe(false),
    )
    const [first, second] = await settled
    expect(events(told.filter(({ trace }) => trace === told[0].trace))).toEqual([
      'start',
      'end',
      'error',
      'asyncStart',
      'asyncEnd',
    ])
    const errors = told.filter(({ event }) => event === 'error')
    expect(errors.map(({ error }) => error)).toEqual([first.reason, second.reason])
    expect(errors.map(({ outcome, attempt }) => [outcome, attempt])).toEqual([
      ['not-stored', 0],
      ['not-stored', 0],
    ])
    expect(errors[1].error).toMatchObject({ code: 'ERR_ROCKETMQ_ORDER_BROKEN', cause: first.reason })
  })

  test('a signal that has fired before is told, too; a bad argument is no operation', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    const told = record(CHANNELS.send, topic)
    await expect(producer.sendOrderly({ topic, body: '' }, 'key')).rejects.toMatchObject({
      code: 'ERR_ROCKETMQ_INVALID_ARGUMENT',
    })
    expect(told).toEqual([])
    const aborted = producer.sendOrderly({ topic, body: 'a' }, 'key', { signal: AbortSignal.abort() })
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_ROCKETMQ_ABORTED' })
    expect(events(told)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    const over = { outcome: 'not-stored', attempt: 0, error: { code: 'ERR_ROCKETMQ_ABORTED' } }
    expect(last(told)[0]).toMatchObject(over)
  })

  test('observers hear all of a send in the store that its start was bound to, and its caller goes on in their own', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    const [store, own] = [new AsyncLocalStorage(), new AsyncLocalStorage()]
    bind(CHANNELS.send, store, ({ message }) => String(message?.body))
    const stores = []
    observe(CHANNELS.send, (event, { message }) => stores.push([event, String(message.body), store.getStore()]))
    const after = []
    await Promise.all(
      ['a', 'b'].map((body) =>
        own.run(body, async () => {
          await producer.sendOrderly({ topic, body }, 'key')
          after.push([own.getStore(), store.getStore()])
        }),
      ),
    )
    expect(stores).toHaveLength(8)
    expect(stores.filter(([, body, stored]) => body !== stored)).toEqual([])
    expect(after).toEqual([
      ['a', undefined],
      ['b', undefined],
    ])
  })
})

describe('handler calls', () => {
  const KINDS = {
    nothing: { handle: () => {}, outcome: ConsumeStatus.CONSUME_SUCCESS },
    success: { handle: () => ConsumeStatus.CONSUME_SUCCESS, outcome: ConsumeStatus.CONSUME_SUCCESS },
    later: { handle: () => ConsumeStatus.RECONSUME_LATER, outcome: ConsumeStatus.RECONSUME_LATER },
    suspended: { handle: () => suspend(10), outcome: suspend(10) },
    'dead letter': { handle: () => deadLetter('bad'), outcome: deadLetter('bad') },
    'an outcome that is thrown': {
      handle: () => {
        throw suspend(10)
      },
      outcome: suspend(10),
    },
    'an error': {
      handle: () => {
        throw new TypeError('broken')
      },
      outcome: ConsumeStatus.RECONSUME_LATER,
      error: new TypeError('broken'),
    },
    'no outcome': {
      handle: () => 7,
      outcome: ConsumeStatus.RECONSUME_LATER,
      error: expect.objectContaining({ code: 'ERR_ROCKETMQ_HANDLER' }),
    },
  }

  test.each([
    ['at once', (handle) => handle()],
    [
      'later',
      async (handle) => {
        await turn()
        return handle()
      },
    ],
  ])('each outcome that comes %s is told, and counts as ever', async (_when, call) => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    const kinds = Object.keys(KINDS)
    await Promise.all(kinds.map((body) => producer.sendOrderly({ topic, body }, 'key')))
    const told = record(CHANNELS.process, topic)
    const handled = []
    const consumer = makeConsumer({ suspendMs: 10 })
    consumer.on('warning', () => {})
    consumer.on('suspended', () => {})
    consumer.on('deadLetter', () => {})
    consumer.subscribe(topic, (message, { attempt }) => {
      handled.push([message.text(), attempt])
      return call(attempt === 1 ? KINDS[message.text()].handle : () => {})
    })
    await consumer.start()
    await until(
      () => last(told).some(({ message, outcome }) => message.text() === kinds.at(-1) && outcome === 'CONSUME_SUCCESS'),
      {
        what: () => JSON.stringify(handled),
      },
    )
    const again = (kind) => !['nothing', 'success', 'dead letter'].includes(kind)
    expect(handled).toEqual(
      kinds.flatMap((kind) =>
        again(kind)
          ? [
              [kind, 1],
              [kind, 2],
            ]
          : [[kind, 1]],
      ),
    )
    for (const kind of kinds) {
      const of = told.filter(({ message, attempt }) => message.text() === kind && attempt === 1)
      const { outcome, ...rest } = KINDS[kind]
      const fails = 'error' in rest
      expect(events(of)).toEqual(['start', 'end', ...(fails ? ['error'] : []), 'asyncStart', 'asyncEnd'])
      expect(of.at(-1).outcome).toEqual(outcome)
      if (fails) expect(of.at(-1).error).toEqual(rest.error)
      else expect(of.at(-1)).not.toHaveProperty('error')
    }
    const [{ trace }] = told
    const { clientId, groupId } = consumer
    const { message } = trace
    expect(trace).toMatchObject({
      client: consumer,
      clientId,
      groupId,
      topic,
      shardingKey: 'key',
      queue: message.queue,
      msgId: message.msgId,
      queueOffset: 0,
      attempt: 1,
      context: { attempt: 1 },
    })
    expect(backend.brokers.map(({ address }) => address)).toContain(brokerOf(trace))
  })

  test('each handler runs in the store of its own call and in the context of start(), and nothing leaks from one into the next', async () => {
    const topic = await createTopic({ queues: 4 })
    const producer = await startProducer()
    const bodies = Array.from({ length: 64 }, (_, i) => String(i))
    await Promise.all(bodies.map((body) => producer.sendOrderly({ topic, body }, `key-${body}`)))
    const [store, ofStart, leaking] = [new AsyncLocalStorage(), new AsyncLocalStorage(), new AsyncLocalStorage()]
    bind(CHANNELS.process, store, ({ message }) => message.text())
    observe(CHANNELS.process, (event, { message }) => heard.push([event, message.text(), store.getStore()]))
    const [seen, heard] = [[], []]
    await ofStart.run('start', () =>
      startConsumer(topic, (message) => {
        const body = message.text()
        const see = () => seen.push([body, store.getStore(), ofStart.getStore()])
        see()
        expect(leaking.getStore()).toBe(undefined)
        leaking.enterWith(body)
        if (Number(body) % 2 === 0) return undefined
        return turn()
          .then(see)
          .then(() => turn())
          .then(see)
          .then(() => {})
      }),
    )
    await until(() => heard.filter(([event]) => event === 'asyncEnd').length === bodies.length)
    expect(seen).toHaveLength(32 + 3 * 32)
    expect(seen.filter(([body, stored, context]) => body !== stored || context !== 'start')).toEqual([])
    expect(heard).toHaveLength(4 * bodies.length)
    expect(heard.filter(([, body, stored]) => body !== stored)).toEqual([])
    expect(store.getStore()).toBe(undefined)
  })

  test('a batch of messages is one call, with all of them', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    await Promise.all(['a', 'b', 'c'].map((body) => producer.sendOrderly({ topic, body }, 'key')))
    const store = new AsyncLocalStorage()
    bind(CHANNELS.process, store, ({ messages }) => messages.map((message) => message.text()))
    const told = record(CHANNELS.process, topic)
    const seen = []
    const options = { groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first' }
    const consumer = clients.add(new PushConsumer(options))
    consumer.subscribeBatch(topic, async (messages) => {
      await turn()
      seen.push([messages.map((message) => message.text()), store.getStore()])
    })
    await consumer.start()
    await until(() => last(told).reduce((sum, { messages }) => sum + messages.length, 0) === 3)
    expect(seen.flatMap(([bodies]) => bodies)).toEqual(['a', 'b', 'c'])
    for (const [bodies, stored] of seen) expect(stored).toEqual(bodies)
    const { queue, messages } = last(told)[0]
    expect(last(told)[0]).toMatchObject({ queue, queueOffset: 0, attempt: 1, outcome: 'CONSUME_SUCCESS' })
    expect(messages[0].queue).toEqual(queue)
    for (const name of ['message', 'msgId', 'shardingKey']) expect(last(told)[0]).not.toHaveProperty(name)
  })

  test('of a loop the call lasts until it asks for the next message; what it leaves has no outcome', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    await Promise.all(['a', 'b'].map((body) => producer.sendOrderly({ topic, body }, 'key')))
    const told = record(CHANNELS.process, topic)
    const options = { groupId: uniqueGroup(), nameServer: backend.nameServer, initialPosition: 'first' }
    const consumer = clients.add(new PushConsumer(options))
    for await (const message of consumer.messages(topic)) {
      if (message.text() === 'b') break
      await turn()
      expect(last(told)).toEqual([])
    }
    expect(last(told).map(({ message, outcome }) => [message.text(), outcome])).toEqual([
      ['a', 'CONSUME_SUCCESS'],
      ['b', undefined],
    ])
  })

  test('observers may come and go while messages are handled', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    const seen = []
    await startConsumer(topic, (message) => void seen.push(message.text()))
    const send = (body) => producer.sendOrderly({ topic, body }, 'key')
    await send('unseen')
    await until(() => seen.length === 1)
    const told = record(CHANNELS.process, topic)
    await send('seen')
    await until(() => last(told).length === 1)
    expect(last(told).map(({ message }) => message.text())).toEqual(['seen'])
  })
})

describe('the other channels', () => {
  test('messages that come again, and dead letters, with why', async () => {
    const topic = await createTopic({ queues: 1 })
    const producer = await startProducer()
    const { msgId } = await producer.sendOrderly({ topic, body: 'a' }, 'key')
    const [suspensions, letters] = [[], []]
    observePlain(CHANNELS.suspended, (told) => told.topic === topic && suspensions.push(told))
    observePlain(CHANNELS.deadLetter, (told) => told.topic === topic && letters.push(told))
    const cause = new Error('broken')
    const consumer = await startConsumer(topic, (_message, { attempt }) => {
      if (attempt === 1) throw cause
      return deadLetter('enough')
    })
    await until(() => letters.length === 1)
    const { clientId, groupId } = consumer
    const common = { client: consumer, clientId, groupId, topic, shardingKey: 'key', msgId, queueOffset: 0 }
    expect(suspensions).toEqual([expect.objectContaining({ ...common, attempt: 1, delayMs: 10, error: cause })])
    expect(letters).toEqual([expect.objectContaining({ ...common, error: 'enough' })])
    expect(suspensions[0].message.text()).toBe('a')
    expect(backend.brokers.map(({ address }) => address)).toContain(brokerOf(letters[0]))
  })

  test('clients are told of when they are made', () => {
    const made = []
    observePlain(CHANNELS.client, (told) => made.push(told))
    const producer = new Producer({ groupId: 'GID_p', nameServer: 'a:1' })
    const consumer = new PushConsumer({ groupId: 'GID_c', nameServer: 'a:1' })
    expect(made).toEqual([
      { client: producer, groupId: 'GID_p' },
      { client: consumer, groupId: 'GID_c' },
    ])
  })

  test('connections are told of from the first attempt on, and what fails of them, with who was called', async () => {
    const topic = await createTopic({ queues: 1 })
    const told = []
    observe(CHANNELS.connect, (event, trace) => told.push([event, trace, brokerOf(trace)]))
    const of = (client, address) => told.filter(([, trace, to]) => trace.client === client && to === address)
    const producer = await startProducer({ topics: [topic] })
    const { address } = backend.brokers[0]
    await until(() => of(producer, address).some(([event]) => event === 'asyncEnd'))
    const broker = of(producer, address).filter(([, { server }]) => server === 'broker')
    expect(broker.map(([event]) => event)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    const { clientId, groupId } = producer
    expect(broker[0][1]).toMatchObject({ client: producer, clientId, groupId, server: 'broker' })
    const lost = clients.add(new Producer({ groupId: uniqueGroup(), nameServer: '127.0.0.1:1', startTimeoutMs: 300 }))
    await expect(lost.start()).rejects.toMatchObject({ retriable: true })
    const failed = of(lost, '127.0.0.1:1')
    expect(failed.slice(0, 5).map(([event]) => event)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    expect(failed[2][1]).toMatchObject({ server: 'nameServer', error: { code: 'ERR_ROCKETMQ_CONNECTION' } })
    // What was under way is over when nobody is there any more.
    const count = (name) => told.filter(([event, { client }]) => client === lost && event === name).length
    expect(count('start')).toBe(count('asyncEnd'))
  })
})

test('the names are fixed', () => {
  expect(Object.isFrozen(CHANNELS)).toBe(true)
  expect(CHANNELS).toEqual({
    send: 'rocketmq-orderly:send',
    process: 'rocketmq-orderly:process',
    connect: 'rocketmq-orderly:connect',
    client: 'rocketmq-orderly:client',
    suspended: 'rocketmq-orderly:suspended',
    deadLetter: 'rocketmq-orderly:dead-letter',
  })
})
