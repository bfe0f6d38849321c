'use strict'
// What the kernel says of a process, mostly this one: its memory, threads and descriptors, and how long its main thread works in one turn of the event loop.

const fs = require('node:fs')
const { PerformanceObserver } = require('node:perf_hooks')

const MIB = 2 ** 20
/** So long a timer of a millisecond waits for its time at most: the loop's clock is in milliseconds. */
const TIMER_MS = 2
/** How finely turns are told apart, and up to how long. */
const STEP_MS = 0.1
const STEPS = 10_000
/** Turns of which it may be unknown yet what they were. */
const LATEST = 1_000

/** Threads and descriptors. */
function handles() {
  const count = (what) => fs.readdirSync(`/proc/self/${what}`).length
  return { threads: count('task'), descriptors: count('fd') }
}

/** What has come to these since, as figures. @param {ReturnType<typeof handles>} before  @param {ReturnType<typeof handles>} after */
function newHandles(before, after) {
  return { newThreads: after.threads - before.threads, newDescriptors: after.descriptors - before.descriptors }
}

/** A line of a process's status, which is in KiB, in MiB. */
function statusMiB(name, pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)[1]) / 1024
}

/** Resident memory of a process, in MiB. @param {number} pid */
function rssMiB(pid) {
  return statusMiB('VmRSS', pid)
}

/** The most that was resident at one time, in MiB; of this process unless it is said otherwise. @param {number | 'self'} [pid] */
function peakRssMiB(pid = 'self') {
  return statusMiB('VmHWM', pid)
}

/** Resident memory of this process, after a collection where it has --expose-gc, in MiB. */
function collectedRssMiB() {
  globalThis.gc?.()
  return process.memoryUsage.rss() / MIB
}

/** Nanoseconds that this process's main thread has run, whoever else wants its core. */
function mainThreadNanos() {
  return Number(fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ', 1)[0])
}

/**
 * How long the main thread works before a timer that is due gets its turn: in CPU time, which busy neighbours do not change, and without the
 * turns in which V8 collects garbage. It takes no more memory the longer it lasts.
 */
class Turns {
  /** The latest turns: of them it may be unknown yet whether there was a collection. @type {{ began: number, ended: number, work: number }[]} */
  #turns = []
  /** @type {{ startTime: number, duration: number }[]} */
  #collections = []
  #observer = new PerformanceObserver((list) => this.#collections.push(...list.getEntries()))
  #counts = new Uint32Array(STEPS + 1)
  #isOver = false

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] })
    let [began, before] = [performance.now(), mainThreadNanos()]
    const tick = () => {
      const [ended, now] = [performance.now(), mainThreadNanos()]
      this.#turns.push({ began, ended, work: (now - before) / 1e6 })
      ;[began, before] = [ended, now]
      if (this.#turns.length === 2 * LATEST) this.#count(LATEST)
      if (!this.#isOver) setTimeout(tick, 1)
    }
    setTimeout(tick, 1)
  }

  /** In milliseconds: { turnP99, turnMax }. */
  async stop() {
    this.#isOver = true
    // Observers hear of collections in a turn of their own.
    await new Promise((resolve) => setTimeout(resolve, 20))
    this.#observer.disconnect()
    this.#count(this.#turns.length)
    return { turnP99: this.#at(0.99), turnMax: this.#at(1) }
  }

  /** Counts the first ones of the turns; these and the collections are in the order of time. */
  #count(turns) {
    for (const { began, ended, work } of this.#turns.splice(0, turns)) {
      while (this.#collections.length > 0 && endOf(this.#collections[0]) < began) this.#collections.shift()
      if (this.#collections[0]?.startTime <= ended) continue
      this.#counts[Math.min(STEPS, Math.max(0, Math.ceil((work - TIMER_MS) / STEP_MS)))]++
    }
  }

  /** So long at most this part of the turns was. */
  #at(part) {
    let left = part * this.#counts.reduce((sum, count) => sum + count, 0)
    return STEP_MS * this.#counts.findIndex((count) => (left -= count) <= 0)
  }
}

function endOf({ startTime, duration }) {
  return startTime + duration
}

/** Samples of memory over a run: whether there is an end to its growth. */
class Memory {
  #samples = []

  sample() {
    this.#samples.push(collectedRssMiB())
  }

  /** Of the second half against the first one: { rssMiB, growthMiB, peakRssMiB }. */
  figures() {
    const middle = Math.ceil(this.#samples.length / 2)
    const most = (samples) => Math.max(...samples)
    const [first, second] = [most(this.#samples.slice(0, middle)), most(this.#samples.slice(middle))]
    return { rssMiB: this.#samples.at(-1), growthMiB: second - first, peakRssMiB: peakRssMiB() }
  }
}

module.exports = { collectedRssMiB, handles, Memory, newHandles, peakRssMiB, rssMiB, Turns }
