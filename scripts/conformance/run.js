#!/usr/bin/env node
'use strict'
// npm run conformance: replays one script of requests against TestBroker and the real brokers, and prints where they differ.
//   --version 5.5.0      one version only
//   --verbose            the known differences, too

const { parseArgs } = require('node:util')
const { TestBroker } = require('../../testing')
const { Cluster, VERSIONS } = require('../rocketmq/cluster')
const { KNOWN } = require('./known-differences')
const { Recorder } = require('./recorder')
const { script } = require('./script')

/** How a real broker is set up, and how the test broker is then told to be. */
const SETTINGS = { autoCreateTopicEnable: false, sendMessageThreadPoolNums: 1 }
/** Longest text in a column. */
const WIDTH = 160

async function record(nameServer, broker) {
  const recorder = await Recorder.open({ nameServer, broker })
  try {
    await script(recorder)
  } finally {
    recorder.close()
  }
  return recorder
}

async function ofTestBroker(version) {
  const { Admin } = require('../rocketmq/admin')
  const broker = await TestBroker.start({ version: version.slice(0, 3) })
  const admin = new Admin(broker.nameServer)
  try {
    await admin.updateBrokerConfig(broker.brokers[0], SETTINGS)
    return await record(broker.nameServer, broker.brokers[0])
  } finally {
    await admin.close()
    await broker.close()
  }
}

async function ofRealBroker(version) {
  const cluster = await Cluster.start({ version, brokerProperties: SETTINGS })
  try {
    return await record(cluster.nameServer, cluster.brokers[0].address)
  } finally {
    await cluster.stop()
  }
}

async function compare(version, verbose) {
  const [real, ours] = await Promise.all([ofRealBroker(version), ofTestBroker(version)])
  const differing = [...real.answers].filter(([step, answer]) => ours.answers.get(step) !== answer)
  const reasons = KNOWN[version] ?? {}
  const unknown = differing.filter(([step]) => reasons[step] === undefined)
  const stale = Object.keys(reasons).filter((step) => !differing.some(([name]) => name === step))
  const counts = `${real.answers.size} answers, ${differing.length} differ, ${unknown.length} of them for no known reason`
  console.log(`\n${version}: ${counts}`)
  for (const [step, answer] of verbose ? differing : unknown) {
    console.log(`\n  ${step}${reasons[step] ? `   (known: ${reasons[step]})` : ''}`)
    for (const [path, theirs, mine] of differences(JSON.parse(answer), JSON.parse(ours.answers.get(step) ?? 'null'))) {
      console.log(`    ${(path || 'answer').padEnd(30)} ${version} ${cut(theirs)}   TestBroker ${cut(mine)}`)
    }
    for (const [who, recorder] of [
      [version, real],
      ['TestBroker', ours],
    ]) {
      if (verbose && recorder.remarks.has(step)) console.log(`    ${who} says: ${cut(recorder.remarks.get(step))}`)
    }
  }
  for (const step of stale) console.log(`  no difference any more: ${step}`)
  return unknown.length + stale.length
}

/** Where two answers differ: path, one, the other. */
function differences(one, other, path = '') {
  const isOpen = (value) => typeof value === 'object' && value !== null
  if (!isOpen(one) || !isOpen(other)) return one === other ? [] : [[path, JSON.stringify(one), JSON.stringify(other)]]
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].flatMap((name) => differences(one[name], other[name], path ? `${path}.${name}` : name))
}

const cut = (text = 'nothing') => (text.length > WIDTH ? `${text.slice(0, WIDTH)}… (${text.length})` : text)

async function main() {
  const { values } = parseArgs({
    options: { version: { type: 'string' }, verbose: { type: 'boolean', default: false } },
  })
  let found = 0
  for (const version of values.version ? [values.version] : VERSIONS) found += await compare(version, values.verbose)
  process.exitCode = found > 0 ? 1 : 0
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 2
})
