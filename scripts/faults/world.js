'use strict'
// One run of one fault: brokers behind proxies, clients in processes of their own, one history, one verdict.

const { setTimeout: delay } = require('node:timers/promises')
const { TestAdmin } = require('../../__tests__/support/admin')
const { HistoryFile, queueName } = require('../../__tests__/support/history-file')
const { ProxiedCluster } = require('../../__tests__/support/proxy')
const { until } = require('../../__tests__/support/until')
const load = require('./load')
const { Participant } = require('./participant')
const { Progress } = require('./progress')
const { Random } = require('./random')
const { Tampering } = require('./tampering')

/** So long things that have to come may take, on a busy machine. */
const PATIENCE_MS = 180_000
/** How often the history is looked at. */
const LOOK_MS = 50
/** A broker that is killed has written offsets to its disk as late as that, in microseconds, and some for a busy machine. */
const UNWRITTEN_OFFSETS = 6_000_000

let runs = 0

/**
 * @typedef {object} Setting
 * @property {Cluster} cluster with `nameServer`, `brokers`, and `testBroker` if it is one; not closed with the world
 * @property {string} [client] whose; ours
 * @property {number} [seed]
 * @property {number} [seconds] how long the faulty phase lasts
 * @property {number} [patience] by which bounds of times are multiplied, on a machine that does other things, too; 1
 * @property {boolean} [tampers] whether frames of brokers are changed
 * @property {Partial<import('./load').Load>} [load] what of it is not drawn
 *
 * @typedef {import('../rocketmq/cluster').Cluster | import('../../__tests__/support/test-cluster').TestCluster} Cluster
 *
 * @typedef {object} Bound
 * @property {number} [atMost]
 * @property {number} [atLeast]
 */

class World {
  /** Figures of this fault, by their names. @type {Record<string, number | string>} */
  figures = {}
  /** What is wrong beside violations: figures beyond their bounds, what never came. @type {string[]} */
  problems = []
  /** Those that participants know, `host:port`: the proxy of the cluster's, and what is added before they start. @type {string[]} */
  nameServers = []
  /** Whether a message in the store is one of those that the history is about. */
  counts = () => true
  /** @type {Participant[]} */
  producers = []
  /** @type {Participant[]} */
  consumers = []

  /** What ends with the world. @type {(() => unknown)[]} */
  #endings = []
  #left = []
  #proxies
  #isJudged = false
  #ending
  #began

  /** @param {Setting} setting */
  static async start(setting) {
    const world = new World(setting)
    world.#proxies = await ProxiedCluster.start(setting.cluster, world.tampering?.rewrite)
    world.nameServers.push(world.#proxies.nameServer.address)
    await world.admin.createTopic(world.topic, { queues: world.load.queues / setting.cluster.brokers.length })
    return world
  }

  /** @param {Setting} setting */
  constructor({ cluster, client = 'ours', seed = 1, seconds = 20, patience = 1, tampers = false, load: given }) {
    const name = `${Date.now().toString(36)}-${process.pid}-${++runs}`
    Object.assign(this, { cluster, client, seed, seconds, patience })
    Object.assign(this, { topic: `faults-${name}`, group: `GID-faults-${name}` })
    /** What is done to frames, where something is. */
    this.tampering = tampers ? new Tampering() : undefined
    this.random = new Random(seed)
    this.load = load.drawn(this.random, given)
    this.history = new HistoryFile('faults')
    this.progress = new Progress(this.history.file)
    /** An operator, past the proxies. */
    this.admin = new TestAdmin(cluster.nameServer, { credentials: cluster.accounts?.admin })
  }

  /** Of the first broker. @returns {import('../../__tests__/support/proxy').FaultProxy} */
  get proxy() {
    return this.#proxies.brokers[0]
  }

  /** Of all brokers, and of the name server. */
  get proxies() {
    return this.#proxies
  }

  get isTestBroker() {
    return Boolean(this.cluster.testBroker)
  }

  /** Starts another participant. @param {'producer' | 'consumer'} role  @param {object} options of its client  @param {object} [more] of its part */
  async join(role, options, more = {}) {
    const participant = await this.#start(role, options, more)
    this[`${role}s`].push(participant)
    await participant.said('started')
    return participant
  }

  /** Starts one that cannot start; how that is told, and after how many milliseconds of it. */
  async refused(role, options) {
    const participant = await this.#start(role, options)
    this.leaves(participant)
    this.#left.push(participant)
    const isOver = ({ event }) => event === 'failed' || event === 'started'
    const { code = 'nothing', ms } = await participant.line(isOver, { what: 'its refusal' })
    await participant.kill9()
    return { code, ms }
  }

  async #start(role, options, more = {}) {
    const { keys, rate, bytes, handlerMs, producers, part } = this.load
    const common = role === 'producer' ? this.load.producer : this.load.consumer
    const { accounts } = this.cluster
    return Participant.start({
      role,
      client: this.client,
      nameServer: this.nameServers.join(';'),
      topic: this.topic,
      group: this.group,
      keys,
      rate: Math.ceil(rate / producers.length),
      bytes,
      handlerMs,
      history: this.history.file,
      seed: this.random.integer(1, 1_000_000),
      options: { ...(accounts && { credentials: accounts.member }), ...options, ...common },
      ...part,
      ...more,
    })
  }

