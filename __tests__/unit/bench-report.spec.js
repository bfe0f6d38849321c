'use strict'
// What `npm run bench` makes of its rounds, and what docs/benchmarks.md says of them.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { PEERS } = require('../../benches/peers')
const { write } = require('../../benches/report')
const { FAULTS, FIGURES } = require('../../benches/report/figures')
const { figureOf, ratio, summary } = require('../../benches/report/summary')
const { tableOf, targetsOf } = require('../../benches/report/tables')
const { TARGETS } = require('../../benches/targets')
const { WORKLOADS } = require('../../benches/workloads')
const { text } = require('../support/documents')

const rounds = (...values) => ({ rounds: values.map((perSecond, i) => ({ perSecond, inversions: i })) })
const workload = (peers) => ({ id: 'W4', title: 'a backlog', figures: ['perSecond', 'inversions'], peers })

/** What stands in backquotes in a column of the nth table of docs/benchmarks.md. */
function column(nth, at) {
  const tables = text('docs/benchmarks.md')
    .split('\n\n')
    .filter((part) => part.startsWith('|'))
  const rows = tables[nth].split('\n').slice(2)
  return rows.flatMap((row) => [...row.split('|')[at].matchAll(/`([^`]+)`/g)].map(([, code]) => code))
}

test('a figure is the median of its rounds, with the least and the greatest', () => {
  expect(summary([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
  expect(summary([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 })
  expect(summary([undefined])).toBeUndefined()
  expect(figureOf({ cannot: 'has no keys' }, 'perSecond')).toBeUndefined()
})

test('a ratio is the median of the ratios of rounds that ran one after the other', () => {
  expect(ratio(rounds(10, 30, 20), rounds(10, 10, 5), 'perSecond')).toEqual({ median: 3, min: 1, max: 4 })
})

test('a table shows inversions, and why a peer has no figures', () => {
  const table = tableOf(
    'drain',
    workload({ ours: rounds(200_000), java: rounds(100_000, 90_000), go: { cannot: 'is away' } }),
  )
  expect(table).toContain('| **rocketmq-orderly** | 200\u202f000 | 0 | 2.00 |')
  expect(table).toContain('| Java | 95\u202f000 (90\u202f000–100\u202f000) | **1** | 1.00 |')
  expect(table).toContain('| Go | — is away |')
})

test('a target is judged by the run, and says when it is not reached', () => {
  const ours = { rounds: [{ perSecond: 100_000, inversions: 0, cpuMicros: 5, delayP99: 9, rssMiB: 90 }] }
  const workloads = { drain: workload({ ours, java: rounds(60_000), 'ali-ons': { cannot: 'is away' } }) }
  const table = targetsOf(workloads)
  expect(table).toContain('| `drain`: messages/s against Java | ≥ 2 × | 1.67 | **not reached** |')
  expect(table).toContain('| `drain`: messages/s against ali-ons | ≥ 3 × |  | not measured |')
  expect(table).toContain('| `drain`: CPU µs/message | ≤ 6 | 5 | reached |')
  expect(table).not.toContain('keys-64')
})

test('every target is about a workload, and about figures that it shows', () => {
  for (const { workload } of TARGETS) expect(Object.keys(WORKLOADS)).toContain(workload)
  for (const { figures, peers } of Object.values(WORKLOADS)) {
    for (const figure of figures) expect(Object.keys({ ...FIGURES, ...FAULTS })).toContain(figure)
    for (const peer of Object.keys(peers)) expect(Object.keys(PEERS)).toContain(peer)
  }
})

test('a report is written as figures, tables and a chart', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-report-'))
  try {
    const workloads = { drain: workload({ ours: rounds(2_000), java: rounds(1_000, 500), go: { cannot: '<away>' } }) }
    const machine = { cpu: 'a processor', cores: 2, memoryGiB: 4, node: process.version, kernel: '6' }
    write(folder, { version: '5.5.0', rounds: 1, machine, workloads })
    const read = (end) => fs.readFileSync(path.join(folder, `5.5.0.${end}`), 'utf8')
    expect(JSON.parse(read('json')).workloads).toEqual(workloads)
    expect(read('md')).toContain('![The figures as bars](5.5.0.svg)')
    expect(read('md')).toContain('2\u202f000')
    const svg = read('svg')
    expect(svg).toContain('&lt;away&gt;')
    expect(svg).toContain('1 inversions')
    expect(svg).toContain('prefers-color-scheme: dark')
    // As many as are opened are closed.
    expect(svg.match(/<text /g)).toHaveLength(svg.match(/<\/text>/g).length)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
})

test('docs/benchmarks.md has each workload and each peer', () => {
  expect(column(0, 2).sort()).toEqual([...Object.keys(WORKLOADS), 'hand-over'].sort())
  expect(column(1, 1).sort()).toEqual(Object.keys(PEERS).sort())
})
