'use strict'
// What is published of faults, against what was measured and what there is.

const fs = require('node:fs')
const path = require('node:path')
const { FAULTS } = require('../../scripts/faults/faults')
const { inserted, published, readme, results, summary } = require('../../scripts/faults/report')
const { ROOT, text } = require('../support/documents')

const result = (more) => ({
  ...{ fault: 'F5', on: '4.9.7', client: 'ours', seed: 1, seconds: 20, rate: 500 },
  ...{
    violations: 0,
    lost: 0,
    duplicated: 0,
    overlapped: 0,
    excused: 0,
    failed: 0,
    recoveryMs: 1_234,
    figures: {},
    problems: [],
  },
  ...{ broken: {}, ...more },
})

test('a row for each fault, a column for each client; runs of several brokers together', () => {
  const runs = [
    result({ duplicated: 3 }),
    result({ on: '5.5.0', duplicated: 4, recoveryMs: 2_000 }),
    result({ client: 'java-5.5.0', violations: 2, overlapped: 2, broken: { C1: 2 }, recoveryMs: null }),
  ]
  const [head, , ...rows] = summary(runs).split('\n')
  expect(head).toBe(
    '|  | what goes wrong | rocketmq-orderly | Java 4.9.7 | Java 5.5.0 | Java, not awaited | ali-ons | ali-ons, not awaited |',
  )
  expect(rows).toHaveLength(1)
  expect(rows[0]).toContain('| 0 / 0 / 7 / 0; 2.0 s |  | **2** / 0 / 0 / 2; never |  |  |  |')
  expect(readme(runs)).toContain('| F5 | java-5.5.0 | 4.9.7 | 1 | 2: C1 | 0 | 0 | 2 | 0 | 0 | never |')
})

test('nothing of the machine is published', () => {
  const raw = {
    ...result({ problems: ['a commit never came\n/a/path'] }),
    text: 'timelines',
    kept: '/tmp/history',
    counts: { unknown: 1, failed: 2 },
  }
  expect(published({ ...raw, rate: undefined }, { rate: 500 })).toEqual(
    result({ problems: ['a commit never came'], failed: 3 }),
  )
})

test('docs/reliability.md and docs/faults/README.md say what docs/faults/*.json do', () => {
  const all = results()
  expect(all.map(({ fault }) => fault)).toEqual(expect.arrayContaining(['F1', 'F5']))
  const document = text('docs/reliability.md')
  expect(inserted(document, all)).toBe(document)
  expect(text('docs/faults/README.md')).toBe(readme(all))
})

test('ours has no violation, and lost nothing', () => {
  const ours = results().filter(({ client }) => client === 'ours')
  expect(ours.length).toBeGreaterThan(0)
  for (const { violations, lost, problems } of ours) expect([violations, lost, problems]).toEqual([0, 0, []])
})

test('the windows are L1 to L12, and what shows that they are closed is there', () => {
  const rows = text('docs/reliability.md')
    .split('\n')
    .filter((line) => /^\| L\d+ \|/.test(line))
  const cells = rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  expect(cells.map(([name]) => name)).toEqual(Array.from({ length: 12 }, (_, i) => `L${i + 1}`))
  const named = cells.flatMap(([, , , shown]) => [...shown.matchAll(/`([^`]+)`/g)].map(([, name]) => name))
  expect(named.filter((name) => !isThere(name))).toEqual([])
})

/** A fault, a spec, a test in Rust, or a planted defect. */
function isThere(name) {
  if (/^F\d+$/.test(name)) return FAULTS.some(({ id }) => id === name)
  if (name.endsWith('.spec.js')) {
    return ['__tests__', '__tests__/integrity'].some((folder) => fs.existsSync(path.join(ROOT, folder, name)))
  }
  if (name.includes('_')) return rustTests().includes(`fn ${name}(`)
  return text('simulation/src/defects.rs').includes(`("${name}", `)
}

let tests

function rustTests() {
  const folder = path.join(ROOT, 'crates/client/src/consumer/tests')
  tests ??= fs
    .readdirSync(folder)
    .map((name) => fs.readFileSync(path.join(folder, name), 'utf8'))
    .join('\n')
  return tests
}
