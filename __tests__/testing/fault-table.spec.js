'use strict'
// Whether the faults of scripts/faults would show anything: with planted wrongness a run is not clean. And whether the documents tell of all.
const fs = require('node:fs')
const path = require('node:path')
const { isClean, run } = require('../../scripts/faults/fault')
const { FAULTS } = require('../../scripts/faults/faults')
const { summed, table } = require('../../scripts/faults/table')
const { TestCluster } = require('../support/test-cluster')
const { bootId, now } = require('../support/time')

jest.setTimeout(300_000)

/** Lines of a client that does not exist, behind what there is. */
function forge(world, by, hello, events) {
  const first = { e: 'hello', version: 1, client: by, boot: bootId(), wall: Date.now(), ...hello }
  const lines = [first, ...events].map((event, i) => `${JSON.stringify({ t: now() + i, by, ...event })}\n`)
  fs.appendFileSync(world.history.file, lines.join(''))
}

/** A write that was acknowledged, and is not there; and a second owner of a queue, who handles what the first does. */
async function planted(world) {
  const [queue] = await world.queues()
  forge(world, 'f0f0f0f0', { role: 'producer', group: 'P' }, [
    { e: 'submit', send: 1, topic: world.topic, key: 'key-0', ids: ['7F0000010000000000000000000000FF'] },
    { e: 'wire', request: 1, queue, sends: [1] },
    { e: 'answer', request: 1, outcome: { stored: { offset: 1_000_000 } } },
    { e: 'settle', send: 1, outcome: { stored: { queue, offset: 1_000_000 } } },
  ])
  const at = now()
  forge(world, 'f1f1f1f1', { role: 'consumer', group: world.group }, [
    { e: 'lock', queue, asked: at },
    { e: 'position', queue, offset: 0, why: 'committed' },
    { e: 'start', queue, offset: 0, last: 0, attempt: 1 },
  ])
}

async function result(fault) {
  const cluster = await TestCluster.start({ version: '5.5.0' })
  try {
    const load = { rate: 100, consumers: [{}, {}], producers: [{}], by: 'queue' }
    const setting = { on: 'TestBroker-5.5.0', cluster, seed: 1, seconds: 1, load }
    return await run({ id: 'F0', title: 'planted', figure: 'none', ...fault }, setting)
  } finally {
    await cluster.stop()
  }
}

/** Removes the history that is kept of a run that is not clean. */
function forget({ kept }) {
  expect(fs.existsSync(kept)).toBe(true)
  fs.rmSync(path.dirname(kept), { recursive: true })
}

test('a forged write and a forged owner are violations', async () => {
  const found = await result({
    async run(world) {
      await world.begin()
      await planted(world)
    },
  })
  expect(isClean(found)).toBe(false)
  expect(Object.keys(found.broken)).toEqual(expect.arrayContaining(['C1', 'P6']))
  expect(found).toMatchObject({ lost: expect.any(Number), overlapped: expect.any(Number) })
  expect(Math.min(found.lost, found.overlapped, found.violations)).toBeGreaterThan(0)
  expect(found.text).toContain('f1f1f1f1 has the lock while')
  forget(found)
})

test('a participant that ends, and a figure out of its bounds, are problems', async () => {
  const found = await result({
    async run(world) {
      await world.begin()
      world.figure('more than one', 2, { atMost: 1 })
      world.figure('none', NaN, { atLeast: 0 })
      const [consumer] = world.consumers
      await consumer.kill9()
      await world.recovered(world.heals('nothing'))
    },
  })
  expect(isClean(found)).toBe(false)
  expect(found.problems).toEqual([
    'more than one is 2, where at most 1 is allowed',
    'none is NaN, where at most Infinity is allowed',
    'none is NaN, where at least 0 is due',
    expect.stringContaining('A consumer has ended (SIGKILL)'),
  ])
  forget(found)
})

test('a run in which nothing goes wrong is clean', async () => {
  const found = await result({ run: (world) => world.begin() })
  expect(found).toMatchObject({ violations: 0, lost: 0, overlapped: 0, problems: [], kept: undefined })
  expect(found.counts.acknowledged).toBeGreaterThan(0)
})

test('runs of a fault are summed up, and the longest recovery counts', () => {
  const one = { fault: 'F1', on: '5.5.0', client: 'ours', violations: 0, lost: 1, duplicated: 2, overlapped: 0 }
  const runs = [
    { ...one, recoveryMs: 100, problems: [] },
    { ...one, recoveryMs: 1_250, problems: ['late\nvery'] },
    { ...one, on: '4.9.7', recoveryMs: undefined, problems: [] },
  ]
  expect(summed(runs)[0]).toMatchObject({ runs: 2, lost: 2, duplicated: 4, recoveryMs: 1_250 })
  const [, first, second] = table(runs).split('\n')
  expect(first).toMatch(/^F1 +5\.5\.0 +ours +2 +0 +2 +4 +0 +1\.3 s +late$/)
  expect(second).toMatch(/^F1 +4\.9\.7 +ours +1 +0 +1 +2 +0 +-$/)
})

test('the documents have a row for each fault', () => {
  const text = fs.readFileSync(path.join(__dirname, '../../docs/reliability.md'), 'utf8')
  const rows = FAULTS.map(({ id, title, figure }) => `| ${id} | ${title} | ${figure} |`)
  expect(text.split('\n').filter((line) => /^\| F\d+ \|/.test(line))).toEqual(rows)
})
