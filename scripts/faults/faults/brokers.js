'use strict'
// F4 to F6, and F22: brokers that restart, are killed, are too busy, or store with reservations.

/** So much traffic may come again: what a broker's disk may lack, and a commit interval. */
const REPEATED_SECONDS = 6

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

module.exports = [killed]
