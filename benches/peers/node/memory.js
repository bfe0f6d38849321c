'use strict'
// W8: what a process holds after it has sent, and after it has handled, many messages.

const { keyOf } = require('./body')
const { peakRssMiB } = require('../../../scripts/endurance/process-figures')
const { Measure } = require('./measure')
const { WARM_UP_KEY, withProducer } = require('./sending')

const MIB = 2 ** 20

async function memory(client, given) {
  const total = Number(given.messages)
  const keys = Number(given.keys)
  return withProducer(client, given, async (producer, bodies) => {
    const measure = await Measure.begin()
    let sent = 0
    const loop = async (key) => {
      for (let i = 0; sent < total && measure.elapsed() < 1_000 * given.seconds; i++) {
        sent++
        await producer.send(`key-${key}`, bodies.of(key, i))
      }
    }
    await Promise.all(Array.from({ length: keys }, (_, key) => loop(key)))
    const afterSends = held()
    let handled = 0
    let done
    const over = new Promise((resolve) => (done = resolve))
    const consumer = await client.consumer(given, (body) => {
      if (keyOf(body) !== WARM_UP_KEY && ++handled === sent) done()
    })
    await over
    const afterHandling = held()
    await consumer.close()
    return {
      ...measure.stop(sent),
      sentRssMiB: afterSends.rss,
      handledRssMiB: afterHandling.rss,
      heapMiB: afterHandling.heap,
      peakRssMiB: peakRssMiB(),
    }
  })
}

function held() {
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss: rss / MIB, heap: (heapUsed + external) / MIB }
}

module.exports = { memory }
