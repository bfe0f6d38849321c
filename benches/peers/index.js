'use strict'
// Who is measured: how each is installed, where nobody else sees it, and started.

const path = require('node:path')
const { peerCommand } = require('../../scripts/rocketmq/peer')
const { buildGo, buildLimit, installNode } = require('./install')

/** @typedef {'ours' | 'java' | 'java-async' | 'java-batch' | 'go' | 'ali-ons' | 'ali-ons-unawaited' | 'rocketmq-client-nodejs' |
 *   'rocketmq-nodejs' | 'limit'} PeerName */

/**
 * @typedef {object} Peer
 * @property {string} title as tables call it
 * @property {(options: { version: string, home: string, isQuick: boolean }) => Promise<string[]>} command what starts it
 * @property {(version: string) => string | undefined} [cannot] why it cannot do anything with a broker of that version
 */

/** With the compiler for code that runs long: rounds are preceded by one that is not measured. */
const isQuickCompiler = (flag) => flag === '-XX:TieredStopAtLevel=1'

const node = (file) => [process.execPath, '--expose-gc', path.join(__dirname, 'node', file)]

async function java({ version, home }) {
  const command = await peerCommand(path.join(__dirname, 'java', 'BenchPeer.java'), { version, home })
  return command.filter((argument) => !isQuickCompiler(argument)).map((it) => (it === '-Xmx256m' ? '-Xmx512m' : it))
}

const installed = (file) => async () => {
  await installNode()
  return node(file)
}

/** @type {Record<PeerName, Peer>} */
const PEERS = {
  ours: { title: 'rocketmq-orderly', command: async () => node('ours.js') },
  java: { title: 'Java', command: java },
  'java-async': { title: 'Java, asynchronous sends', command: java },
  'java-batch': { title: 'Java, lists of 128', command: java },
  go: { title: 'Go', command: async () => [await buildGo()] },
  'ali-ons': { title: 'ali-ons', command: installed('ali-ons.js') },
  'ali-ons-unawaited': { title: 'ali-ons, not awaited', command: installed('ali-ons.js') },
  'rocketmq-client-nodejs': {
    title: 'rocketmq-client-nodejs',
    command: installed('rocketmq-client-nodejs.js'),
    cannot: (version) => (version.startsWith('4.') ? 'speaks to proxies of 5.x only' : undefined),
  },
  'rocketmq-nodejs': { title: 'rocketmq-nodejs', command: installed('rocketmq-nodejs.js') },
  limit: { title: 'bare socket (limit)', command: async ({ profile }) => [await buildLimit(profile)] },
}

module.exports = { PEERS }
