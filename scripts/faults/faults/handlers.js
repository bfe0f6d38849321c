'use strict'
// F11: handlers that go wrong.

const { PATIENT } = require('../load')
const { CLIENTS } = require('../participant')
const { TROUBLES } = require('../participants/handlers')

const HANDLER_TIMEOUT_MS = 300
const CLOSE_TIMEOUT_MS = 2_000
/** On a machine that has other things to do. */
const CLOSED_MS = 5_000

/** @type {import('../fault').Fault} */
const troubled = {
  id: 'F11',
  title: 'handlers throw, reject, return junk, and end only when their signal says so; one never ends',
  figure: 'a message comes again before all that is behind it, other queues go on, and close() does not wait for ever',
  clients: ['ours', ...CLIENTS.filter((client) => client.startsWith('java-'))],
  load: {
    producers: [PATIENT.producer],
    part: { handler: 'troubled' },
    consumer: { suspendMs: { initialMs: 10, factor: 2, maxMs: 100 }, handlerTimeoutMs: HANDLER_TIMEOUT_MS },
  },
  async run(world) {
    await world.begin()
    await world.over()
    // No user of another client can give a handler up, and none of them tells of its troubles.
    if (world.client !== 'ours') return
    const ways = new Set(world.told('trouble').map(({ how }) => how))
    world.figure('ways to go wrong', ways.size, { atLeast: Object.keys(TROUBLES).length / 2 })
    world.figure('handlers that were given up or failed', world.told('suspended').length, { atLeast: 5 })
    await stuck(world)
  },
}

/** A group of its own: a handler that never ends holds its queue, and its member closes all the same. */
async function stuck(world) {
  const options = { closeTimeoutMs: CLOSE_TIMEOUT_MS, concurrency: 20 }
  const more = { handler: 'stuck', group: `${world.group}-stuck`, history: '' }
  const member = await world.join('consumer', options, more)
  const others = world.load.queues - 1
  const hasOthers = () => member.lines.some(({ event, queues }) => event === 'handled' && queues === others)
  await world.until(hasOthers, { what: () => `${others} other queues` })
  world.leaves(member)
  const began = performance.now()
  member.do('close')
  await member.said('closed')
  world.time('close() over a handler that never ends', performance.now() - began, CLOSED_MS)
  await member.ended
}

module.exports = [troubled]
