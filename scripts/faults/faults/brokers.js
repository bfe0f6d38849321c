'use strict'
// F4 to F6, and F22: brokers that restart, are killed, are too busy, or store with reservations.

const { frameOf, partsOf } = require('../tampering')

/** So much traffic may come again: what a broker's disk may lack, and a commit interval. */
const REPEATED_SECONDS = 6
/** How brokers refuse what they have no time for. */
const BUSY = [
  { answer: 2, remark: '[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 201ms' },
  { answer: 2, remark: '[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: 5ms' },
  { answer: 2, remark: '[REJECTREQUEST]system busy, start flow control for a while' },
  { answer: 2, remark: '[OVERLOAD]system busy, start flow control for a while' },
  { answer: 215, remark: 'flow control' },
]
/** How long a broker refuses all of it, at the most. */
const BURST_MS = 2_000
/** Of sends that are refused. */
const MOST_PER_SECOND = 20
/** The disk was too slow, no other broker has it, or one was too slow: it is stored. */
const STORED = [10, 11, 12]

/** @type {import('../fault').Fault} */
const restarted = {
  id: 'F4',
  title: 'a broker restarts in peace',
  figure: 'goes on within 3 s; what is handled again is what has no acknowledged commit',
  harmsBrokers: true,
  async run(world) {
    await world.begin()
    const recoveries = []
    while (world.elapsed < 1) {
      await world.lasts(world.random.integer(300, 2_000))
      await world.restart(world.cluster.brokers[0], world.random.integer(0, 1_000))
      recoveries.push(await world.recovered(world.heals('start')))
    }
    world.time('from its start until all goes on', Math.max(...recoveries), 3_000)
  },
}

/** @type {import('../fault').Fault} */
const killed = {
  id: 'F5',
  title: 'a broker is killed and comes back without its locks and its last offsets',
  figure: 'what is handled again is at most 6 s of traffic; at most one call of each queue overlaps',
  harmsBrokers: true,
  async run(world) {
    await world.begin()
    const { random } = world
    const [broker] = world.cluster.brokers
    while (world.elapsed < 1) {
      await world.lasts(random.integer(500, 2_500))
      await world.kill9(broker)
      await world.lasts(random.integer(0, 1_500))
      await broker.start()
      await world.recovered(world.heals('start'))
    }
  },
  judge(world, { counts }) {
    const most = REPEATED_SECONDS * world.load.rate * world.progress.recoveries.length
    world.figure('handled again', counts['duplicates handled'], { atMost: most })
  },
}

/** Requests per second of the queue that had the most. */
function busiest(requests, ms) {
  const counts = new Map()
  for (const { broker, queueId } of requests) {
    const queue = `${broker}:${queueId}`
    counts.set(queue, (counts.get(queue) ?? 0) + 1)
  }
  return (Math.max(0, ...counts.values()) * 1_000) / ms
}

const isSend = ({ name }) => name === 'SEND_MESSAGE_V2' || name === 'SEND_BATCH_MESSAGE'

/** @type {import('../fault').Fault} */
const busy = {
  id: 'F6',
  title: 'a broker is too busy: it refuses a third of all sends and pulls, and at times all of them',
  figure: 'at most 20 requests per second of a producer and queue while all are refused',
  whyNot: ({ testBroker }) => (testBroker ? undefined : 'a real broker cannot be told to be busy'),
  // One request of a queue at a time.
  load: { producers: [{ batching: 'queue', sendTimeoutMs: 120_000 }] },
  async run(world) {
    await world.begin()
    const { random, cluster } = world
    const { testBroker } = cluster
    const rates = []
    while (world.elapsed < 1) {
      world.fault('the broker is busy')
      for (const request of ['send', 'pull']) testBroker.fault({ request, probability: 0.3, ...random.pick(BUSY) })
      await world.lasts(random.integer(500, 1_500))
      testBroker.clearFaults()
      testBroker.fault({ request: 'send', ...random.pick(BUSY) })
      const since = Date.now()
      await world.lasts(random.integer(BURST_MS / 2, BURST_MS))
      const refused = testBroker.requests().filter((request) => isSend(request) && request.at >= since)
      rates.push(busiest(refused, Date.now() - since))
      testBroker.clearFaults()
      await world.recovered(world.heals('busy'))
    }
    world.figure('requests per second of a queue', Math.max(...rates), { atMost: MOST_PER_SECOND })
  },
}

/** The answer to a send that has stored it, with another of the codes that say so. */
function reserved(random) {
  return (frame) => {
    if (!frame.includes('"queueOffset"')) return frame
    const { header, body } = partsOf(frame)
    const isStored = (header.flag & 1) === 1 && header.code === 0 && header.extFields?.msgId !== undefined
    if (!isStored || random.fraction() < 0.5) return frame
    return frameOf({ ...header, code: random.pick(STORED) }, body)
  }
}

/** @type {import('../fault').Fault} */
const reservations = {
  id: 'F22',
  title: 'half of all sends are stored with 10, 11 or 12; some are refused with 14, as by a full disk',
  figure: 'what is stored with 10, 11 or 12 is acknowledged, and not sent again',
  tampers: true,
  async run(world) {
    await world.begin()
    const { testBroker } = world.cluster
    world.fault('the disk is slow')
    world.tampering.change = reserved(world.random)
    while (world.elapsed < 0.6) await world.lasts(50)
    // Nothing of it is stored.
    if (world.isTestBroker) {
      const full = { request: 'send', probability: 0.3, answer: 14, remark: 'service not available now, disk full' }
      testBroker.fault(full)
      while (world.elapsed < 1) await world.lasts(50)
      testBroker.clearFaults()
    }
    world.tampering.change = (frame) => frame
    await world.recovered(world.heals('disk'))
  },
  judge(world, { counts }) {
    world.figure('stored again', counts['duplicates stored'], { atMost: 0 })
    world.figure('refused', world.told('refused').length, { atMost: 0 })
  },
}

module.exports = [restarted, killed, busy, reservations]
