#!/usr/bin/env node
'use strict'
// npm run conformance: replays one script of requests against TestBroker and the real brokers, and prints where they differ.
//   --version 5.5.0      one version only
//   --verbose            the known differences and the codes of all answers, too

const { parseArgs } = require('node:util')
const { TestCluster } = require('../../__tests__/support/test-cluster')
const { Cluster, VERSIONS } = require('../rocketmq/cluster')
const { ACCOUNTS } = require('../rocketmq/config')
const { coverage } = require('./coverage')
const { KNOWN } = require('./known-differences')
const { Record, Recorder } = require('./recorder')
const { guarded, script } = require('./script')

/** How a real broker is set up, and how the test broker is then told to be. One thread each, so that the order of answers is the same. */
const SETTINGS = {
  autoCreateTopicEnable: false,
  sendMessageThreadPoolNums: 1,
  clientManageThreadPoolNums: 1,
  consumerManageThreadPoolNums: 1,
}
/** Each on a server of its own. */
const PARTS = [
  { part: script, acl: false },
  { part: guarded, acl: true },
]
/** Longest text in a column. */
const WIDTH = 160

/** Plays the script to servers of one kind; the record of it. @param {(acl: boolean) => Promise<Server>} start */
async function record(start) {
  const whole = new Record()
  for (const { part, acl } of PARTS) {
    const server = await start(acl)
    let recorder
    try {
      const { nameServer, broker, admin: credentials } = server
      recorder = await Recorder.open({ nameServer, broker, server, credentials, record: whole })
      await part(recorder)
    } finally {
      recorder?.close()
      await server.close()
    }
  }
  return whole
}

/**
 * @typedef {object} Server
 * @property {string} nameServer
 * @property {string} broker
 * @property {typeof ACCOUNTS.admin | undefined} admin whom it lets do everything, if it asks
 * @property {() => Promise<void>} crash kill -9, and a start on the same store
 * @property {() => Promise<void>} stop SIGTERM
 * @property {() => Promise<void>} close
 */

/** @returns {Promise<Server>} */
async function testBroker(version, acl) {
  const cluster = await TestCluster.start({ version, acl, brokerProperties: SETTINGS })
  return asServer(cluster, acl)
}

/** @returns {Promise<Server>} */
async function realBroker(version, acl) {
  return asServer(await Cluster.start({ version, acl, tls: true, brokerProperties: SETTINGS }), acl)
}

function asServer(cluster, acl) {
  const [broker] = cluster.brokers
  return {
    nameServer: cluster.nameServer,
    broker: broker.address,
    admin: acl ? ACCOUNTS.admin : undefined,
    async crash() {
      await broker.kill9()
      await broker.start()
    },
    stop: () => broker.stop(),
    close: () => cluster.stop(),
  }
}

/** What one play of the script to both servers shows. */
async function play(version) {
  const [real, ours] = await Promise.all([
    record((acl) => realBroker(version, acl)),
    record((acl) => testBroker(version, acl)),
  ])
  const differing = [...real.answers.keys()].filter((step) => ours.answers.get(step) !== real.answers.get(step))
  const reasons = KNOWN[version] ?? {}
  const unknown = differing.filter((step) => reasons[step] === undefined)
  const stale = Object.keys(reasons).filter((step) => !differing.includes(step))
  return { real, ours, differing, reasons, unknown, stale, ...coverage(real.asked) }
}

/** Servers answer while other threads of theirs work: a difference is one that a second play shows, too. */
async function compare(version, verbose) {
  const found = ({ unknown, stale }) => [...unknown, ...stale]
  const first = await play(version).catch((error) => console.log(`\n${version}: ${error.stack}`))
  if (first) {
    report(version, first, verbose)
    if (found(first).length === 0) return first.lacking.length
  }
  console.log(`  ${version} once more, to see whether that is so each time`)
  const second = await play(version)
  report(version, second, verbose)
  const again = found(second).filter((step) => !first || found(first).includes(step))
  for (const step of again) console.log(`  ${version} both times: ${step}`)
  return again.length + second.lacking.length
}

function report(version, { real, ours, differing, reasons, unknown, stale, table, lacking }, verbose) {
  const counts = `${real.answers.size} answers, ${differing.length} differ, ${unknown.length} of them for no known reason`
  console.log(`\n${version}: ${counts}`)
  for (const step of verbose ? differing : unknown) {
    console.log(`\n  ${step}${reasons[step] ? `   (known: ${reasons[step]})` : ''}`)
    const [theirs, mine] = [real, ours].map(({ answers }) => JSON.parse(answers.get(step) ?? 'null'))
    for (const [path, one, other] of differences(theirs, mine)) {
      console.log(`    ${(path || 'answer').padEnd(30)} ${version} ${cut(one)}   TestBroker ${cut(other)}`)
    }
    for (const [who, { remarks }] of [
      [version, real],
      ['TestBroker', ours],
    ]) {
      if (verbose && remarks.has(step)) console.log(`    ${who} says: ${cut(remarks.get(step))}`)
    }
  }
  for (const step of stale) console.log(`  no difference any more: ${step}`)
  if (verbose) console.log(`\n${table}`)
  for (const code of lacking) console.log(`  not asked in a good and in a bad form: ${code}`)
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
  const versions = values.version ? [values.version] : VERSIONS
  // Side by side: most of it is waiting.
  const found = await Promise.all(versions.map((version) => compare(version, values.verbose)))
  process.exitCode = found.some((count) => count > 0) ? 1 : 0
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 2
})
