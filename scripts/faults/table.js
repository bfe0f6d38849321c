'use strict'
// The results of several runs as a table.

const COLUMNS = [
  ['fault', ({ fault }) => fault],
  ['on', ({ on }) => on],
  ['client', ({ client }) => client],
  ['runs', ({ runs }) => runs],
  ['violations', ({ violations }) => violations],
  ['lost', ({ lost }) => lost],
  ['duplicated', ({ duplicated }) => duplicated],
  ['overlapped', ({ overlapped }) => overlapped],
  ['recovery', ({ recoveryMs }) => (recoveryMs === undefined ? '-' : `${(recoveryMs / 1_000).toFixed(1)} s`)],
  ['', ({ problems }) => problems.map((problem) => problem.split('\n')[0]).join('; ')],
]

/** Runs of one fault on the same brokers by the same clients, together: their sums, and the longest recovery. @param {import('./fault').Result[]} results */
function summed(results) {
  const groups = new Map()
  for (const result of results) {
    const name = [result.fault, result.on, result.client].join()
    groups.set(name, [...(groups.get(name) ?? []), result])
  }
  return [...groups.values()].map((runs) => {
    const sum = (name) => runs.reduce((all, run) => all + run[name], 0)
    const recoveries = runs.map(({ recoveryMs }) => recoveryMs).filter((ms) => ms !== undefined)
    const [{ fault, on, client }] = runs
    return {
      ...{ fault, on, client, runs: runs.length },
      violations: sum('violations'),
      lost: sum('lost'),
      duplicated: sum('duplicated'),
      overlapped: sum('overlapped'),
      recoveryMs: recoveries.length === 0 ? undefined : Math.max(...recoveries),
      problems: runs.flatMap(({ problems }) => problems),
    }
  })
}

/** @param {import('./fault').Result[]} results */
function table(results) {
  const rows = [
    COLUMNS.map(([name]) => name),
    ...summed(results).map((row) => COLUMNS.map(([, of]) => String(of(row)))),
  ]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

module.exports = { summed, table }
