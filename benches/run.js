#!/usr/bin/env node
'use strict'
// npm run bench: this package and its peers on a real broker that is started for it, round by round in turn. docs/benchmarks.md tells more.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { VERSIONS } = require('../scripts/rocketmq/cluster')
const { Bench } = require('./bench')
const handOver = require('./hand-over')
const { PEERS } = require('./peers')
const { write } = require('./report')
const { tableOf } = require('./report/tables')
const { WORKLOADS } = require('./workloads')

const RESULTS = path.join(__dirname, '..', 'docs', 'benchmarks')
const HAND_OVER = 'hand-over'
/** Before those that fill the store. */
const NAMES = Object.keys(WORKLOADS).flatMap((name) => (name === 'cold' ? [HAND_OVER, name] : [name]))

const USAGE = `Usage: npm run bench -- [options]

  --version <version>    of the broker: ${VERSIONS.join(' or ')} (default: all, one after the other)
  --rounds <count>       of each workload and peer, 1 and more (default: 5)
  --only <workload>      ${NAMES.join(', ')}; may be repeated (default: all)
  --peers <names>        ${Object.keys(PEERS).join(', ')}; separated by commas
                         (default: all but those with -c2)
  --out <folder>         for tables, charts and figures (default: docs/benchmarks; with --quick nowhere)
  --quick                one short round of each, to see that everything works: its figures mean nothing
`

/** What is asked for, or undefined if it is not to be understood. */
function asked() {
  const options = {
    version: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string', multiple: true, default: NAMES },
    peers: {
      type: 'string',
      default: Object.keys(PEERS)
        .filter((name) => !PEERS[name].isOptional)
        .join(','),
    },
    out: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  }
  const { values } = parseArgs({ options })
  const peers = values.peers.split(',')
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
  const versions = values.version ? [values.version] : VERSIONS
  const isKnown =
    values.only.every((name) => NAMES.includes(name)) &&
    peers.every((name) => Object.hasOwn(PEERS, name)) &&
    versions.every((version) => VERSIONS.includes(version)) &&
    Number.isInteger(rounds) &&
    rounds > 0
  if (!isKnown) return undefined
  return { ...values, peers, rounds, versions, out: values.out ?? (values.quick ? undefined : RESULTS) }
}

/** The workloads of a version, one after the other; each is told as soon as it is over. */
async function measure(version, { only, peers, rounds, quick }, told) {
  const bench = new Bench({ version, isQuick: quick })
  try {
    await bench.start(peers)
    for (const name of only) {
      const result =
        name === HAND_OVER
          ? { id: 'W9', title: handOver.TITLE, figures: handOver.FIGURES, peers: await handOver.handOver(bench, peers) }
          : await one(bench, name, { peers, rounds })
      told(name, { ...result, measured: new Date().toISOString() })
    }
  } finally {
    await bench.stop()
  }
}

async function one(bench, name, options) {
  const { id, title, figures } = WORKLOADS[name]
  return { id, title, figures, peers: await bench.run(name, WORKLOADS[name], options) }
}

const machine = () => ({
  cpu: os.cpus()[0]?.model,
  cores: os.cpus().length,
  memoryGiB: Math.round(os.totalmem() / 2 ** 30),
  node: process.version,
  kernel: os.release(),
})

/** What was measured before, of which the workloads stay that are not measured again. */
function earlier(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')).workloads : {}
}

async function main() {
  const options = asked()
  if (!options || options.help) {
    console[options ? 'log' : 'error'](USAGE)
    process.exitCode = options ? 0 : 2
    return
  }
  for (const version of options.versions) {
    const file = options.out && path.join(options.out, `${version}.json`)
    const workloads = file ? earlier(file) : {}
    await measure(version, options, (name, result) => {
      workloads[name] = result
      console.log(`\n${tableOf(name, result, version)}`)
      if (options.out) write(options.out, { version, rounds: options.rounds, machine: machine(), workloads })
    })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
