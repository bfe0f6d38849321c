'use strict'
// A client is made, started and closed, again and again: what is left of it?
//   node --expose-gc cycles.js '{ "nameServer", "topic", "group", "role": "producer" | "consumer", "warmUp", "cycles" }'

const { Producer, PushConsumer } = require('../../..')
const { collectedRssMiB, handles, newHandles } = require('../process-figures')

const COLLECTED = 50

const { nameServer, topic, group, role, warmUp, cycles } = JSON.parse(process.argv[2])

function make() {
  const options = { groupId: group, nameServer }
  return role === 'producer'
    ? new Producer({ ...options, topics: [topic] })
    : new PushConsumer(options).subscribe(topic, () => {})
}

async function run(count) {
  for (let i = 0; i < count; i++) {
    const client = make()
    await client.start()
    await client.close()
    // What is asked is what is left behind, not when V8 collects what is not.
    if (i % COLLECTED === 0) globalThis.gc()
  }
  // What the last one has closed is gone a moment later.
  await new Promise((resolve) => setTimeout(resolve, 200))
  return { ...handles(), rss: collectedRssMiB() }
}

async function main() {
  const before = await run(warmUp)
  const began = performance.now()
  const after = await run(cycles)
  const figures = {
    cycles,
    millis: (performance.now() - began) / cycles,
    rssMiB: after.rss,
    growthMiB: after.rss - before.rss,
    ...newHandles(before, after),
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}
main()
