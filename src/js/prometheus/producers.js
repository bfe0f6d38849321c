'use strict'
// The metrics of producers.

const { Counter, Gauge, Histogram } = require('./metrics.js')

/**
 * @typedef {import('./metrics').Labels} Labels
 * @typedef {import('../../../index').Producer} Producer
 * @typedef {import('../../../index').ProducerStats} ProducerStats
 * @typedef {import('../../../index').SendTrace} SendTrace
 */

/** What a producer counts by itself: asked for on each scrape, and kept when it is gone. */
class Counted extends Counter {
  #read
  #sources

  /**
   * @param {string} name
   * @param {string} help
   * @param {Map<Producer, Labels>} sources
   * @param {(stats: ProducerStats) => number} read
   */
  constructor(name, help, sources, read) {
    super(name, help)
    this.#sources = sources
    this.#read = read
  }

  /**
   * @param {Producer} client that is about to go
   * @param {Labels} labels
   */
  keep(client, labels) {
    this.add(labels, this.#read(client.stats()))
  }

  values() {
    const all = new Counter('', '')
    for (const { labels, value } of super.values()) all.add(labels, value)
    for (const [client, labels] of this.#sources) all.add(labels, this.#read(client.stats()))
    return all.values()
  }
}

class ProducerMetrics {
  /** @type {Map<Producer, Labels>} */
  #sources = new Map()

  sent = new Counter('producer_sent_messages', 'Messages that were sent, by what has become of them.')
  orderBroken = new Counter(
    'producer_order_broken_messages',
    'Messages not sent, as an earlier one of their key failed.',
  )
  duration = new Histogram('producer_send_duration_seconds', 'How long sends took, from the call to the outcome.')
  #counted = [
    new Counted('producer_requests', 'Send requests written.', this.#sources, ({ requests }) => requests),
    new Counted('producer_retries', 'Send requests written again.', this.#sources, ({ retries }) => retries),
  ]

  /** All of them, as a registry takes them. @type {import('./metrics').Metric[]} */
  all = [
    this.sent,
    this.orderBroken,
    this.duration,
    ...this.#counted,
    this.#gauge('producer_pending_messages', 'Messages held: waiting, or not yet answered.', 'pendingMessages'),
    this.#gauge('producer_pending_bytes', 'Their bodies and properties, in bytes.', 'pendingBytes'),
    this.#gauge('producer_waiting_messages', 'Messages above the high-water mark.', 'waiting'),
  ]

  /**
   * @param {Producer} client
   * @param {Labels} labels
   * @returns {() => void} what ends it
   */
  add(client, labels) {
    this.#sources.set(client, labels)
    return () => {
      for (const counter of this.#counted) counter.keep(client, labels)
      this.#sources.delete(client)
    }
  }

  /**
   * A send is over.
   * @param {Labels} labels
   * @param {SendTrace} trace
   * @param {number | undefined} seconds
   */
  ended(labels, trace, seconds) {
    const { messages, outcome, error } = trace
    const count = messages?.length ?? 1
    this.sent.add({ ...labels, outcome: outcome === 'not-stored' ? 'not_stored' : (outcome ?? 'unknown') }, count)
    if (/** @type {any} */ (error)?.code === 'ERR_ROCKETMQ_ORDER_BROKEN') this.orderBroken.add(labels, count)
    if (seconds !== undefined) this.duration.observe(labels, seconds)
  }

  /**
   * @param {string} name
   * @param {string} help
   * @param {keyof ProducerStats} field
   */
  #gauge(name, help, field) {
    return new Gauge(name, help, () => [...this.#sources].map(([client, labels]) => [labels, client.stats()[field]]))
  }
}

module.exports = { ProducerMetrics }
