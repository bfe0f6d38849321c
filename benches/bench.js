'use strict'
// The rounds of a version: a broker of its own, and the peers in turn.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { Admin } = require('../scripts/rocketmq/admin')
const { Cluster } = require('../scripts/rocketmq/cluster')
const { Guard } = require('../scripts/rocketmq/guard')
const { Proxy } = require('../scripts/rocketmq/proxy')
const { PEERS } = require('./peers')
const { addonMB, installMiB } = require('./peers/size')
const { PeerProcess } = require('./peers/process')

/** Workloads whose messages are read back from the store. */
const READ_BACK = new Set(['await', 'burst', 'window', 'keys', 'mixed'])
/** How a round is made short enough to see only that it works. */
const QUICK = { seconds: 0.3, messages: 2_000, batch: 16, open: 500 }
const QUICK_BACKLOG = 20_000
/** For hundreds of thousands of messages that are stored, or read back. */
const LONG = { patienceMs: 300_000 }
/** A broker refuses what has waited for 200 ms, which on two busy cores says more of the machine than of a client: here it does not. */
const BROKER = { waitTimeMillsInSendQueue: 10_000, osPageCacheBusyTimeOutMills: 10_000 }

/** The broker that clients of a socket only have to know. */
async function master(nameServer) {
  const admin = new Admin(nameServer)
  try {
    const [[brokerName, broker]] = await admin.masters()
    return { broker, brokerName }
  } finally {
    await admin.close()
  }
}

const givenTo = (workload, peer) => workload.peers[PEERS[peer].like ?? peer]

/** The line that says what was wrong, of all that a peer has said. */
function gist({ message }) {
  const lines = message.split('\n').filter((line) => !/^\s+at /.test(line))
  return (lines.find((line) => /exception|error/i.test(line)) ?? lines[0]).slice(0, 160)
}

class Bench {
  #profile
  #isQuick
  #commands = new Map()
  #filled = new Map()
  #groups = 0
  #proxy
  #limit
  #guard

  /** @param {{ version: string, isQuick: boolean, profile?: 'release' | 'debug' }} options */
  constructor({ version, isQuick, profile = 'release' }) {
    this.version = version
    this.#isQuick = isQuick
    this.#profile = profile
    this.home = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-bench-'))
    this.#guard = new Guard(this.home)
  }

  /** Starts a real broker; `on`: one that is there already, with `nameServer`, `createTopic()` and `stop()`. */
  async start(peers, on) {
    for (const name of new Set([...peers, 'limit'])) this.#commands.set(name, await this.#command(name))
    const tls = peers.some((name) => name.endsWith('-tls'))
    this.cluster = on ?? (await Cluster.start({ version: this.version, brokerProperties: BROKER, tls }))
    const { nameServer } = this.cluster
    this.at = { nameServer, ...(await master(nameServer)) }
    if (peers.includes('rocketmq-client-nodejs') && !this.version.startsWith('4.')) {
      this.#proxy = await Proxy.start({ version: this.version, nameServer })
      this.at.proxy = this.#proxy.address
    }
    this.#limit = this.process('limit')
  }

  async stop() {
    await this.#limit?.end()
    await this.#proxy?.stop()
    await this.cluster?.stop()
    await this.#guard.release()
    fs.rmSync(this.home, { recursive: true, force: true, maxRetries: 3 })
  }