  /** Everybody who is drawn is there, and messages flow through every queue. */
  async begin() {
    const { producers, consumers } = this.load
    await Promise.all(consumers.map((options) => this.join('consumer', options)))
    await Promise.all(producers.map((options) => this.join('producer', options)))
    await this.recovered(this.heals('begin', await this.queues()), 'the first messages')
    this.progress.recoveries.length = 0
  }

  /** The names of the topic's queues, as histories have them. */
  async queues() {
    const queues = await this.admin.queues(this.topic)
    return queues.map((queue) => queueName(this.topic, queue))
  }

  /** Writes down that something was done. Arguments as those of HistoryFile.fault(). */
  fault(what, more) {
    this.history.fault(what, more)
  }

  /** Kills a broker, and writes down what it has forgotten then. */
  async kill9(broker) {
    await broker.kill9()
    const forgets = { locks: true, commits: UNWRITTEN_OFFSETS }
    this.fault(`kill -9 of ${broker.name}`, { whom: [broker.name], forgets })
  }

  /** Stops a broker in peace, and starts it after so many milliseconds. */
  async restart(broker, ms) {
    await broker.stop()
    this.fault(`a restart of ${broker.name}`, { whom: [broker.name], forgets: { locks: true, commits: 0 } })
    await this.lasts(ms)
    await broker.start({ keep: 'committed' })
  }

  /** Nothing is wrong from now on, until the next fault: how long things take to go on is measured. */
  heals(what, queues) {
    return this.progress.heals(what, queues)
  }

  /** Waits until things go on everywhere. @param {import('./progress').Recovery} recovery */
  async recovered(recovery, what = recovery.what) {
    await this.until(() => recovery.ms !== undefined, {
      intervalMs: LOOK_MS,
      what: () => `${what} in ${recovery.missing.join(', ')}`,
    })
    return recovery.ms
  }

  /** Waits for a condition of the history, which is read on before it is asked; options as until(). */
  until(condition, { timeoutMs = PATIENCE_MS, ...options } = {}) {
    const asked = () => {
      this.progress.read()
      this.#alive()
      return condition()
    }
    return until(asked, { timeoutMs, ...options })
  }

