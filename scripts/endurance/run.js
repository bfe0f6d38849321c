#!/usr/bin/env node
'use strict'
// npm run endurance: what clients leave behind when they are used for long.

const { parseArgs } = require('node:util')
const { TEST_BROKER, backendOf, startBackend } = require('../rocketmq/backends')
const { run } = require('./trial')
const { TRIALS } = require('./trials')

const QUEUES = 16

const names = Object.entries(TRIALS).map(([name, { title }]) => `  ${name.padEnd(12)} ${title}`)
const USAGE = `Usage:
  npm run endurance -- [options] [trial...]

  --full          as much as a release takes: some minutes each
  --on <where>    TestBroker-4.9.7, TestBroker-5.5.0, or a real broker, 4.9.7 or 5.5.0; TestBroker-5.5.0

Trials; all of them unless some are named:
${names.join('\n')}
`

async function main() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      full: { type: 'boolean' },
      on: { type: 'string', default: `${TEST_BROKER}5.5.0` },
      help: { type: 'boolean' },
    },
  })
  const unknown = positionals.filter((name) => !Object.hasOwn(TRIALS, name))
  if (values.help || unknown.length > 0) {
    process.stdout.write(USAGE)
    process.exitCode = values.help ? 0 : 2
    return
  }
  const cluster = await startBackend(backendOf(values.on))
  try {
    for (const name of positionals.length > 0 ? positionals : Object.keys(TRIALS)) {
      const place = {
        nameServer: cluster.nameServer,
        topic: `endurance-${name}`,
        group: `GID-endurance-${name}`,
      }
      await cluster.createTopic(place.topic, { queues: QUEUES })
      const began = performance.now()
      const { figures, problems } = await run(name, values.full ? 'full' : 'short', place)
      const seconds = ((performance.now() - began) / 1_000).toFixed(0)
      console.log(`${name}, ${seconds} s: ${TRIALS[name].title}`)
      for (const [figure, value] of Object.entries(figures)) console.log(`  ${figure.padEnd(16)} ${rounded(value)}`)
      for (const problem of problems) console.log(`  WRONG: ${problem}`)
      if (problems.length > 0) process.exitCode = 1
    }
  } finally {
    await cluster.stop()
  }
}

function rounded(value) {
  return Number.isInteger(value) ? value : Number(value.toFixed(2))
}
main()
