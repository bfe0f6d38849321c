'use strict'
// F14 and F19: little memory, and worker threads.

const { PATIENT } = require('../load')

/** A process of the package with nothing to do has 60. */
const MOST_RSS_MIB = 160
const DATA_MIB = 192
/** A connection that ends in this moment may still have some; what each thread leaves would be dozens. */
const MOST_DESCRIPTORS = 8

/** @type {import('../fault').Fault} */
const poor = {
  id: 'F14',
  title: 'processes with 64 MiB for objects and 192 MiB in all, whose garbage is collected all the time',
  figure: `nobody takes more than ${MOST_RSS_MIB} MiB`,
  clients: ['ours'],
  load: {
    part: { execArgv: ['--max-old-space-size=64', '--expose-gc'], dataMiB: DATA_MIB, collects: true },
    // What waits while a broker stands still is JavaScript's memory, too.
    producer: { maxPendingMessages: 8_192 },
  },
  async run(world) {
    await world.begin()
    await world.over()
    await world.recovered(world.heals('all the time'))
  },
  judge(world) {
    const peaks = world.told('closed').map(({ peakRssMiB }) => peakRssMiB)
    world.figure('the most memory, MiB', Math.max(...peaks), { atMost: MOST_RSS_MIB })
  },
}

/** How many threads live at one time, and how many in all for each second of the faulty phase. */
const AT_ONCE = 4
const PER_SECOND = 6
const MOST_WORKERS = 200
const ENDED_MS = 600_000

/** @type {import('../fault').Fault} */
const threads = {
  id: 'F19',
  title: 'worker threads are ended in the middle of their work, most of them without close()',
  figure: 'no crash, nothing is left behind, and their queues go on without waiting for their locks to run out',
  clients: ['ours'],
  load: { producers: [PATIENT.producer], consumers: [PATIENT.consumer] },
  async run(world) {
    await world.begin()
    const workers = Math.min(MOST_WORKERS, PER_SECOND * world.seconds)
    const more = { program: 'workers.js', workers, atOnce: AT_ONCE, execArgv: ['--expose-gc'] }
    const process = await world.join('consumer', {}, more)
    const left = await process.said('ended', { timeoutMs: ENDED_MS })
    await world.recovered(world.heals('the last one has ended'))
    world.figure('worker threads', workers)
    world.figure('threads left', left.newThreads, { atMost: 0 })
    world.figure('descriptors left', left.newDescriptors, { atMost: MOST_DESCRIPTORS })
    world.figure('memory of the process, MiB', left.rssMiB)
    world.figure('its growth in the second half, MiB', left.growthMiB, { atMost: 32 })
    await world.close(process)
    if (process.errors !== '') world.problems.push(process.errors)
  },
}

module.exports = [poor, threads]
