#!/usr/bin/env node
'use strict'
// npm run bench: this package and its peers on a real broker that is started for it, round by round in turn. docs/benchmarks.md tells more.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs, promisify } = require('node:util')
const { Producer } = require('..')
const { Cluster, VERSIONS } = require('../scripts/rocketmq/cluster')
const { peerCommand } = require('../scripts/rocketmq/peer')
const { BODY_BYTES, WORKLOADS } = require('./workloads')

const USAGE = `Usage: npm run bench -- [options]

  --version <version>    of the broker: ${VERSIONS.join(' or ')} (default: all, one after the other)
  --rounds <count>       of each workload and peer, 1 and more (default: 5)
  --only <workload>      ${Object.keys(WORKLOADS).join(', ')}; may be repeated (default: all)
`
const RESULTS = path.join(__dirname, '..', 'docs', 'benchmarks')
/** What is shown of a round, in this order, with the digits behind the point. */
const FIGURES = {
  perSecond: ['messages/s', 0],
  cpuMicros: ['CPU µs/message', 1],
  p50Micros: ['p50 µs', 0],
  p99Micros: ['p99 µs', 0],
  perRequest: ['messages/request', 1],
  inversions: ['inversions', 0],
  delayP50: ['loop delay p50 ms', 1],
  delayP99: ['loop delay p99 ms', 1],
  rssMiB: ['RSS MiB', 0],
}

const execute = promisify(execFile)

/** The command of each peer, without its arguments. */
async function peers(version, home) {
  return {
    ours: [process.execPath, path.join(__dirname, 'peers', 'ours.js')],
    java: await peerCommand(path.join(__dirname, 'peers', 'BenchPeer.java'), { version, home }),
  }
}

async function round([command, ...args], nameServer, topic, workload, messages) {
  const given = [nameServer, topic, workload, messages, BODY_BYTES].map(String)
  const { stdout } = await execute(command, [...args, ...given], { timeout: 600_000 })
  return JSON.parse(stdout.trim().split('\n').at(-1))
}

async function fill(nameServer, topic, messages) {
  const producer = await new Producer({ groupId: 'GID_fill', nameServer }).start()
  const body = Buffer.alloc(BODY_BYTES, 'x')
  for (let i = 0; i < messages; i++) {
    await producer.ready()
    void producer.sendOrderly({ topic, body }, `key-${i % 1_000}`)
  }
  await producer.close({ timeoutMs: 600_000 })
  const { sent } = producer.stats()
  if (sent !== messages) throw new Error(`${sent} of ${messages} messages were stored in ${topic}`)
}

/** Median, least and greatest of one figure over the rounds. */
function summary(rounds, figure) {
  const values = rounds.map((it) => it[figure]).filter((value) => value !== undefined)
  if (values.length === 0) return undefined
  values.sort((a, b) => a - b)
  const middle = values.length / 2
  const median = values.length % 2 === 1 ? values[Math.floor(middle)] : (values[middle - 1] + values[middle]) / 2
  return { median, min: values[0], max: values.at(-1) }
}

async function benchmark(version, names, rounds) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-bench-'))
  const commands = await peers(version, home)
  const cluster = await Cluster.start({ version })
  const { nameServer } = cluster
  try {
    const results = {}
    for (const name of names) {
      const { messages, queues, topic: kind, peers: taking } = WORKLOADS[name]
      const measured = Object.fromEntries(taking.map((peer) => [peer, []]))
      const filled = `bench-${name}`
      if (kind === 'filled') {
        await cluster.createTopic(filled, { queues })
        await fill(nameServer, filled, messages)
      }
      for (let i = 0; i < rounds; i++) {
        for (const peer of taking) {
          const topic = kind === 'filled' ? filled : `bench-${name}-${peer}-${i}`
          if (kind === 'new') await cluster.createTopic(topic, { queues })
          measured[peer].push(await round(commands[peer], nameServer, topic, name, messages))
        }
      }
      results[name] = Object.fromEntries(
        taking.map((peer) => [
          peer,
          Object.fromEntries(Object.keys(FIGURES).map((figure) => [figure, summary(measured[peer], figure)])),
        ]),
      )
      show(version, name, results[name])
    }
    return results
  } finally {
    await cluster.stop()
    fs.rmSync(home, { recursive: true, force: true })
  }
}

function show(version, name, results) {
  console.log(`\n${name}: ${WORKLOADS[name].title} (RocketMQ ${version})`)
  const rows = Object.entries(results).map(([peer, figures]) => {
    const cells = Object.entries(FIGURES).flatMap(([figure, [title, digits]]) => {
      if (figures[figure] === undefined) return []
      const [median, min, max] = ['median', 'min', 'max'].map((of) => figures[figure][of].toFixed(digits))
      return [[title, `${median} (${min}–${max})`]]
    })
    return [peer, Object.fromEntries(cells)]
  })
  console.table(Object.fromEntries(rows))
}

async function main() {
  const options = {
    version: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', multiple: true, default: Object.keys(WORKLOADS) },
    help: { type: 'boolean' },
  }
  const { values } = parseArgs({ options })
  if (values.help) return console.log(USAGE)
  const unknown = values.only.find((name) => !Object.hasOwn(WORKLOADS, name))
  const rounds = Number(values.rounds)
  if (unknown || !(Number.isInteger(rounds) && rounds > 0)) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  fs.mkdirSync(RESULTS, { recursive: true })
  for (const version of values.version ? [values.version] : VERSIONS) {
    const results = await benchmark(version, values.only, rounds)
    const machine = {
      cpu: os.cpus()[0]?.model,
      cores: os.cpus().length,
      node: process.version,
      platform: process.platform,
    }
    const report = { version, rounds, bodyBytes: BODY_BYTES, machine, results }
    fs.writeFileSync(path.join(RESULTS, `${version}.json`), `${JSON.stringify(report, null, 2)}\n`)
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
