#!/usr/bin/env node
'use strict'
// Publishes results of npm run faults: keeps them in docs/faults, and writes the tables of docs/reliability.md and docs/faults/README.md.
//   node scripts/faults/report.js FILE...     takes these results in, in place of earlier ones of the same runs
//   node scripts/faults/report.js             writes the tables anew

const fs = require('node:fs')
const path = require('node:path')
const { FAULTS } = require('./faults')
const { VERSIONS } = require('../rocketmq/jars')
const { summed } = require('./table')

const DOCS = path.join(__dirname, '..', '..', 'docs')
const FOLDER = path.join(DOCS, 'faults')
const OURS = 'ours'
/** Where the summary stands between its two lines. */
const MARKS = ['<!-- faults -->', '<!-- /faults -->']
/** The columns of the summary: whose runs, and their heads. */
const COLUMNS = [
  [[OURS], 'rocketmq-orderly'],
  ...VERSIONS.map((version) => [[`java-${version}`], `Java ${version}`]),
  [VERSIONS.map((version) => `java-${version}-unawaited`), 'Java, not awaited'],
  [['ali-ons'], 'ali-ons'],
  [['ali-ons-unawaited'], 'ali-ons, not awaited'],
]
const DASH = '–'

/** What is published of a result: nothing of this machine. @param {import('./fault').Result} result */
function published(result, { rate }) {
  const { fault, on, client, seed, seconds, violations, lost, duplicated, overlapped, excused } = result
  const { recoveryMs, figures, problems, broken, counts } = result
  return {
    ...{ fault, on, client, seed, seconds, rate: result.rate ?? rate },
    // Without an acknowledgement, whether it is stored or not.
    failed: (counts.failed ?? 0) + (counts.unknown ?? 0),
    ...{ violations, lost, duplicated, overlapped, excused, recoveryMs, figures, broken },
    problems: problems.map((problem) => problem.split('\n')[0]),
  }
}

const nameOf = ({ fault, on, client, seed, seconds }) => [fault, on, client, seed, seconds].join()
const fileOf = (client) => path.join(FOLDER, `${client}.json`)
const number = ({ fault }) => Number(fault.slice(1))

/** A run of another client that has not come to its end as it was meant tells nothing; one of ours does. */
const isTold = ({ client, problems }) => client === OURS || problems.length === 0

/** All that is published. @returns {import('./fault').Result[]} */
function results() {
  const files = fs.existsSync(FOLDER) ? fs.readdirSync(FOLDER).filter((name) => name.endsWith('.json')) : []
  return files.flatMap((name) => JSON.parse(fs.readFileSync(path.join(FOLDER, name), 'utf8')))
}

/** Takes results in. @param {string[]} files */
function take(files) {
  const all = new Map(results().map((result) => [nameOf(result), result]))
  for (const file of files) {
    const run = JSON.parse(fs.readFileSync(file, 'utf8'))
    for (const result of run.results.filter(isTold)) all.set(nameOf(result), published(result, run))
  }
  const sorted = [...all.values()].sort((a, b) => number(a) - number(b) || nameOf(a).localeCompare(nameOf(b)))
  fs.mkdirSync(FOLDER, { recursive: true })
  for (const client of new Set(sorted.map(({ client }) => client))) {
    const own = sorted.filter((result) => result.client === client)
    fs.writeFileSync(fileOf(client), `${JSON.stringify(own, undefined, 1)}\n`)
  }
}

/** How long it took; the longest of several runs, of which one may never have got there. */
function recovery(rows) {
  const times = rows.map(({ recoveryMs }) => recoveryMs).filter((ms) => ms !== undefined)
  if (times.length === 0) return DASH
  return times.includes(null) ? 'never' : `${(Math.max(...times) / 1_000).toFixed(1)} s`
}

/** One cell of the summary. */
function cell(rows) {
  if (rows.length === 0) return ''
  const [violations, ...others] = ['violations', 'lost', 'duplicated', 'overlapped'].map((name) =>
    rows.reduce((sum, row) => sum + row[name], 0),
  )
  const counts = [violations > 0 ? `**${violations}**` : violations, ...others].join(' / ')
  return `${counts}; ${recovery(rows)}`
}

const line = (cells) => `| ${cells.join(' | ')} |`
const rule = (count) => `|${'---|'.repeat(count)}`

/** A row for each fault, a column for each client. @param {import('./fault').Result[]} all */
function summary(all) {
  const shown = FAULTS.filter(({ id }) => all.some(({ fault }) => fault === id))
  const rows = shown.map(({ id, title }) => {
    const of = (clients) => all.filter((result) => result.fault === id && clients.includes(result.client))
    return line([id, title, ...COLUMNS.map(([clients]) => cell(of(clients)))])
  })
  return [line(['', 'what goes wrong', ...COLUMNS.map(([, name]) => name)]), rule(COLUMNS.length + 2), ...rows].join(
    '\n',
  )
}

/** A row for each fault, client and kind of brokers. @param {import('./fault').Result[]} all */
function details(all) {
  const head = [
    'fault',
    'client',
    'on',
    'runs',
    'violations',
    'lost',
    'duplicated',
    'overlapped',
    'excused',
    'sends failed',
    'recovery',
  ]
  const groups = summed(all).map((row) => {
    const runs = all.filter(({ fault, on, client }) => fault === row.fault && on === row.on && client === row.client)
    const [excused, failed] = ['excused', 'failed'].map((name) => runs.reduce((sum, run) => sum + run[name], 0))
    const broken = [...new Set(runs.flatMap((run) => Object.keys(run.broken)))].sort()
    return { ...row, excused, failed, broken, recovery: recovery(runs) }
  })
  const rows = groups.map((row) => {
    const { fault, client, on, runs, violations, lost, duplicated, overlapped, excused, failed, broken } = row
    const which = broken.length > 0 ? `${violations}: ${broken.join(', ')}` : violations
    return line([fault, client, on, runs, which, lost, duplicated, overlapped, excused, failed, row.recovery])
  })
  return [line(head), rule(head.length), ...rows].join('\n')
}

/** The text of docs/faults/README.md. @param {import('./fault').Result[]} all */
function readme(all) {
  return `# What came of each fault

Made by \`node scripts/faults/report.js\` from the results of \`npm run faults\`: [what they mean](../reliability.md#faults). Sums over the runs of a row, and the longest recovery of them.

${details(all)}
`
}

/** The text with the summary in its place. @param {string} text  @param {import('./fault').Result[]} all */
function inserted(text, all) {
  const [from, to] = MARKS.map((mark) => text.indexOf(mark))
  if (from < 0 || to < from) throw new Error(`${MARKS.join(' and ')} have to be in the text`)
  return `${text.slice(0, from + MARKS[0].length)}\n\n${summary(all)}\n\n${text.slice(to)}`
}

function write() {
  const all = results()
  const file = path.join(DOCS, 'reliability.md')
  fs.writeFileSync(file, inserted(fs.readFileSync(file, 'utf8'), all))
  fs.writeFileSync(path.join(FOLDER, 'README.md'), readme(all))
}

if (require.main === module) {
  take(process.argv.slice(2))
  write()
}

module.exports = { details, inserted, published, readme, results, summary }
