'use strict'
// Writes what was measured: figures as JSON, tables in Markdown, a chart as SVG.

const fs = require('node:fs')
const path = require('node:path')
const { chart } = require('./chart')
const { tableOf, targetsOf } = require('./tables')

const NOTE =
  'Made by `npm run bench`: [what is measured, and how](../benchmarks.md). Medians of the rounds, with the least and the greatest.'

/** Clocks tell no more than this. */
const rounded = (_name, value) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value)

/** A version's report, as Markdown. */
function text({ version, rounds, machine, workloads }) {
  const { cpu, cores, memoryGiB, node, kernel } = machine
  return [
    `# RocketMQ ${version}`,
    NOTE,
    `${rounds} rounds; ${cores} × ${cpu}, ${memoryGiB} GiB, Linux ${kernel}, Node.js ${node}; broker and peers on the same machine.`,
    `![The figures as bars](${version}.svg)`,
    '## Targets',
    targetsOf(workloads),
    '## Workloads',
    ...Object.entries(workloads).map(([name, workload]) => tableOf(name, workload)),
    '',
  ].join('\n\n')
}

/** @param {string} folder @param {{ version: string, rounds: number, machine: object, workloads: object }} report */
function write(folder, report) {
  fs.mkdirSync(folder, { recursive: true })
  const file = (end) => path.join(folder, `${report.version}.${end}`)
  fs.writeFileSync(file('json'), `${JSON.stringify(report, rounded, 1)}\n`)
  fs.writeFileSync(file('md'), text(report).trimEnd() + '\n')
  fs.writeFileSync(file('svg'), chart(report))
}

module.exports = { write }
