'use strict'
// What a run's clients are like: drawn from its seed.

/** @typedef {import('./random').Random} Random */

/** So many messages per second are offered, over all producers, unless it is said otherwise. */
const RATE = 2_000
const KEYS = 64
const QUEUES = 8

/** What a client needs on a busy machine, where nothing else is drawn. */
const PATIENT = {
  producer: { sendTimeoutMs: 120_000, startTimeoutMs: 60_000 },
  consumer: { startTimeoutMs: 60_000 },
}

/**
 * @typedef {object} Load
 * @property {number} queues
 * @property {number} keys
 * @property {number} rate messages per second, over all producers
 * @property {number} bytes of a body, at least
 * @property {number} handlerMs at most so long a handler takes
 * @property {'queue' | 'key'} by what is handled in order, of the whole group
 * @property {object[]} producers their options
 * @property {object[]} consumers their options
 * @property {object} [producer] options that all producers have beside their own
 * @property {object} [consumer] options that all consumers have beside their own
 * @property {Partial<import('./participant').Part>} [part] what all participants are told beside that
 */

/** @param {Random} random  @param {Partial<Load>} given what is not drawn  @returns {Load} */
function drawn(random, given = {}) {
  const by = random.pick(['queue', 'key'])
  const load = {
    queues: QUEUES,
    keys: KEYS,
    rate: RATE,
    bytes: random.pick([1, 100, 1_000]),
    handlerMs: random.pick([0, 1, 2]),
    by,
    producers: Array.from({ length: 2 }, () => producer(random)),
    consumers: Array.from({ length: random.integer(2, 5) }, () => consumer(random, given.by ?? by)),
  }
  return { ...load, ...given }
}

function producer(random) {
  return { batching: random.pick(['auto', 'queue', 'key', 'off']), sendTimeoutMs: 120_000 }
}

function consumer(random, by) {
  return {
    concurrency: { max: random.pick([8, 20, 64]), by },
    prefetch: { messages: random.pick([16, 100, 1_000]) },
    commitIntervalMs: random.pick([100, 500, 1_000]),
    batch: random.pick([undefined, undefined, { maxMessages: random.integer(2, 33) }]),
    startTimeoutMs: 30_000,
  }
}

module.exports = { drawn, PATIENT }
