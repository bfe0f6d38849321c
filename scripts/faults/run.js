#!/usr/bin/env node
'use strict'
// npm run faults: does to real processes what goes wrong, and prints what came of it.

const fs = require('node:fs')
const { parseArgs } = require('node:util')
const { TEST_BROKER, backendOf, startBackend } = require('../rocketmq/backends')
const { VERSIONS } = require('../rocketmq/jars')
const { FAULTS } = require('./faults')
const { isClean, run } = require('./fault')
const { CLIENTS } = require('./participant')
const { table } = require('./table')

const BACKENDS = [...VERSIONS.map((version) => `${TEST_BROKER}${version}`), ...VERSIONS]
const USAGE = `Usage: npm run faults -- [options]

  --fault F5,F10     these only (default: all)
  --on NAME,...      of ${BACKENDS.join(', ')} (default: the first two)
  --client NAME      whose clients: ${CLIENTS.join(', ')} (default: ours)
  --seeds N          each with so many seeds (default: 3)
  --seed N           with this one only
  --seconds N        how long things go wrong (default: 20)
  --rate N           messages per second that are offered (default: 2000)
  --out FILE         writes the results there, as JSON
`

class UsageError extends Error {}

/** One of these names each; all of `fallback` where nothing is said. */
function listed(text, names, what, fallback = names) {
  if (text === undefined) return fallback
  const chosen = text.split(',')
  const unknown = chosen.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new UsageError(`${what}: one of ${names.join(', ')}, not ${unknown}`)
  return chosen
}

function count(text, what) {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new UsageError(`${what}: a number from 1, not ${text}`)
  return number
}

function parsed() {
  const text = { type: 'string' }
  const names = ['fault', 'on', 'client', 'seeds', 'seed', 'seconds', 'rate', 'out']
  const options = Object.fromEntries(names.map((name) => [name, text]))
  const { values } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } } })
  if (values.help) return undefined
  const seeds = values.seed === undefined ? undefined : [count(values.seed, '--seed')]
  const ids = FAULTS.map(({ id }) => id)
  return {
    faults: listed(values.fault, ids, '--fault').map((id) => FAULTS.find((fault) => fault.id === id)),
    on: listed(values.on, BACKENDS, '--on', BACKENDS.slice(0, VERSIONS.length)),
    client: listed(values.client ?? 'ours', CLIENTS, '--client')[0],
    seeds: seeds ?? Array.from({ length: count(values.seeds ?? 3, '--seeds') }, (_, i) => i + 1),
    seconds: count(values.seconds ?? 20, '--seconds'),
    load: values.rate === undefined ? {} : { rate: count(values.rate, '--rate') },
    out: values.out,
  }
}

/** Starts brokers as they are needed: TestBroker anew for each run, a real one once for all who want the same. */
class Clusters {
  #real = new Map()

  /** @param {import('./fault').Backend} backend  @param {object} [options] */
  async take(backend, options) {
    if (backend.testBroker) return startBackend(backend, options)
    const name = JSON.stringify([backend.version, options])
    if (!this.#real.has(name)) {
      await this.close()
      this.#real.set(name, await startBackend(backend, options))
    }
    return this.#real.get(name)
  }

  async give(cluster) {
    if (cluster.testBroker) await cluster.stop()
  }

  async close() {
    await Promise.all([...this.#real.values()].map((cluster) => cluster.stop()))
    this.#real.clear()
  }
}

/** Why this fault is not run with these clients on these brokers. */
function whyNot(fault, backend, client) {
  if (fault.clients && !fault.clients.includes(client)) return `not with ${client}`
  return fault.whyNot?.(backend)
}

async function main() {
  const chosen = parsed()
  if (!chosen) return process.stdout.write(USAGE)
  const { faults, on, client, seeds, seconds, load, out } = chosen
  const results = []
  const clusters = new Clusters()
  const write = () => out && fs.writeFileSync(out, `${JSON.stringify({ seconds, ...load, results }, undefined, 1)}\n`)
  try {
    for (const backend of on.map(backendOf)) {
      for (const fault of faults) {
        const reason = whyNot(fault, backend, client)
        if (reason) {
          console.error(`${fault.id} on ${backend.name}: left out, ${reason}`)
          continue
        }
        for (const seed of seeds) {
          const cluster = await clusters.take(backend, fault.cluster)
          const result = await run(fault, { on: backend.name, cluster, client, seed, seconds, load })
          await clusters.give(cluster)
          results.push(result)
          write()
          tell(result)
        }
      }
    }
  } finally {
    await clusters.close()
  }
  console.log(table(results))
  process.exitCode = results.every(isClean) ? 0 : 1
}

/** One line for each run, and what is wrong with it. */
function tell(result) {
  const { fault, on, client, seed, problems, text, kept, figures } = result
  console.error(
    `${fault} on ${on}, ${client}, seed ${seed}: ${isClean(result) ? 'clean' : 'NOT CLEAN'} ${JSON.stringify(figures)}`,
  )
  if (!isClean(result)) console.error([...problems, text, kept].filter(Boolean).join('\n'))
}

main().catch((error) => {
  console.error(error instanceof UsageError ? `${error.message}\n\n${USAGE}` : error)
  process.exitCode = 2
})
