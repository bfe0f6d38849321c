'use strict'
// Clients of others take part in faults, and the checker judges what their users see.

const fs = require('node:fs')
const { run } = require('../../scripts/faults/fault')
const { FAULTS } = require('../../scripts/faults/faults')
const { TestCluster } = require('../support/test-cluster')
const { track } = require('./track')

jest.setTimeout(300_000)

const nothing = FAULTS.find(({ id }) => id === 'F0')

/** A fault's run with the Java client; `done` is done with the world before it ends. */
async function withJava(done = () => {}) {
  const cluster = await TestCluster.start({ version: '5.5.0' })
  track({ close: () => cluster.stop() })
  const fault = {
    ...nothing,
    async run(world) {
      track({ close: () => world.end() })
      await nothing.run(world)
      done(world)
    },
  }
  const load = { rate: 100, consumers: [{}, {}], producers: [{}] }
  return run(fault, { on: 'TestBroker-5.5.0', cluster, client: 'java-5.5.0', seconds: 2, load })
}

test('the Java client, when nothing goes wrong: everything it sends is stored, and handled once', async () => {
  const { problems, text, counts, broken } = await withJava()
  expect({ problems, broken, text }).toEqual({ problems: [], broken: {}, text: expect.any(String) })
  expect(counts.acknowledged).toBeGreaterThan(100)
  expect(counts).toMatchObject({ stored: counts.acknowledged, 'handler calls': counts.acknowledged, requests: 0 })
})

test('a handler of somebody else beside its own is seen', async () => {
  const { broken } = await withJava(({ history }) => {
    const { lines } = history
    const start = lines.find(({ e }) => e === 'start')
    const isItsEnd = ({ e, queue, offset }) => e === 'end' && queue === start.queue && offset === start.offset
    const hello = lines.find(({ e, by }) => e === 'hello' && by === start.by)
    const forged = [{ ...hello, t: start.t }, start, lines.find(isItsEnd)].map((line) => ({ ...line, by: 'somebody' }))
    fs.appendFileSync(history.file, forged.map((line) => `${JSON.stringify(line)}\n`).join(''))
  })
  expect(broken).toEqual({ C1: 1 })
})