  /** Who is there now. */
  get #here() {
    return [...this.producers, ...this.consumers]
  }

  /** Whoever has been there. */
  get #all() {
    return [...this.#here, ...this.#left]
  }

  /** Nobody has ended whom nobody has ended. */
  #alive() {
    const dead = this.#here.find(({ end, isMeantToEnd }) => end && !isMeantToEnd)
    if (dead) throw new Error(`A ${dead.part.role} has ended (${dead.end.code ?? dead.end.signal}): ${dead.errors}`)
  }

  /** So much of the faulty phase is over: 0 to 1. */
  get elapsed() {
    this.#began ??= performance.now()
    return (performance.now() - this.#began) / (1_000 * this.seconds)
  }

  /** Waits for the end of the faulty phase. */
  over() {
    return this.until(() => this.elapsed >= 1, { intervalMs: 100, timeoutMs: 1_000 * this.seconds + PATIENCE_MS })
  }

  /** Waits for that time; nothing else may be meant by it. @param {number} ms */
  lasts(ms) {
    return delay(ms)
  }

  /** Something that has to be so. @param {string} name  @param {string} value  @param {string} wanted */
  note(name, value, wanted) {
    this.figures[name] = value
    if (value !== wanted) this.problems.push(`${name}: ${value} instead of ${wanted}`)
  }

  /** A figure, and what it has to be. @param {string} name  @param {number} value  @param {Bound} [bound] */
  figure(name, value, { atMost = Infinity, atLeast = -Infinity } = {}) {
    this.figures[name] = Math.round(value * 100) / 100
    // Nobody else has promised it.
    if (this.client !== 'ours') return
    if (!(value <= atMost)) this.problems.push(`${name} is ${value}, where at most ${atMost} is allowed`)
    if (!(value >= atLeast)) this.problems.push(`${name} is ${value}, where at least ${atLeast} is due`)
  }

  /** A figure that is a time, which busy machines make longer. @param {string} name  @param {number} ms  @param {number} atMost */
  time(name, ms, atMost) {
    this.figure(`${name}, ms`, ms, { atMost: atMost * this.patience })
  }

  /** What participants have told of this event, all together. @param {string} event */
  told(event) {
    return this.#all.flatMap(({ lines }) => lines.filter((line) => line.event === event))
  }

  /** All that participants have written to their outputs. */
  get output() {
    return this.#all.map(({ lines, errors }) => `${JSON.stringify(lines)}${errors}`).join('\n')
  }

  /** Something to be closed with the world. @template {{ close(): unknown }} T @param {T} other @returns {T} */
  add(other) {
    this.#endings.push(() => other.close())
    return other
  }

  /** The participant is no more; what it has told counts. @param {Participant} participant */
  leaves(participant) {
    participant.isMeantToEnd = true
    for (const list of [this.producers, this.consumers]) {
      const at = list.indexOf(participant)
      if (at >= 0) this.#left.push(...list.splice(at, 1))
    }
  }

  /** Has a participant leave in peace. @param {Participant} participant */
  async close(participant) {
    this.leaves(participant)
    participant.do('close')
    await participant.said('closed')
    await until(() => participant.end, { timeoutMs: PATIENCE_MS, what: 'a process to end by itself' })
  }

  /** The load ends, everything that is stored is handled and committed, and everybody leaves. */
  async drain() {
    for (const producer of this.producers) producer.do('stop')
    await Promise.all(this.producers.map((producer) => producer.said('stopped', { timeoutMs: PATIENCE_MS })))
    await this.#committed()
    await Promise.all(this.#here.map((participant) => this.close(participant)))
  }

  async #committed() {
    const queues = await this.admin.queues(this.topic)
    let waiting = []
    const isCommitted = async (queue) => {
      const [end, committed] = await Promise.all([
        this.admin.maxOffset(this.topic, queue),
        this.admin.committedOffset(this.group, this.topic, queue),
      ])
      return end === 0 || committed === end ? [] : [`${queue.brokerName}:${queue.queueId} at ${committed} of ${end}`]
    }
    const done = async () => {
      waiting = (await Promise.all(queues.map(isCommitted))).flat()
      return waiting.length === 0
    }
    await this.until(done, { intervalMs: 100, what: () => `commits of ${waiting.join(', ')}` })
  }

  /** Nobody goes on: something has gone wrong, and what there is is looked at. */
  async halt() {
    await Promise.all(this.#here.map((participant) => participant.kill9()))
  }

  /** What the checker says of it all, with what brokers hold. @param {import('../../src/js/testing/history.js').CheckOptions} [options] */
  async judge(options = {}) {
    await this.history.look(this.admin, this.topic, this.group, this.counts)
    this.progress.read()
    const verdict = await this.history.verdict({ drained: true, ...options })
    this.problems.push(...verdict.odd.told)
    this.#isJudged = Object.keys(verdict.broken).length === 0
    return verdict
  }

  /** Ends what still runs. The history stays where something is wrong with it. */
  end() {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async #end() {
    await Promise.all(this.#all.map((participant) => participant.kill9()))
    await Promise.all(this.#endings.map((end) => end()))
    await this.#proxies?.close()
    await this.admin.close()
    if (this.#isJudged && this.problems.length === 0) this.history.remove()
    else this.kept = this.history.file
  }
}

module.exports = { World }
