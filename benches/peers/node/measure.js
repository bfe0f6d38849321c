'use strict'
// What the clocks say of a round: its time, the CPU time of the whole process, and how late the event loop was meanwhile.

const { monitorEventLoopDelay, performance } = require('node:perf_hooks')

const TICK_MS = 10

class Measure {
  #delay = monitorEventLoopDelay({ resolution: 1 })
  #late = []
  #ticking
  #cpu
  #began

  /** Begins when the clocks run: what blocks the loop right behind it is seen. */
  static async begin() {
    const measure = new Measure()
    // The monitor has to tick once before it can see that a tick is late.
    await new Promise((resolve) => setTimeout(resolve, 2 * TICK_MS))
    return measure.mark()
  }

  constructor() {
    let due = performance.now() + TICK_MS
    this.#ticking = setInterval(() => {
      const now = performance.now()
      this.#late.push(Math.max(0, now - due))
      due = now + TICK_MS
    }, TICK_MS)
    this.#delay.enable()
    this.restart()
  }

  /** Forgets what was before. */
  restart() {
    this.#delay.reset()
    this.#late.length = 0
    return this.mark()
  }

  /** Begins the time and the CPU time. */
  mark() {
    this.#cpu = process.cpuUsage()
    this.#began = performance.now()
    return this
  }

  /** Milliseconds since the beginning. */
  elapsed() {
    return performance.now() - this.#began
  }

  /** The figures that every round has. */
  stop(messages) {
    const ms = this.elapsed()
    const { user, system } = process.cpuUsage(this.#cpu)
    this.#delay.disable()
    clearInterval(this.#ticking)
    // The monitor itself sleeps for a millisecond.
    const delay = (percentile) => Math.max(0, this.#delay.percentile(percentile) / 1e6 - 1)
    return {
      messages,
      perSecond: (1_000 * messages) / ms,
      cpuMicros: (user + system) / messages,
      delayP50: delay(50),
      delayP99: delay(99),
      delayMax: delay(100),
      timerP99: percentiles(this.#late, 1).p99,
      rssMiB: process.memoryUsage.rss() / 2 ** 20,
    }
  }
}

/** Of a list of numbers, which is sorted by it. */
function percentiles(values, factor) {
  values.sort((a, b) => a - b)
  const at = (part) => (values[Math.floor(part * values.length)] ?? 0) * factor
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

/** Latencies in milliseconds, as the figures of a round. */
function latencies(values) {
  const { p50, p99, p999 } = percentiles(values, 1_000)
  return { p50Micros: p50, p99Micros: p99, p999Micros: p999 }
}

module.exports = { Measure, latencies }
