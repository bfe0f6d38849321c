'use strict'
// The faults of scripts/faults as tests, at a small scale: with our own clients, on the brokers of this run.

const { isClean, run } = require('../../scripts/faults/fault')
const { FAULTS } = require('../../scripts/faults/faults')
const { backend, clients, startCluster } = require('./index')

/** Three on the test broker, of one version or the other; a real one shows what it can with one. */
const SEEDS = backend.testBroker && !backend.version.startsWith('4.') ? [2, 3] : [1]
/** How long things go wrong, and the messages per second that are offered meanwhile: five specs share two cores. */
const SECONDS = 2
const RATE = 200
const PATIENCE = 5
const ON = { name: `${backend.testBroker ? 'TestBroker-' : ''}${backend.version}`, ...backend }

/** A test for each seed of each of these faults. @param {string[]} ids  @param {number[]} [seeds] fewer, where each takes its time */
function testFaults(ids, seeds = SEEDS) {
  for (const id of ids) {
    const fault = FAULTS.find((known) => known.id === id)
    // What these brokers cannot show, the table leaves out, too.
    if (fault.whyNot?.(ON)) continue
    for (const seed of seeds) test(`${id}, seed ${seed}: ${fault.title}`, () => expectClean(fault, seed), 300_000)
  }
}

async function expectClean(fault, seed) {
  const isOwn = backend.testBroker || fault.harmsBrokers || fault.cluster
  const cluster = isOwn ? await startCluster(fault.cluster) : backend
  const setting = { on: ON.name, cluster, seed, seconds: SECONDS, patience: PATIENCE, load: { rate: RATE } }
  const result = await run(fault, { ...setting, started: (world) => clients.add({ close: () => world.end() }) })
  if (!isClean(result)) throw new Error([...result.problems, result.text, result.kept].filter(Boolean).join('\n'))
  expect(result.counts.acknowledged).toBeGreaterThan(0)
}

module.exports = { testFaults }
