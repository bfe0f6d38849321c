'use strict'
// What is done for long, and what must not come of it. Each is a process of its own, which prints its figures.

/**
 * @typedef {object} Trial
 * @property {string} title
 * @property {string} program in programs/
 * @property {string[]} execArgv of Node.js
 * @property {number} [dataMiB] the kernel gives it no more private memory than that
 * @property {object} given what the program is told, beside where its broker is
 * @property {object} short in CI's time
 * @property {object} full
 * @property {Record<string, number>} most the most that these figures may be
 * @property {Record<string, number>} [mostOfFull] and those where it is done in full: memory grows in the beginning
 */

const CYCLES = {
  program: 'cycles.js',
  execArgv: ['--expose-gc'],
  most: { growthMiB: 8, newThreads: 0, newDescriptors: 2 },
}
const EXCHANGE = { program: 'exchange.js', given: { keys: 64, bytes: 100 }, dataMiB: 192 }
const EXCHANGED = { failed: 0, lost: 0, repeated: 0, outOfOrder: 0, newThreads: 0, newDescriptors: 2 }

/** @type {Record<string, Trial>} */
const TRIALS = {
  producers: {
    title: 'a producer is made, started and closed',
    given: { role: 'producer' },
    short: { warmUp: 200, cycles: 400 },
    full: { warmUp: 1_000, cycles: 10_000 },
    ...CYCLES,
  },
  consumers: {
    title: 'a consumer is made, started and closed',
    given: { role: 'consumer' },
    short: { warmUp: 200, cycles: 500 },
    full: { warmUp: 1_000, cycles: 10_000 },
    ...CYCLES,
  },
  messages: {
    title: 'messages are sent and handled, in little memory',
    execArgv: ['--max-old-space-size=64'],
    short: { messages: 20_000 },
    full: { messages: 1_000_000 },
    most: { ...EXCHANGED, peakRssMiB: 160, turnP99: 5 },
    mostOfFull: { growthMiB: 8 },
    ...EXCHANGE,
  },
  collections: {
    title: 'the same, and garbage is collected in every turn',
    execArgv: ['--max-old-space-size=64', '--expose-gc'],
    short: { messages: 300 },
    full: { messages: 10_000 },
    most: { ...EXCHANGED, peakRssMiB: 160 },
    mostOfFull: { growthMiB: 8 },
    ...EXCHANGE,
    given: { ...EXCHANGE.given, collects: true },
  },
}

module.exports = { TRIALS }
