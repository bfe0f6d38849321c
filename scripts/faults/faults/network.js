'use strict'
// F1 to F3: connections that break, and lines that are slow.

const { now } = require('../../../__tests__/support/time')
const { rssMiB } = require('../../endurance/process-figures')
const { percentile } = require('../percentile')

/** At which byte, from where a cut is asked for, a connection ends: in the length, in the header, in the body or a later frame. */
const PLACES = [
  [0, 4],
  [4, 24],
  [24, 250],
  [250, 8_000],
]
const RESET_EVERY_MS = 1_000
/** A line that is silent for longer makes leases run out. */
const LONG_SILENCE_MS = 35_000
/** How lines are slow: milliseconds each way, bytes per second, and of a piece. */
const SLOW = [
  { latencyMs: 25 },
  { latencyMs: 250 },
  { rate: 300_000, trickle: 1_500 },
  { rate: 100_000, trickle: 20, latencyMs: 10 },
]
const FAST = { latencyMs: 0, rate: Infinity, trickle: 64 * 1024 }

/** @type {import('../fault').Fault} */
const resets = {
  id: 'F1',
  title: 'connections are reset in the middle of a frame, one every second, in both directions',
  figure: 'the first acknowledgement after a reset within 1 s',
  async run(world) {
    await world.begin()
    const { proxy, random } = world
    const firsts = []
    while (world.elapsed < 1) {
      const direction = random.pick(['up', 'down'])
      proxy.cut(direction, random.integer(...random.pick(PLACES)))
      await world.until(() => !proxy.isCutting, { intervalMs: 5, what: 'a reset' })
      world.fault(`a reset ${direction}`)
      const recovery = world.heals('reset')
      const next = world.lasts(RESET_EVERY_MS)
      await world.recovered(recovery)
      firsts.push(recovery.firstAckMs)
      await next
    }
    world.figure('resets', firsts.length)
    world.time('first acknowledgement after a reset, 50 of 100', percentile(firsts, 50), 1_000)
    world.time('first acknowledgement after a reset, 99 of 100', percentile(firsts, 99), 1_000)
  },
}

/** @type {import('../fault').Fault} */
const halfOpen = {
  id: 'F2',
  title: 'a line goes silent, and nobody is told: what is sent vanishes in both directions',
  figure: 'noticed within 10 s; no handler begins after 30 s of silence',
  async run(world) {
    await world.begin()
    const { proxy } = world
    const noticed = []
    do {
      proxy.blackhole = true
      world.fault('the line is silent')
      const since = now()
      const least = world.lasts(world.seconds < 40 ? 0 : LONG_SILENCE_MS)
      // Who has not come so far, or not come back, has nothing to notice.
      const senders = world.producers.filter(isConnected)
      const firsts = () => senders.map(({ lines }) => lines.find((line) => isLost(line) && line.at > since))
      await world.until(() => firsts().every(Boolean), { what: 'the producers to notice' })
      noticed.push(...firsts().map(({ at }) => (at - since) / 1_000))
      await least
      proxy.blackhole = false
      // What a connection has lost it never goes on behind.
      proxy.reset()
      await world.recovered(world.heals('silence'))
    } while (world.elapsed < 1)
    // Nobody else tells of it.
    if (noticed.length > 0) world.time('noticed by those who send', Math.max(...noticed), 10_000)
  },
}

const isFound = ({ event, server }) => event === 'connected' && server === 'broker'
const isLost = ({ event, server }) => event === 'disconnected' && server === 'broker'
const isConnected = ({ lines }) =>
  lines
    .filter((line) => isFound(line) || isLost(line))
    .map(isFound)
    .at(-1) ?? false

/** @type {import('../fault').Fault} */
const slow = {
  id: 'F3',
  title: 'the line to the broker is slow: 50 ms, 500 ms, thin, and in pieces of 20 bytes',
  figure: 'no send is repeated; of a key, each producer has one request under way; no process takes 64 MiB more',
  async run(world) {
    await world.begin()
    const { proxy, random } = world
    const lines = random.shuffled(SLOW)
    const all = [...world.producers, ...world.consumers]
    const before = new Map(all.map((participant) => [participant, rssMiB(participant.pid)]))
    let most = 0
    for (let turn = 0; turn < lines.length; turn++) {
      world.fault(`the line is slow: ${JSON.stringify(lines[turn])}`)
      for (const way of [proxy.up, proxy.down]) Object.assign(way, FAST, lines[turn])
      while (world.elapsed < (turn + 1) / lines.length) {
        await world.lasts(100)
        most = Math.max(most, ...all.map((participant) => rssMiB(participant.pid) - before.get(participant)))
      }
    }
    for (const way of [proxy.up, proxy.down]) Object.assign(way, FAST)
    await world.recovered(world.heals('slow lines'))
    world.figure('MiB more of a process', most, { atMost: 64 })
  },
  judge(world) {
    const retries = world.told('stopped').reduce((sum, line) => sum + (line.retries ?? 0), 0)
    world.figure('sends repeated', retries, { atMost: 0 })
    if (!world.isTestBroker) return
    world.figure('most requests of a key under way', world.cluster.testBroker.maxInFlightPerKey(), {
      atMost: world.load.producers.length,
    })
  },
}

module.exports = [resets, halfOpen, slow]
