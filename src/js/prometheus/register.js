'use strict'
// `register`: the metrics of clients in a registry of prom-client. What has happened is counted by the channels; what is so is asked for on each scrape.

const { channel, tracingChannel } = require('node:diagnostics_channel')
const { CHANNELS } = require('../channels.js')
const check = require('../check.js')
const { Client } = require('../client/client.js')
const { now } = require('../clock.js')
const { PushConsumer } = require('../consumer/consumer.js')
const { invalid } = require('../errors.js')
const { ConsumerMetrics } = require('./consumers.js')
const { Gauge } = require('./metrics.js')
const { ProducerMetrics } = require('./producers.js')

/**
 * @typedef {import('./metrics').Labels} Labels
 * @typedef {import('../../../index').Producer} Producer
 * @typedef {import('../../../index').PushConsumer} Consumer
 * @typedef {import('../../../prometheus').MetricRegistry} MetricRegistry
 */

/** Labels of ours. */
const OWN_LABELS = ['group', 'topic', 'outcome', 'reason', 'state', 'code', 'le']
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/

/** The metrics of a registry, and the clients whose they are. */
class Collector {
  /** @type {Map<Producer | Consumer, Labels>} */
  #labels = new Map()
  #consumers = new ConsumerMetrics()
  #producers = new ProducerMetrics()
  #problems = new Gauge('client_problems', 'Problems that health() tells, by their code.', () => this.#allProblems())
  /** When operations began. @type {WeakMap<object, number>} */
  #began = new WeakMap()

  #sends = this.#subscriber((labels, trace, seconds) => this.#producers.ended(labels, trace, seconds))
  #calls = this.#subscriber((labels, trace, seconds) => this.#consumers.processed(labels, trace, seconds))
  #suspended = this.#listener((labels) => this.#consumers.suspended.add(labels))
  #deadLettered = this.#listener((labels) => this.#consumers.deadLettered.add(labels))

  /** By the names that they had in the beginning: prom-client itself changes those of counters when it tells them as OpenMetrics. */
  #metrics = [...this.#consumers.all, ...this.#producers.all, this.#problems].map((metric) => ({
    name: metric.name,
    metric,
  }))

  /** @param {MetricRegistry} registry */
  enter(registry) {
    for (const { name, metric } of this.#metrics) {
      if (registry.getSingleMetric(name) !== metric) registry.registerMetric(metric)
    }
  }

  /**
   * @param {Producer | Consumer} client
   * @param {Labels} labels
   * @returns {() => void}
   */
  add(client, labels) {
    if (this.#labels.has(client)) throw invalid('client', 'is in this registry already')
    if (this.#labels.size === 0) this.#listen()
    this.#labels.set(client, labels)
    const emitter = /** @type {import('node:events').EventEmitter} */ (/** @type {unknown} */ (client))
    const kind = client instanceof PushConsumer ? this.#consumers : this.#producers
    const end = kind.add(/** @type {any} */ (client), labels)
    const remove = () => {
      if (!this.#labels.delete(client)) return
      emitter.off('close', remove)
      end()
      if (this.#labels.size === 0) this.#listen('unsubscribe')
    }
    emitter.once('close', remove)
    return remove
  }

  /** @param {'subscribe' | 'unsubscribe'} [how] */
  #listen(how = 'subscribe') {
    tracingChannel(CHANNELS.send)[how](/** @type {any} */ (this.#sends))
    tracingChannel(CHANNELS.process)[how](/** @type {any} */ (this.#calls))
    channel(CHANNELS.suspended)[how](this.#suspended)
    channel(CHANNELS.deadLetter)[how](this.#deadLettered)
  }

  /**
   * @param {any} trace
   * @returns {Labels | undefined} of the client's metrics, if it is one of ours
   */
  #labelsOf({ client, topic }) {
    const labels = this.#labels.get(client)
    return labels && { ...labels, topic }
  }

  /** @param {(labels: Labels, trace: any, seconds: number | undefined) => void} over */
  #subscriber(over) {
    return {
      start: (/** @type {any} */ trace) => {
        if (this.#labels.has(trace.client)) this.#began.set(trace, now())
      },
      asyncEnd: (/** @type {any} */ trace) => {
        const labels = this.#labelsOf(trace)
        if (labels === undefined) return
        const began = this.#began.get(trace)
        over(labels, trace, began === undefined ? undefined : (now() - began) / 1000)
      },
    }
  }

  /** @param {(labels: Labels) => void} hear */
  #listener(hear) {
    return (/** @type {unknown} */ message) => {
      const labels = this.#labelsOf(message)
      if (labels !== undefined) hear(labels)
    }
  }

  /** @returns {[Labels, number][]} */
  #allProblems() {
    return [...this.#labels].flatMap(([client, labels]) =>
      client.health().problems.map(({ code }) => /** @type {[Labels, number]} */ ([{ ...labels, code }, 1])),
    )
  }
}

/** By their registry. @type {WeakMap<MetricRegistry, Collector>} */
const collectors = new WeakMap()

/** @param {any} registry */
function checkedRegistry(registry) {
  const isOne = typeof registry?.registerMetric === 'function' && typeof registry.getSingleMetric === 'function'
  if (!isOne) throw invalid('registry', `must be a Registry of prom-client, not ${check.describe(registry)}`)
  return /** @type {MetricRegistry} */ (registry)
}

/**
 * @param {unknown} given
 * @returns {Labels}
 */
function checkedLabels(given = {}) {
  const labels = /** @type {Record<string, unknown>} */ (given)
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) {
    throw invalid('labels', `must be an object, not ${check.describe(labels)}`)
  }
  for (const [name, value] of Object.entries(labels)) {
    if (!LABEL.test(name)) throw invalid(`labels.${name}`, 'is no name of a label')
    if (OWN_LABELS.includes(name)) throw invalid(`labels.${name}`, 'is a label of this package’s own')
    if (typeof value !== 'string') throw invalid(`labels.${name}`, `must be a string, not ${check.describe(value)}`)
  }
  return /** @type {Labels} */ ({ ...labels })
}

/**
 * @param {any} client
 * @param {{ registry: MetricRegistry, labels?: Record<string, string> | undefined }} options
 * @returns {() => void}
 */
function register(client, options) {
  if (!(client instanceof Client)) {
    throw invalid('client', `must be a Producer or a PushConsumer, not ${check.describe(client)}`)
  }
  const given = check.record('options', options, ['registry', 'labels'])
  const registry = checkedRegistry(given.registry)
  const labels = { ...checkedLabels(given.labels), group: client.groupId }
  const collector = collectors.get(registry) ?? new Collector()
  collector.enter(registry)
  collectors.set(registry, collector)
  return collector.add(/** @type {any} */ (client), labels)
}

module.exports = { register }
