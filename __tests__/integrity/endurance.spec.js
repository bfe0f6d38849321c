'use strict'
// F14: what clients leave behind when they are made, used and ended many times. `npm run endurance -- --full` does it for long.
const { run } = require('../../scripts/endurance/trial')
const { TRIALS } = require('../../scripts/endurance/trials')
const { backend, createTopic, uniqueGroup } = require('../support')

test.each(Object.entries(TRIALS).map(([name, { title }]) => [title, name]))(
  '%s: nothing is left, nothing is lost',
  async (_, name) => {
    const topic = await createTopic({ queues: 16 })
    const place = { nameServer: backend.nameServer, topic, group: uniqueGroup(name) }
    const { problems } = await run(name, 'short', place)
    expect(problems).toEqual([])
  },
  240_000,
)
