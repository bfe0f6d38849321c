'use strict'
// The metrics of consumers.

const { wall } = require('../clock.js')
const { Counter, Gauge, Histogram } = require('./metrics.js')

/**
 * @typedef {import('./metrics').Labels} Labels
 * @typedef {import('../../../index').ProcessTrace} ProcessTrace
 * @typedef {import('../../../index').PushConsumer} PushConsumer
 * @typedef {import('../../../index').QueueState} QueueState
 * @typedef {Map<PushConsumer, Labels>} Sources
 */

/** What a queue waits for, by its state. @type {Partial<Record<QueueState['state'], string>>} */
const REASONS = { suspended: 'undecodable', locking: 'lock', positioning: 'position', paused: 'paused' }

/**
 * Why nothing is handled of a queue, and since when.
 * @param {QueueState} queue
 */
function blockOf({ state, since, blockedBy }) {
  if (blockedBy !== undefined) return { reason: 'handler', since: blockedBy.since }
  const reason = REASONS[state]
  return reason === undefined ? undefined : { reason, since }
}

/** @param {number} since */
const secondsSince = (since) => Math.max(0, (wall() - since) / 1000)

/**
 * How old the next message of a queue is: nothing where that is not known yet.
 * @param {QueueState} queue
 */
function ageOf({ lag, nextStoredAt }) {
  if (nextStoredAt !== undefined) return secondsSince(nextStoredAt)
  return lag === 0 ? 0 : undefined
}

/** @param {ProcessTrace} trace */
function outcomeOf({ outcome }) {
  if (outcome === 'CONSUME_SUCCESS') return 'success'
  if (outcome === undefined) return 'left'
  if (typeof outcome !== 'object') return 'later'
  return 'suspendMs' in outcome ? 'suspend' : 'dead_letter'
}

class ConsumerMetrics {
  /** @type {Sources} */
  #sources = new Map()

  consumed = new Counter('consumer_consumed_messages', 'Handler calls that have ended, by what the handler has said.')
  redelivered = new Counter('consumer_redelivered_messages', 'Handler calls for messages that a handler had failed on.')
  suspended = new Counter('consumer_suspended_messages', 'Failures of handlers after which the message comes again.')
  deadLettered = new Counter('consumer_dead_lettered_messages', 'Messages handed over to the dead-letter queue.')
  locksLost = new Counter('consumer_locks_lost', 'Queues whose lock was lost while they were owned.')
  duration = new Histogram('consumer_process_duration_seconds', 'How long handlers ran.')

  /** All of them, as a registry takes them. */
  all = [
    this.consumed,
    this.redelivered,
    this.suspended,
    this.deadLettered,
    this.locksLost,
    this.duration,
    this.#ofQueues('consumer_lag_messages', 'Messages stored and not committed.', ({ lag }) => lag),
    this.#ofQueues('consumer_lag_seconds', 'Age of the oldest message that is not handled.', ageOf, 'max'),
    this.#ofQueues('consumer_running_handlers', 'Handlers that run.', ({ inFlight }) => inFlight),
    this.#ofQueues(
      'consumer_running_handler_seconds',
      'For how long the handler runs that runs longest.',
      ({ runningSince }) => (runningSince === undefined ? 0 : secondsSince(runningSince)),
      'max',
    ),
    this.#ofQueues(
      'consumer_blocked_keys',
      'Sharding keys that a failing handler blocks.',
      (queue) => queue.blockedKeys,
    ),
    this.#gauge('consumer_queues', 'Queues owned, or on their way in or out, by their state.', ({ topic, state }) => [
      { topic, state },
      1,
    ]),
    this.#gauge('consumer_blocked_queues', 'Queues of which nothing is handled, by the reason.', (queue) => {
      const block = blockOf(queue)
      return block && [{ topic: queue.topic, reason: block.reason }, 1]
    }),
    this.#gauge(
      'consumer_blocked_seconds',
      'For how long the queue waits that waits longest, by the reason.',
      (queue) => {
        const block = blockOf(queue)
        return block && [{ topic: queue.topic, reason: block.reason }, secondsSince(block.since)]
      },
      'max',
    ),
    this.#ofStats('consumer_buffered_messages', 'Messages fetched and not yet handled.', ({ buffered }) => buffered),
    this.#ofStats('consumer_buffered_bytes', 'Their bytes.', ({ bufferedBytes }) => bufferedBytes),
  ]

  /**
   * @param {PushConsumer} client
   * @param {Labels} labels
   * @returns {() => void} what ends it
   */
  add(client, labels) {
    this.#sources.set(client, labels)
    const lockLost = (/** @type {{ topic: string }} */ { topic }) => this.locksLost.add({ ...labels, topic })
    client.on('lockLost', lockLost)
    return () => {
      client.off('lockLost', lockLost)
      this.#sources.delete(client)
    }
  }

  /**
   * A handler call has ended.
   * @param {Labels} labels
   * @param {ProcessTrace} trace
   * @param {number | undefined} seconds
   */
  processed(labels, trace, seconds) {
    const { messages, attempt } = trace
    const count = messages?.length ?? 1
    this.consumed.add({ ...labels, outcome: outcomeOf(trace) }, count)
    if (attempt > 1) this.redelivered.add(labels, count)
    if (seconds !== undefined) this.duration.observe(labels, seconds)
  }

  /**
   * One value for each queue that has it.
   * @param {string} name
   * @param {string} help
   * @param {(queue: QueueState) => [Labels, number | undefined] | undefined} read
   * @param {'sum' | 'max'} [aggregator]
   */
  #gauge(name, help, read, aggregator) {
    const readAll = () =>
      [...this.#sources].flatMap(([client, labels]) =>
        client.assignment().flatMap((queue) => {
          const found = read(queue)
          return found === undefined
            ? []
            : [/** @type {[Labels, number | undefined]} */ ([{ ...labels, ...found[0] }, found[1]])]
        }),
      )
    return new Gauge(name, help, readAll, aggregator)
  }

  /**
   * @param {string} name
   * @param {string} help
   * @param {(queue: QueueState) => number | undefined} read
   * @param {'sum' | 'max'} [aggregator]
   */
  #ofQueues(name, help, read, aggregator) {
    return this.#gauge(name, help, (queue) => [{ topic: queue.topic }, read(queue)], aggregator)
  }

  /**
   * @param {string} name
   * @param {string} help
   * @param {(stats: import('../../../index').ConsumerStats) => number} read
   */
  #ofStats(name, help, read) {
    return new Gauge(name, help, () => [...this.#sources].map(([client, labels]) => [labels, read(client.stats())]))
  }
}

module.exports = { ConsumerMetrics }
