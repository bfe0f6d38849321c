'use strict'
// W9: how long the messages of a member wait for another one: it leaves in peace, it is killed, the broker is started again.

const { setTimeout: sleep } = require('node:timers/promises')
const { performance } = require('node:perf_hooks')
const { Producer } = require('..')

/** The peers that hold queues for themselves, or say that they do. */
const PEERS = ['ours', 'java', 'go', 'ali-ons']
const TITLE = 'a member of two leaves, is killed, and the broker is started again: until the next handler begins'
const FIGURES = ['leaveMs', 'crashMs', 'restartMs']
const QUEUES = 8
const KEYS = 64
const FEED_MS = 20
/** The broker keeps a killed member's locks for a minute, and members look now and then. */
const PATIENCE_MS = 150_000

/** Messages of all keys in turn into a topic, until it is closed. */
class Feed {
  #producer
  #timer
  #sent = 0

  async start(nameServer, topic) {
    // Sends that wait while the broker is away would come in one heap.
    this.#producer = await new Producer({ groupId: 'GID_feed', nameServer, sendTimeoutMs: 3_000 }).start()
    this.#producer.on('warning', () => {}) // the broker goes away, as it should
    this.#timer = setInterval(() => this.#send(topic), FEED_MS)
    return this
  }

  #send(topic) {
    const key = this.#sent++ % KEYS
    const body = String(key * 1e8 + this.#sent).padStart(12, '0')
    this.#producer.sendOrderly({ topic, body }, `key-${key}`).catch(() => {})
  }

  async close() {
    clearInterval(this.#timer)
    await this.#producer.close()
  }
}

/** A member, and what it has handled. */
class Member {
  handled = new Set()
  #process
  #told

  constructor(bench, peer) {
    this.#process = bench.process(peer)
    this.#process.onLine = ({ handled }) => {
      this.handled.add(handled)
      this.#told?.()
    }
  }

  async join(given) {
    await this.#process.ask({ ...given, workload: 'join' })
    return this
  }

  /** Waits until `condition` holds, which is looked at with each message. */
  async until(condition, what) {
    const deadline = AbortSignal.timeout(PATIENCE_MS)
    while (!condition()) {
      if (deadline.aborted) throw new Error(`waited ${PATIENCE_MS / 1_000} s in vain for ${what}`)
      await Promise.race([new Promise((resolve) => (this.#told = resolve)), sleep(1_000)])
    }
  }

  leave() {
    return this.#process.ask({ workload: 'leave' })
  }

  kill() {
    return this.#process.kill()
  }
}

/** Until `next` handles a key that only `before` had. */
async function handedOver(before, next, end) {
  const waiting = [...before.handled].filter((key) => !next.handled.has(key))
  const began = performance.now()
  const ending = end()
  await next.until(() => waiting.some((key) => next.handled.has(key)), 'the next handler')
  const ms = performance.now() - began
  await ending
  return ms
}

/** Waits until every key is handled, and by one of them only: a queue that moves meanwhile is handled by both. */
async function shared(first, second) {
  await second.until(() => second.handled.size > 0, 'a second member’s first message')
  do {
    first.handled.clear()
    second.handled.clear()
    await second.until(() => new Set([...first.handled, ...second.handled]).size === KEYS, 'the messages of all keys')
  } while ([...first.handled].some((key) => second.handled.has(key)))
}

async function measure(bench, peer, restarted) {
  const topic = await bench.createTopic(`bench-hand-over-${peer}`, QUEUES)
  const given = { ...bench.at, topic, group: `GID-hand-over-${peer}` }
  const feed = await new Feed().start(bench.at.nameServer, topic)
  const members = []
  const member = async () => {
    members.push(new Member(bench, peer))
    return members.at(-1).join(given)
  }
  try {
    const first = await member()
    await first.until(() => first.handled.size > 0, 'the first message')
    const second = await member()
    await shared(first, second)
    const leaveMs = await handedOver(first, second, () => first.leave())
    const third = await member()
    await shared(second, third)
    const crashMs = await handedOver(second, third, () => second.kill())
    await restarted(() => third.handled.clear())
    const began = performance.now()
    await third.until(() => third.handled.size > 0, 'a message after the broker’s restart')
    return { leaveMs, crashMs, restartMs: performance.now() - began }
  } finally {
    await Promise.all(members.map((it) => it.kill()))
    await feed.close()
  }
}

/**
 * All peers at once, as most of it is waiting; once, as it takes minutes.
 * @param {import('./bench').Bench} bench @param {string[]} peers
 */
async function handOver(bench, peers) {
  const taking = PEERS.filter((peer) => peers.includes(peer))
  const rows = {}
  let waiting = 0
  let restart
  const restarting = new Promise((resolve) => (restart = resolve))
  const arrived = () => {
    if (--waiting === 0) restart(bench.cluster.brokers[0].restart())
  }
  const able = taking.filter((peer) => !bench.reason(peer))
  for (const peer of taking) if (bench.reason(peer)) rows[peer] = { cannot: bench.reason(peer) }
  waiting = able.length
  await Promise.all(
    able.map(async (peer) => {
      let isHere = false
      const restarted = async (before) => {
        isHere = true
        before()
        arrived()
        await restarting
        before()
      }
      try {
        rows[peer] = { rounds: [await measure(bench, peer, restarted)] }
      } catch (error) {
        rows[peer] = { cannot: `fails: ${error.message.split('\n')[0]}` }
        if (!isHere) arrived()
      }
    }),
  )
  return rows
}

module.exports = { FIGURES, TITLE, handOver }
