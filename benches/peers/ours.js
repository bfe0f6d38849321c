'use strict'
// One round of this package: node benches/peers/ours.js NAMESRV TOPIC WORKLOAD MESSAGES. The last line is what was measured, as JSON.

const { createHistogram, monitorEventLoopDelay, performance } = require('node:perf_hooks')
const { Producer, PushConsumer } = require('../..')
const { BODY_BYTES } = require('../workloads')

const [nameServer, topic, workload, messages] = process.argv.slice(2)
const MESSAGES = Number(messages)
const KEYS = 64
const WARM_UP = 500
const body = Buffer.alloc(BODY_BYTES, 'x')

/** Offsets that are not above the one before them, by queue. */
class Order {
  inversions = 0
  #last = new Map()

  see(queueId, offset) {
    if (offset <= (this.#last.get(queueId) ?? -1)) this.inversions++
    this.#last.set(queueId, offset)
  }
}

/** Runs it; the time, the CPU time of the whole process, and how late the event loop was meanwhile. */
async function measured(run) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const before = process.cpuUsage()
  const began = performance.now()
  const extra = await run()
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(before)
  delay.disable()
  // The monitor itself sleeps for a millisecond.
  const late = (percentile) => Math.max(0, delay.percentile(percentile) / 1e6 - 1)
  return {
    perSecond: (1_000 * MESSAGES) / ms,
    cpuMicros: (user + system) / MESSAGES,
    rssMiB: process.memoryUsage.rss() / 2 ** 20,
    delayP50: late(50),
    delayP99: late(99),
    delayMax: late(100),
    ...extra,
  }
}

async function sending(run) {
  const producer = await new Producer({ groupId: 'GID_bench', nameServer }).start()
  for (let i = 0; i < WARM_UP; i++) await producer.sendOrderly({ topic, body }, `warm-up-${i}`)
  const result = await measured(() => run(producer))
  await producer.close()
  return result
}

const ROUNDS = {
  await: () =>
    sending(async (producer) => {
      const latency = createHistogram()
      const order = new Order()
      for (let i = 0; i < MESSAGES; i++) {
        const began = performance.now()
        const { queue, queueOffset } = await producer.sendOrderly({ topic, body }, 'one')
        latency.record(Math.max(1, Math.round(1_000 * (performance.now() - began))))
        order.see(queue.queueId, queueOffset)
      }
      return { p50Micros: latency.percentile(50), p99Micros: latency.percentile(99), inversions: order.inversions }
    }),

  burst: () =>
    sending(async (producer) => {
      const sends = Array.from({ length: MESSAGES }, () => producer.sendOrderly({ topic, body }, 'one'))
      const order = new Order()
      for (const { queue, queueOffset } of await Promise.all(sends)) order.see(queue.queueId, queueOffset)
      return { inversions: order.inversions }
    }),

  keys: () =>
    sending(async (producer) => {
      let left = MESSAGES
      const before = producer.stats().requests
      const loop = async (key) => {
        while (left-- > 0) await producer.sendOrderly({ topic, body }, key)
      }
      await Promise.all(Array.from({ length: KEYS }, (_, i) => loop(`key-${i}`)))
      return { perRequest: MESSAGES / (producer.stats().requests - before) }
    }),

  drain: () => draining(() => {}),
  'drain-async': () => draining(async () => {}),
}

async function draining(handle) {
  const order = new Order()
  let handled = 0
  let done
  const all = new Promise((resolve) => (done = resolve))
  const consumer = new PushConsumer({ groupId: `GID_bench_${process.pid}`, nameServer, initialPosition: 'first' })
  consumer.subscribe(topic, (message) => {
    order.see(message.queue.queueId, message.queueOffset)
    if (++handled === MESSAGES) done()
    return handle(message)
  })
  const result = await measured(async () => {
    await consumer.start()
    await all
    return { inversions: order.inversions }
  })
  await consumer.close()
  return result
}

ROUNDS[workload]().then((result) => console.log(JSON.stringify(result)))