  /** What starts a peer, or a text that says why nothing does. */
  async #command(name) {
    const { cannot, command } = PEERS[name]
    const reason = cannot?.(this.version)
    if (reason) return reason
    try {
      return await command({ version: this.version, home: this.home, profile: this.#profile })
    } catch (error) {
      if (name === 'limit' || name === 'ours') throw error
      return `not installed: ${error.message}`
    }
  }

  /** Why a peer cannot take part, if it cannot. */
  reason(name) {
    const command = this.#commands.get(name)
    return typeof command === 'string' ? command : undefined
  }

  process(name) {
    return new PeerProcess(this.#commands.get(name), this.home, this.#guard)
  }

  /**
   * All rounds of a workload; resolves with a row for each peer: { rounds } or { cannot }.
   * @param {string} name @param {import('./workloads').Workload} workload @param {{ rounds: number, peers: string[] }} options
   */
  async run(name, workload, { rounds, peers }) {
    const rows = {}
    const running = new Map()
    for (const peer of peers.filter((peer) => givenTo(workload, peer) !== undefined)) {
      const given = givenTo(workload, peer)
      const cannot = typeof given === 'string' ? given : this.reason(peer)
      rows[peer] = cannot ? { cannot } : { rounds: [] }
      if (!cannot) running.set(peer, workload.isFresh ? undefined : this.process(peer))
    }
    const count = Math.min(rounds, workload.rounds ?? rounds)
    const mostWarmUps = workload.isFresh ? 0 : Math.max(...[...running.keys()].map((peer) => this.#warmUps(peer)))
    for (let round = -mostWarmUps; round < count; round++) {
      for (const [peer, process] of running) {
        if (round < -this.#warmUps(peer)) continue
        try {
          const told = await this.#round(name, workload, peer, process, round)
          if (round >= 0) rows[peer].rounds.push(told)
        } catch (error) {
          // It takes part no more: half of its rounds would compare with the whole of others.
          rows[peer] = { cannot: `fails: ${gist(error)}` }
          running.delete(peer)
          await process?.kill()
        }
      }
    }
    await Promise.all([...running.values()].map((process) => process?.end()))
    return rows
  }

  /** Rounds before those that count. */
  #warmUps(peer) {
    return this.#isQuick ? 1 : (PEERS[peer].warmUps ?? 1)
  }

  async #round(name, workload, peer, process, round) {
    const given = { ...this.#sized(workload.round), ...this.#sized(givenTo(workload, peer)) }
    const topic = await this.#topic(name, workload, peer, round)
    const group = `GID-${name}-${peer}-${this.#groups++}`
    if (this.at.proxy) await this.cluster.createGroup(group, { consumeMessageOrderly: true })
    const began = performance.now()
    const worker = process ?? this.process(peer)
    try {
      const told = await worker.ask({ ...this.at, topic, group, queues: workload.queues, ...given })
      if (name === 'cold') {
        told.coldMs = performance.now() - began
        if (peer === 'ours') told.addonMB = addonMB()
        told.installMiB = await installMiB(peer, this.#commands.get(peer), this.version)
      }
      if (READ_BACK.has(given.workload)) Object.assign(told, await this.readBack(topic, workload.queues, told.messages))
      return told
    } finally {
      if (!process) await worker.kill()
    }
  }

  /** Outside the timed part: in which order the messages lie in the store. */
  readBack(topic, queues, messages) {
    return this.#limit.ask({ ...this.at, workload: 'check', topic, queues, messages }, LONG)
  }

  #sized(given) {
    if (!this.#isQuick) return given
    return Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, name in QUICK ? Math.min(value, QUICK[name]) : value]),
    )
  }

  async #topic(name, workload, peer, round) {
    const { queues } = workload
    if (workload.topic === 'filled') {
      if (!this.#filled.has(queues)) this.#filled.set(queues, this.#fill(`bench-filled-${queues}`, workload))
      return this.#filled.get(queues)
    }
    return this.createTopic(`bench-${name}-${peer}-${round < 0 ? `warm-up${round}` : round}`, queues)
  }

  async createTopic(topic, queues) {
    // A proxy lets message groups into topics of this kind only; others do not look at it.
    await this.cluster.createTopic(topic, { queues, ...(this.at.proxy && { attributes: '+message.type=FIFO' }) })
    return topic
  }

  async #fill(topic, { queues, round }) {
    await this.createTopic(topic, queues)
    const messages = this.#isQuick ? QUICK_BACKLOG : round.messages
    const given = { ...this.at, workload: 'fill', topic, queues, messages, bytes: round.bytes }
    await this.#limit.ask(given, LONG)
    return topic
  }
}

module.exports = { Bench }
