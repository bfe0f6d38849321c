'use strict'
// F0: nothing goes wrong, for comparison.

/** @type {import('../fault').Fault} */
const none = {
  id: 'F0',
  title: 'nothing goes wrong',
  figure: 'nothing is handled twice',
  async run(world) {
    await world.begin()
    await world.lasts(world.seconds * 1_000)
  },
  judge(world, { counts }) {
    world.figure('handled again', counts['duplicates handled'], { atMost: 0 })
  },
}

module.exports = [none]
