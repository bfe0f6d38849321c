'use strict'
// W6: messages at a steady rate, from the call of the send to the beginning of the handler.

const { performance } = require('node:perf_hooks')
const { Order, keyOf, numberOf } = require('./body')
const { Measure, latencies } = require('./measure')
const { withProducer } = require('./sending')

/** Sent until one of each key has come, before the clock starts. */
const PROBE = 90_000_000
const PROBE_MS = 20

async function latency(client, given) {
  const keys = Number(given.keys)
  const total = Number(given.rate) * Number(given.seconds)
  const called = new Float64Array(total)
  const times = []
  const probed = new Set()
  const order = new Order()
  let done
  const over = new Promise((resolve) => (done = resolve))
  const consumer = await client.consumer(given, (body) => {
    const key = keyOf(body)
    const number = numberOf(body)
    if (number >= PROBE) return void probed.add(key)
    if (key >= keys) return
    order.see(body)
    times.push(performance.now() - called[number * keys + key])
    if (times.length === total) done()
  })
  try {
    return await withProducer(client, given, async (producer, bodies) => {
      await probe(producer, bodies, keys, probed)
      const measure = await Measure.begin()
      let sent = 0
      let failure
      const tick = () => {
        const due = Math.min(total, Math.floor((measure.elapsed() / 1_000) * given.rate))
        for (; sent < due; sent++) {
          const key = sent % keys
          called[sent] = performance.now()
          producer.send(`key-${key}`, bodies.of(key, Math.floor(sent / keys))).catch((error) => (failure = error))
        }
        if (sent < total) setTimeout(tick, 1)
      }
      tick()
      await over
      if (failure) throw failure
      return { ...measure.stop(total), ...latencies(times), inversions: order.inversions }
    })
  } finally {
    await consumer.close()
  }
}

/** Consumers begin where they like: the first message of each key that comes says that they have. */
async function probe(producer, bodies, keys, probed) {
  for (let i = 0; probed.size < keys; i++) {
    for (let key = 0; key < keys; key++) {
      if (!probed.has(key)) await producer.send(`key-${key}`, bodies.of(key, PROBE + i))
    }
    await new Promise((resolve) => setTimeout(resolve, PROBE_MS))
  }
}

module.exports = { latency }
