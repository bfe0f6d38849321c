'use strict'
// W1, W2, W3 and W11: sends one after the other, all at once, and one of each key at a time.

const { Bodies } = require('./body')
const { Measure, latencies } = require('./measure')

/** Of what is sent before the clock starts. */
const WARM_UP_KEY = 9_999
const WARM_UP = 50

/** A producer that has found its routes and connections, for as long as `run` takes. */
async function withProducer(client, given, run) {
  const producer = await client.producer(given)
  try {
    const bodies = new Bodies(Number(given.bytes))
    for (let i = 0; i < WARM_UP; i++) await producer.send('key-0', bodies.of(WARM_UP_KEY, i))
    return await run(producer, bodies)
  } finally {
    await producer.close()
  }
}

function awaited(client, given) {
  return withProducer(client, given, async (producer, bodies) => {
    const times = []
    const measure = await Measure.begin()
    for (let began = 0; began < 1_000 * given.seconds;) {
      await producer.send('key-0', bodies.of(0, times.length))
      const now = measure.elapsed()
      times.push(now - began)
      began = now
    }
    return { ...measure.stop(times.length), ...latencies(times) }
  })
}

/** All at once. `given.sequential`: one after the other, which clients need that keep no order. */
function burst(client, given) {
  return withProducer(client, given, async (producer, bodies) => {
    if (given.sequential) return sequential(producer, bodies, given)
    const total = Number(given.messages)
    const before = producer.requests?.()
    let open = total
    let failed = 0
    const settled = () => open--
    const lost = () => {
      failed++
      settled()
    }
    const measure = await Measure.begin()
    for (let sent = 0; sent < total; sent++) producer.send('key-0', bodies.of(0, sent)).then(settled, lost)
    await new Promise((resolve) => {
      const look = () => (open === 0 ? resolve() : setImmediate(look))
      look()
    })
    return told(measure.stop(total - failed), { failed, requests: producer.requests?.() - before })
  })
}

/** `given.open` are under way: each that settles is followed by the next, as limiters do it. */
function window(client, given) {
  return withProducer(client, given, async (producer, bodies) => {
    const before = producer.requests?.()
    let sent = 0
    let failed = 0
    const measure = await Measure.begin()
    await new Promise((resolve) => {
      let open = Number(given.open)
      const next = () => {
        if (measure.elapsed() < 1_000 * given.seconds) producer.send('key-0', bodies.of(0, sent++)).then(next, lost)
        else if (--open === 0) resolve()
      }
      const lost = () => {
        failed++
        next()
      }
      for (let i = 0; i < given.open; i++) next()
    })
    return told(measure.stop(sent - failed), { failed, requests: producer.requests?.() - before })
  })
}

async function sequential(producer, bodies, given) {
  let sent = 0
  const measure = await Measure.begin()
  while (measure.elapsed() < 1_000 * given.seconds) await producer.send('key-0', bodies.of(0, sent++))
  return measure.stop(sent)
}

function keys(client, given) {
  return withProducer(client, given, async (producer, bodies) => {
    const before = producer.requests?.()
    const times = []
    const measure = await Measure.begin()
    const loop = async (key) => {
      for (let sent = 0, began = measure.elapsed(); began < 1_000 * given.seconds; sent++) {
        await producer.send(`key-${key}`, bodies.of(key, sent))
        const now = measure.elapsed()
        times.push(now - began)
        began = now
      }
    }
    await Promise.all(Array.from({ length: Number(given.keys) }, (_, key) => loop(key)))
    const figures = { ...measure.stop(times.length), ...latencies(times) }
    return told(figures, { requests: producer.requests?.() - before })
  })
}

/** Bodies of all sizes in turn, `given.sizes` separated by commas. */
function mixed(client, given) {
  return withProducer(client, given, async (producer) => {
    const sizes = given.sizes.split(',').map((size) => new Bodies(Number(size)))
    let bytes = 0
    let sent = 0
    const measure = await Measure.begin()
    const loop = async (key) => {
      for (let i = 0; measure.elapsed() < 1_000 * given.seconds; i++) {
        const body = sizes[(key + i) % sizes.length].of(key, i)
        await producer.send(`key-${key}`, body)
        bytes += body.length
        sent++
      }
    }
    await Promise.all(Array.from({ length: Number(given.keys) }, (_, key) => loop(key)))
    const figures = measure.stop(sent)
    return { ...figures, mibPerSecond: (figures.perSecond * bytes) / sent / 2 ** 20 }
  })
}

function told(figures, { failed, requests }) {
  if (failed) figures.failed = failed
  if (requests) figures.perRequest = figures.messages / requests
  return figures
}

module.exports = { WARM_UP_KEY, awaited, burst, keys, mixed, window, withProducer }
