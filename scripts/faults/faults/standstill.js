'use strict'
// F12, F13 and F18: clients whose event loop or process stands still, and whose wall clock jumps.

const { Elsewhere } = require('../elsewhere')
const { CLIENTS } = require('../participant')

/** So long a lock counts. */
const LEASE_MS = 30_000
const HOUR = 3_600
const DAY = 24 * HOUR
/** What was called meanwhile is here soon. */
const SOON_MS = 10_000

/** @type {import('../fault').Fault} */
const blocked = {
  id: 'F12',
  title: 'event loops stand still: of a consumer and of a producer',
  figure: 'nobody loses a lock, and no queue goes to another member',
  clients: ['ours', ...CLIENTS.filter((client) => client.startsWith('ali-ons'))],
  async run(world) {
    await world.begin()
    const { random } = world
    const standing = [random.pick(world.consumers), random.pick(world.producers)]
    const members = await world.admin.members(world.group)
    for (const participant of standing) participant.do('block', { ms: 1_000 * world.seconds })
    const timeoutMs = 1_000 * world.seconds + 2 * SOON_MS
    await Promise.all(standing.map((participant) => participant.said('unblocked', { timeoutMs })))
    const recovery = world.heals('the event loops go on')
    // A connection of somebody may have ended just now.
    const areThere = async () => {
      const there = await world.admin.members(world.group)
      return members.every((member) => there.includes(member))
    }
    await world.until(areThere, { timeoutMs: SOON_MS, what: 'all members' })
    await world.recovered(recovery)
    const lost = world.consumers.map((member) => member.lines.filter(({ event }) => event === 'lockLost').length)
    const own = lost[world.consumers.indexOf(standing[0])]
    const others = lost.reduce((sum, count) => sum + count, 0) - own
    // Where those that ran have lost some, too, it was the broker or the machine that stood still.
    world.figure('locks lost by who stood still', own, others === 0 ? { atMost: 0 } : {})
    world.figure('locks lost by the others', others)
    world.figure('sends that failed', world.told('refused').length, { atMost: 0 })
  },
}

/** @type {import('../fault').Fault} */
const stopped = {
  id: 'F13',
  title: 'processes are stopped and go on: a consumer and a producer',
  figure: 'nothing begins before a lock is fresh; what a stale handler has done does not count',
  async run(world) {
    await world.begin()
    const { random } = world
    const stopping = [random.pick(world.consumers), random.pick(world.producers)]
    for (const participant of stopping) participant.kill('SIGSTOP')
    world.fault('stopped', { whom: stopping.map(({ clientId }) => clientId) })
    await world.lasts(1_000 * world.seconds)
    for (const participant of stopping) participant.kill('SIGCONT')
    await world.recovered(world.heals('the processes go on'))
    const lost = world.told('lockLost').length
    world.figure('locks lost', lost, 1_000 * world.seconds < LEASE_MS / 2 ? { atMost: 0 } : {})
  },
}

/** @type {import('../fault').Fault} */
const jumping = {
  id: 'F18',
  title: 'wall clocks jump, by up to a day, forward and back',
  figure: 'no lock, no request and no send is misjudged',
  clients: ['ours'],
  async run(world) {
    const elsewhere = new Elsewhere()
    const { random } = world
    world.load.part = { env: elsewhere.env }
    try {
      await world.begin()
      let jumps = 0
      for (; world.elapsed < 1; jumps++) {
        elsewhere.jump(random.pick([-DAY, -HOUR, -60, 0, 60, HOUR, DAY]))
        await world.lasts(random.integer(50, 500))
      }
      elsewhere.jump(DAY)
      const [options] = world.load.consumers
      await world.join('consumer', options)
      await world.recovered(world.heals('the last jump'))
      world.figure('jumps', jumps, { atLeast: 3 })
    } finally {
      elsewhere.remove()
    }
    const ahead = world.history.lines.findLast(({ e, role }) => e === 'hello' && role === 'consumer').wall - Date.now()
    // Only where the library works this shows anything.
    world.figure('hours ahead', ahead / 1_000 / HOUR, { atLeast: 23 })
    world.figure('locks lost', world.told('lockLost').length, { atMost: 0 })
    world.figure('sends that failed', world.told('refused').length, { atMost: 0 })
    const misjudged = world.told('warning').filter(({ text }) => /did not (run|take messages) for/.test(text))
    world.figure('standstills that were none', misjudged.length, { atMost: 0 })
  },
}

module.exports = [blocked, stopped, jumping]
