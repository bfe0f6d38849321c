'use strict'
// The genuine Java client, of the version of the broker under test: scripts/peers/java/OrderlyPeer.java.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { VERSIONS } = require('../../scripts/rocketmq/jars')
const { peerCommand } = require('../../scripts/rocketmq/peer')
const { LineProcess } = require('./child-process')
const { backend, clients } = require('./index')

const SOURCE = path.join(__dirname, '..', '..', 'scripts', 'peers', 'java', 'OrderlyPeer.java')
/** A broker somebody else runs may have another version: then the newest client. */
const CLIENT_VERSION = VERSIONS.includes(backend.version) ? backend.version : VERSIONS.at(-1)

/** Starts the program; ends with the test, or with our end of its standard input. */
async function start(args, input) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-peer-'))
  const [command, ...before] = await peerCommand(SOURCE, { version: CLIENT_VERSION, home })
  const child = spawn(command, [...before, ...args.map(String)], { cwd: home, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => {})
  if (input !== undefined) child.stdin.end(input)
  const peer = clients.add(new LineProcess(child))
  peer.ended.then(() => fs.rmSync(home, { recursive: true, force: true, maxRetries: 3 }))
  return peer
}

/** Waits for the end of a program; rejects unless it ended well. Resolves with its lines of one type. */
async function outcome(peer, type) {
  const { code, signal } = await peer.ended
  if (code !== 0) throw new Error(`The Java client ended with ${code ?? signal}: ${peer.errors}`)
  return peer.lines.filter((line) => line.type === type)
}

/**
 * Java sends `count` messages 'key-K:SEQ' over `keys` sharding keys in turn, one after another.
 * With `kinds` (of ZLIB, LZ4, ZSTD, NONE) each is compressed as the next of them says, filled up to `size` bytes.
 * Resolves with what it was told for each: { key, body, status, msgId, brokerName, queueId, queueOffset }.
 */
async function produce({ nameServer = backend.nameServer, topic, count, keys, kinds = ['NONE'], size = 0 }) {
  return outcome(await start(['produce', nameServer, topic, count, keys, kinds.join(), size]), 'sent')
}

/**
 * Java consumes in order, from the first message on. Resolves with the process once it has started: its `lines` of
 * type 'message' are { brokerName, queueId, queueOffset, body, msgId, tags, keys, shardingKey, reconsumeTimes, time }.
 * It ends after `count` messages, or fails after `timeoutSec`; kill('SIGTERM') makes it leave in peace.
 */
async function startConsumer({ nameServer = backend.nameServer, group, topic, count = 0, timeoutSec = 100 }) {
  const peer = await start(['consume', nameServer, group, topic, count, timeoutSec])
  await peer.line(({ type }) => type === 'started', { timeoutMs: 120_000, what: 'the start of the Java consumer' })
  return peer
}

/** Java consumes exactly `count` messages; resolves with them. */
async function consume(options) {
  return outcome(await startConsumer(options), 'message')
}

/** Where Java sends each key: [{ key, brokerName, queueId }] in the order of the keys, which have no line breaks. */
async function queuesOf({ nameServer = backend.nameServer, topic, keys }) {
  return outcome(await start(['queues', nameServer, topic], keys.map((key) => `${key}\n`).join('')), 'queue')
}

module.exports = { CLIENT_VERSION, consume, produce, queuesOf, startConsumer }
