'use strict'
// F1 to F3: connections that break, and lines that are slow.

/** At which byte, from where a cut is asked for, a connection ends: in the length, in the header, in the body or a later frame. */
const PLACES = [
  [0, 4],
  [4, 24],
  [24, 250],
  [250, 8_000],
]
const RESET_EVERY_MS = 1_000
/** Of the longest of many, on a machine that has other things to do. */
const SLOW_MACHINE = 5

/** The value of which so many in a hundred are below. */
function percentile(values, percent) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))]
}

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
    world.figure('first acknowledgement after a reset, median ms', percentile(firsts, 50), { atMost: 1_000 })
    world.figure('the same, 99 of 100, ms', percentile(firsts, 99), { atMost: SLOW_MACHINE * 1_000 })
  },
}

module.exports = [resets]
