'use strict'
// Metrics as a registry of prom-client takes them: objects that tell their values when it asks. So that package is the user's, and no dependency.

/** @typedef {Record<string, string | number>} Labels */

/** Upper bounds of durations, in seconds. */
const BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * Values by their labels.
 * @template V
 */
class Series {
  /** @type {Map<string, { labels: Labels, value: V }>} */
  #entries = new Map()

  /**
   * @param {Labels} labels
   * @param {() => V} make its first value
   */
  entry(labels, make) {
    const name = JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      entry = { labels, value: make() }
      this.#entries.set(name, entry)
    }
    return entry
  }

  all() {
    return [...this.#entries.values()]
  }

  clear() {
    this.#entries.clear()
  }
}

/** What all have in common; `aggregator` is how prom-client joins those of several workers. */
class Metric {
  /**
   * @param {string} name
   * @param {string} help
   * @param {'counter' | 'gauge' | 'histogram'} type
   * @param {'sum' | 'max'} aggregator
   */
  constructor(name, help, type, aggregator = 'sum') {
    this.name = `rocketmq_orderly_${name}`
    this.help = help
    this.type = type
    this.aggregator = aggregator
  }

  /**
   * @returns {{ labels: Labels, value: number, metricName?: string }[]}
   */
  values() {
    return []
  }

  /** What a registry calls. */
  get() {
    const { name, help, type, aggregator } = this
    return { name, help, type, aggregator, values: this.values() }
  }

  /** What `registry.resetMetrics()` calls. */
  reset() {}
}

/** What only grows. It outlives the clients that it counts for, as another one may have the same labels. */
class Counter extends Metric {
  /** @type {Series<number>} */
  #series = new Series()

  /**
   * @param {string} name without the `_total` at its end
   * @param {string} help
   */
  constructor(name, help) {
    super(`${name}_total`, help, 'counter')
  }

  /**
   * @param {Labels} labels
   * @param {number} [by]
   */
  add(labels, by = 1) {
    this.#series.entry(labels, () => 0).value += by
  }

  values() {
    return this.#series.all().map(({ labels, value }) => ({ labels, value }))
  }

  reset() {
    this.#series.clear()
  }
}

/** What is so at the moment, asked for on each scrape: of equal labels the sum, or the largest. */
class Gauge extends Metric {
  /** @type {() => [Labels, number | undefined][]} */
  #read

  /**
   * @param {string} name
   * @param {string} help
   * @param {() => [Labels, number | undefined][]} read
   * @param {'sum' | 'max'} [aggregator]
   */
  constructor(name, help, read, aggregator = 'sum') {
    super(name, help, 'gauge', aggregator)
    this.#read = read
  }

  values() {
    /** @type {Series<number>} */
    const series = new Series()
    for (const [labels, value] of this.#read()) {
      if (value === undefined) continue
      const entry = series.entry(labels, () => 0)
      entry.value = this.aggregator === 'max' ? Math.max(entry.value, value) : entry.value + value
    }
    return series.all()
  }
}

/** Durations. */
class Histogram extends Metric {
  /** @type {Series<{ counts: number[], sum: number, count: number }>} */
  #series = new Series()

  /**
   * @param {string} name
   * @param {string} help
   */
  constructor(name, help) {
    super(name, help, 'histogram')
  }

  /**
   * @param {Labels} labels
   * @param {number} seconds
   */
  observe(labels, seconds) {
    const { value } = this.#series.entry(labels, () => ({ counts: BUCKETS.map(() => 0), sum: 0, count: 0 }))
    value.sum += seconds
    value.count++
    const bucket = BUCKETS.findIndex((bound) => seconds <= bound)
    if (bucket >= 0) value.counts[bucket]++
  }

  values() {
    const { name } = this
    return this.#series.all().flatMap(({ labels, value: { counts, sum, count } }) => {
      let below = 0
      const buckets = BUCKETS.map((le, i) => bucket(name, { le, ...labels }, (below += counts[i])))
      return [
        ...buckets,
        bucket(name, { le: '+Inf', ...labels }, count),
        { labels, value: sum, metricName: `${name}_sum` },
        { labels, value: count, metricName: `${name}_count` },
      ]
    })
  }

  reset() {
    this.#series.clear()
  }
}

/**
 * @param {string} name
 * @param {Labels} labels
 * @param {number} value
 */
function bucket(name, labels, value) {
  return { labels, value, metricName: `${name}_bucket` }
}

module.exports = { Counter, Gauge, Histogram, Metric }
