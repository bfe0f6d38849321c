'use strict'
// What is measured, by whom, and who cannot do it.

/** @typedef {import('./peers').PeerName} PeerName */

/**
 * @typedef {object} Workload
 * @property {string} id of the list in docs/benchmarks.md
 * @property {string} title
 * @property {Record<string, string | number>} round what each peer is given
 * @property {number} queues of the topic
 * @property {'new' | 'filled'} topic whether each round has one of its own, or all drain the same
 * @property {Partial<Record<PeerName, Record<string, string | number> | string>>} peers what each is given besides, or why it cannot
 * @property {string[]} figures that are shown, in this order
 * @property {boolean} [isFresh] a process of its own for each round, and nothing before the clock starts
 * @property {number} [rounds] at most so many
 */

const BODY_BYTES = 100
/** Of a round; where a peer cannot be stopped by the clock, it is given a count that takes about as long. */
const SECONDS = 2

const NO_KEYS = 'has no keys: it chooses the queue itself'
const NO_BATCH_HANDLER = 'one message a call'
const NO_ASYNC_HANDLER = 'its orderly listener is synchronous'
const ALWAYS_ASYNC = 'its handlers are always asynchronous: see `drain`'

const SENDS = ['perSecond', 'p50Micros', 'p99Micros', 'cpuMicros', 'perRequest', 'delayP99', 'timerP99', 'inversions']
const ORDER = ['spreadKeys', 'duplicates', 'missing', 'failed']
const DRAINS = ['perSecond', 'cpuMicros', 'delayP50', 'delayP99', 'delayMax', 'timerP99', 'rssMiB', 'inversions']

/** All take part, with nothing of their own. */
const ALL = {
  ours: {},
  java: {},
  go: {},
  'ali-ons': {},
  'rocketmq-client-nodejs': {},
  'rocketmq-nodejs': {},
  limit: {},
}

/** W3 with so many keys. */
const keys = (count, seconds) => ({
  id: 'W3',
  title: `${count === 1 ? 'one key' : `${count} keys`}, closed loop: of each key one message after the other`,
  round: { workload: 'keys', keys: count, seconds, bytes: BODY_BYTES },
  queues: 8,
  topic: 'new',
  peers: {
    ours: {},
    java: {},
    go: {},
    'ali-ons': {},
    'rocketmq-client-nodejs': {},
    'rocketmq-nodejs': NO_KEYS,
    limit: {},
    'limit-batch': { batches: 1 },
  },
  figures: [...SENDS, ...ORDER],
})

/** W2 with so many sends under way. */
const window = (open) => ({
  id: 'W2',
  title: `one key, ${open} under way, each followed by the next`,
  round: { workload: 'window', seconds: SECONDS, bytes: BODY_BYTES, open },
  queues: 1,
  topic: 'new',
  peers: { ours: {} },
  figures: ['perSecond', 'cpuMicros', 'perRequest', 'delayP50', 'delayP99', 'delayMax', 'inversions', ...ORDER],
})

/** Bodies of 64 bytes to 1 MiB in turn. */
const mixed = (title, round, ours) => ({
  id: 'W11',
  title,
  round: {
    workload: 'mixed',
    keys: 8,
    seconds: 1,
    bytes: BODY_BYTES,
    sizes: '64,1024,16384,131072,1048576',
    ...round,
  },
  queues: 8,
  topic: 'new',
  peers: { ours, java: {}, go: {}, 'ali-ons': {} },
  figures: ['mibPerSecond', 'perSecond', 'cpuMicros', 'delayP99', 'rssMiB', 'inversions', ...ORDER],
})

