'use strict'
// Who is measured: how each is installed, where nobody else sees it, and started.

const path = require('node:path')
const { peerCommand } = require('../../scripts/rocketmq/peer')
const { buildGo, buildLimit, installNode } = require('./install')

/** @typedef {'ours' | 'java' | 'java-async' | 'java-batch' | 'java-c2' | 'go' | 'ali-ons' | 'ali-ons-unawaited' | 'rocketmq-client-nodejs' |
 *   'rocketmq-nodejs' | 'limit' | 'limit-batch' | 'ours-tls' | 'java-tls'} PeerName */

/**
 * @typedef {object} Peer
 * @property {string} title as tables call it
 * @property {(options: { version: string, home: string, profile: string }) => Promise<string[]>} command what starts it
 * @property {number} [warmUps] rounds before those that count; 1
 * @property {PeerName} [like] does what that one does
 * @property {boolean} [isOptional] takes part only where it is named
 * @property {(version: string) => string | undefined} [cannot] why it cannot do anything with a broker of that version
 */

/** Of the Java machine: without the compiler for code that runs long. */
const isQuickCompiler = (flag) => flag === '-XX:TieredStopAtLevel=1'

/** Of Java's client, which trusts anybody then. */
const USE_TLS = '-Dtls.enable=true'

/** Until compilers have done most of their work. */
const JIT_WARM_UPS = 2

const node = (file) => [process.execPath, '--expose-gc', path.join(__dirname, 'node', file)]

/** Its machine with the quick compiler only: with both, rounds of seconds cost it twice the CPU time. */
async function java({ version, home }) {
  const command = await peerCommand(path.join(__dirname, 'java', 'BenchPeer.java'), { version, home })
  return command.map((it) => (it === '-Xmx256m' ? '-Xmx512m' : it))
}

const javaWithBoth = async (options) => (await java(options)).filter((argument) => !isQuickCompiler(argument))

const installed = (file) => async () => {
  await installNode()
  return node(file)
}

const limit = async ({ profile }) => [await buildLimit(profile)]

/** @type {Record<PeerName, Peer>} */
const PEERS = {
  ours: { title: 'rocketmq-orderly', command: async () => node('ours.js') },
  'ours-tls': {
    title: 'rocketmq-orderly with TLS',
    command: async () => [...node('ours.js'), '--tls'],
    like: 'ours',
    isOptional: true,
  },
  java: { title: 'Java', command: java, warmUps: JIT_WARM_UPS },
  'java-tls': {
    title: 'Java with TLS',
    command: async (options) => (await java(options)).map((it) => (it === '-cp' ? [USE_TLS, it] : it)).flat(),
    warmUps: JIT_WARM_UPS,
    like: 'java',
    isOptional: true,
  },
  'java-async': { title: 'Java, asynchronous sends', command: java, warmUps: JIT_WARM_UPS },
  'java-batch': { title: 'Java, lists of 128', command: java, warmUps: JIT_WARM_UPS },
  'java-c2': {
    title: 'Java with both compilers',
    command: javaWithBoth,
    warmUps: 2 * JIT_WARM_UPS,
    like: 'java',
    isOptional: true,
  },
  go: { title: 'Go', command: async () => [await buildGo()] },
  'ali-ons': { title: 'ali-ons', command: installed('ali-ons.js') },
  'ali-ons-unawaited': { title: 'ali-ons, not awaited', command: installed('ali-ons.js') },
  'rocketmq-client-nodejs': {
    title: 'rocketmq-client-nodejs',
    command: installed('rocketmq-client-nodejs.js'),
    cannot: (version) => (version.startsWith('4.') ? 'speaks to proxies of 5.x only' : undefined),
  },
  'rocketmq-nodejs': { title: 'rocketmq-nodejs', command: installed('rocketmq-nodejs.js') },
  limit: { title: 'bare socket (limit)', command: limit },
  'limit-batch': { title: 'bare socket, batches', command: limit },
}

module.exports = { PEERS }
