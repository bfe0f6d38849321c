'use strict'
// F9 and F10, F20 and F23: members that come and go.

const { Elsewhere } = require('../elsewhere')
const { PATIENT } = require('../load')
const { percentile } = require('../percentile')

const MOST = 8
/** Between two waves, in milliseconds. */
const WAVE_MS = 2_000
const PROMPTLY_MS = 2_000
/** Until all members look for each other, whoever has told them or not. */
const UNNOTICED_MS = 21_000
const CRASH_MS = 81_000
/** So long a process may take to end, in milliseconds: what it says to brokers when it ends. */
const GRACE_MS = 5_000

/** How long queues had no owner after they were given back, in milliseconds, by the lines of a history. */
function handOvers(lines) {
  const free = new Map()
  const found = []
  for (const { e, queue, phase, t } of lines.toSorted((a, b) => a.t - b.t)) {
    if (e === 'unlock' && phase === 'done') free.set(queue, t)
    if (e !== 'lock' || !free.has(queue)) continue
    found.push((t - free.get(queue)) / 1_000)
    free.delete(queue)
  }
  return found
}

/** @param {import('../world').World} world */
function judgeHandOvers(world) {
  const times = handOvers(world.history.lines)
  world.figure('hand-overs', times.length, { atLeast: 1 })
  world.time('hand-over, median', percentile(times, 50), PROMPTLY_MS)
  world.time('hand-over, 99 of 100', percentile(times, 99), UNNOTICED_MS)
}

const FEW = { producers: [PATIENT.producer], consumers: [PATIENT.consumer, PATIENT.consumer] }

/** @type {import('../fault').Fault} */
const storm = {
  id: 'F9',
  title: `members join and leave in peace, 1 to ${MOST} and back`,
  figure: 'nothing is handled twice; a queue has its next owner within 2 s',
  load: { ...FEW, consumers: [PATIENT.consumer] },
  async run(world) {
    await world.begin()
    const { random } = world
    const [options] = world.load.consumers
    while (world.elapsed < 1) {
      const members = random.integer(3, MOST + 1)
      await Promise.all(Array.from({ length: members - 1 }, () => world.join('consumer', options)))
      await world.lasts(random.integer(0, WAVE_MS))
      const leaving = random.shuffled(world.consumers).slice(1)
      await Promise.all(leaving.map((member) => world.close(member)))
      await world.lasts(random.integer(0, WAVE_MS))
    }
    await world.recovered(world.heals('the last one has left'))
  },
  judge(world, { counts }) {
    world.figure('handled twice', counts['duplicates handled'], { atMost: 0 })
    // Nobody else tells of its locks.
    if (world.client === 'ours') judgeHandOvers(world)
  },
}

/** @type {import('../fault').Fault} */
const killed = {
  id: 'F10',
  title: 'members are killed, and others join',
  figure: 'a queue has its next owner within 81 s; what comes again is the end of what the killed one had handled',
  load: { producers: [PATIENT.producer], consumers: [PATIENT.consumer, PATIENT.consumer, PATIENT.consumer] },
  async run(world) {
    await world.begin()
    const { random } = world
    for (let longest = 0; ;) {
      const member = random.pick(world.consumers)
      world.leaves(member)
      await member.kill9()
      const recovery = world.heals('a member was killed')
      await world.lasts(random.integer(0, WAVE_MS))
      await world.join('consumer', random.pick(world.load.consumers))
      longest = Math.max(longest, await world.recovered(recovery))
      if (world.elapsed < 1) continue
      return world.figure('take-over after a crash, ms', longest, { atMost: CRASH_MS })
    }
  },
}

/** Has a member end, and checks how; returns after how many milliseconds. */
async function endOf(world, member, how, code, end) {
  world.leaves(member)
  const began = performance.now()
  end()
  const ended = await member.ended
  if (ended.code !== code) world.problems.push(`${how} ended with ${ended.code ?? ended.signal}: ${member.errors}`)
  return performance.now() - began
}

/** @type {import('../fault').Fault} */
const ended = {
  id: 'F20',
  title:
    'members end by SIGTERM with close() in its handler, and in a handler by process.exit() and by an uncaught exception',
  figure: 'they end within 5 s; after SIGTERM queues go on at once, after the others as after a crash',
  clients: ['ours'],
  load: {
    producers: [PATIENT.producer],
    consumers: [PATIENT.consumer, PATIENT.consumer, PATIENT.consumer],
    handlerMs: 5,
  },
  async run(world) {
    await world.begin()
    const { random } = world
    const times = []
    const goOn = []
    do {
      const member = random.pick(world.consumers)
      times.push(await endOf(world, member, 'SIGTERM', 0, () => member.kill('SIGTERM')))
      goOn.push(await world.recovered(world.heals('SIGTERM')))
      await world.join('consumer', random.pick(world.load.consumers))
      // The new one has its share.
      await world.lasts(random.integer(500, 1_500))
    } while (world.elapsed < 1)
    const [one, other] = random.shuffled(world.consumers)
    const crashes = [
      endOf(world, one, 'process.exit()', 3, () => one.do('misbehave', { how: 'exit' })),
      endOf(world, other, 'an uncaught exception', 1, () => other.do('misbehave', { how: 'throw' })),
    ]
    times.push(...(await Promise.all(crashes)))
    const crashed = await world.recovered(world.heals('process.exit() and an uncaught exception'))
    world.time('ended after', Math.max(...times), GRACE_MS)
    // Whatever the machine does: locks that have to run out take longer.
    world.figure('went on after SIGTERM, ms', Math.max(...goOn), { atMost: UNNOTICED_MS })
    world.figure('went on after the others, ms', crashed, { atMost: CRASH_MS })
  },
}

/** @type {import('../fault').Fault} */
const namesakes = {
  id: 'F23',
  title: 'members in containers: the same address, the same process number, the same instanceName',
  figure: 'each has a client id of its own',
  clients: ['ours'],
  load: {
    ...FEW,
    consumers: [PATIENT.consumer, PATIENT.consumer, PATIENT.consumer],
    consumer: { instanceName: 'shop' },
  },
  async run(world) {
    const elsewhere = new Elsewhere()
    world.load.part = { env: { ...elsewhere.env, PROCESS_ID: '1' } }
    try {
      await world.begin()
      await world.over()
    } finally {
      elsewhere.remove()
    }
    const ids = world.consumers.map(({ lines }) => lines.find(({ event }) => event === 'started').clientId)
    // Only where the library works this shows anything.
    const alike = ids.filter((id) => /#1-/.test(id)).length
    world.figure('clients of process 1', alike, { atLeast: ids.length })
    world.figure('different client ids', new Set(ids).size, { atLeast: ids.length })
  },
}

module.exports = [storm, killed, ended, namesakes]