/** @type {Record<string, Workload>} */
const WORKLOADS = {
  await: {
    id: 'W1',
    title: 'one key, each send awaited',
    round: { workload: 'await', seconds: SECONDS, bytes: BODY_BYTES },
    queues: 1,
    topic: 'new',
    peers: ALL,
    figures: ['p50Micros', 'p99Micros', 'p999Micros', 'perSecond', 'cpuMicros', 'inversions', ...ORDER],
  },
  burst: {
    id: 'W2',
    title: 'one key, no awaits',
    round: { workload: 'burst', seconds: SECONDS, bytes: BODY_BYTES },
    queues: 1,
    topic: 'new',
    peers: {
      ours: { messages: 200_000 },
      java: { sequential: 1 },
      'java-async': { messages: 50_000 },
      'java-batch': { batch: 128 },
      go: { messages: 50_000 },
      'ali-ons': { sequential: 1 },
      'ali-ons-unawaited': { messages: 20_000 },
      'rocketmq-client-nodejs': { messages: 2_000 },
      'rocketmq-nodejs': { messages: 20_000 },
      limit: { batch: 128 },
    },
    figures: [...SENDS.filter((figure) => !/Micros$/.test(figure) || figure === 'cpuMicros'), 'delayMax', ...ORDER],
  },
  'burst-2000': window(2_000),
  'burst-20000': window(20_000),
  'keys-1': keys(1, 1),
  'keys-8': keys(8, 1.5),
  'keys-64': keys(64, 1.5),
  'keys-1024': keys(1_024, 1.5),
  drain: {
    id: 'W4',
    title: 'a backlog in 8 queues, a handler that does nothing',
    round: { workload: 'drain', seconds: SECONDS, bytes: BODY_BYTES, messages: 600_000 },
    queues: 8,
    topic: 'filled',
    peers: ALL,
    figures: DRAINS,
  },
  'drain-async': {
    id: 'W4',
    title: 'a backlog in 8 queues, an asynchronous handler that does nothing',
    round: { workload: 'drain', seconds: SECONDS, bytes: BODY_BYTES, messages: 600_000, async: 1 },
    queues: 8,
    topic: 'filled',
    peers: {
      ours: {},
      java: NO_ASYNC_HANDLER,
      go: NO_ASYNC_HANDLER,
      'ali-ons': ALWAYS_ASYNC,
      'rocketmq-client-nodejs': ALWAYS_ASYNC,
    },
    figures: DRAINS,
  },
  'drain-1000': {
    id: 'W4',
    title: 'a backlog in 1 000 queues, 20 handlers at once',
    round: {
      workload: 'drain',
      seconds: 2 * SECONDS,
      bytes: BODY_BYTES,
      messages: 600_000,
      from: 'start',
      concurrency: 20,
    },
    queues: 1_000,
    topic: 'filled',
    peers: ALL,
    figures: DRAINS,
  },
  'drain-batch': {
    id: 'W5',
    title: 'a backlog in 8 queues, a handler that takes 32 messages',
    round: { workload: 'drain', seconds: SECONDS, bytes: BODY_BYTES, messages: 600_000, batch: 32 },
    queues: 8,
    topic: 'filled',
    peers: {
      ours: 'its handlers take one message',
      java: {},
      go: {},
      'ali-ons': NO_BATCH_HANDLER,
      'rocketmq-client-nodejs': NO_BATCH_HANDLER,
      'rocketmq-nodejs': NO_BATCH_HANDLER,
    },
    figures: DRAINS,
  },
  latency: {
    id: 'W6',
    title: '1 000 messages a second over 64 keys, from the call to the handler',
    round: { workload: 'latency', seconds: 3, bytes: BODY_BYTES, keys: 64, rate: 1_000 },
    queues: 8,
    topic: 'new',
    peers: {
      ours: {},
      java: {},
      go: {},
      'ali-ons': {},
      'rocketmq-client-nodejs': {},
      'rocketmq-nodejs': NO_KEYS,
      limit: {},
    },
    figures: ['p50Micros', 'p99Micros', 'p999Micros', 'cpuMicros', 'delayP99', 'inversions'],
  },
  idle: {
    id: 'W7',
    title: 'an event loop that has nothing to do, to compare the delays with',
    round: { workload: 'idle', seconds: SECONDS },
    queues: 1,
    topic: 'new',
    peers: { ours: {} },
    figures: ['delayP50', 'delayP99', 'delayMax', 'timerP99'],
  },
  memory: {
    id: 'W8',
    title: '100 000 messages of 64 keys sent, then handled',
    round: { workload: 'memory', seconds: 6, bytes: BODY_BYTES, keys: 64, messages: 100_000 },
    queues: 8,
    topic: 'new',
    peers: { ours: {}, java: {}, go: {}, 'ali-ons': {}, 'rocketmq-client-nodejs': {}, 'rocketmq-nodejs': NO_KEYS },
    figures: ['sentRssMiB', 'handledRssMiB', 'peakRssMiB', 'heapMiB', 'messages'],
    isFresh: true,
    rounds: 3,
  },
  cold: {
    id: 'W10',
    title: 'from the start of the process to the first acknowledgement',
    round: { workload: 'cold', bytes: BODY_BYTES },
    queues: 1,
    topic: 'new',
    peers: ALL,
    figures: ['coldMs', 'installMiB', 'addonMB'],
    isFresh: true,
  },
  mixed: mixed('bodies of 64 B to 1 MiB in turn, 8 keys, closed loop', {}, {}),
  'mixed-compressed': mixed(
    'the same with compression from 4 KiB on (bodies of one letter: the best case)',
    { compress: 1 },
    'never compresses',
  ),
}

module.exports = { WORKLOADS }
