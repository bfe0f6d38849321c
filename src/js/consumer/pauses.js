'use strict'
// What a program has paused: everything, topics, queues. It says so to native, which starts no handler of those.

const check = require('../check.js')
const { RocketMQError, invalid } = require('../errors.js')

/**
 * @typedef {import('../native-surface').NativeConsumer} NativeConsumer
 * @typedef {import('../../../index').MessageQueue} MessageQueue
 */

class Pauses {
  #everything = false
  /** @type {Set<string>} */
  #topics = new Set()
  /** By name. @type {Map<string, MessageQueue>} */
  #queues = new Map()

  /** @param {NativeConsumer} native */
  tell(native) {
    const queues = [...this.#queues.values()]
    native.pause(
      this.#everything,
      [...this.#topics],
      queues.map(({ topic }) => topic),
      queues.map(({ brokerName }) => brokerName),
      queues.map(({ queueId }) => queueId),
    )
  }

  /** @param {string | MessageQueue} [target] that has been checked */
  pause(target) {
    if (target === undefined) this.#everything = true
    else if (typeof target === 'string') this.#topics.add(target)
    else this.#queues.set(name(target), target)
  }

  /**
   * A pause of more than what is resumed would go on unseen: that is refused.
   * @param {string | MessageQueue} [target] that has been checked
   */
  resume(target) {
    if (target === undefined) {
      this.#everything = false
      this.#topics.clear()
      this.#queues.clear()
      return
    }
    if (this.#everything) throw still('everything', 'resume()')
    if (typeof target !== 'string') {
      if (this.#topics.has(target.topic)) throw still(`topic ${target.topic}`, `resume('${target.topic}')`)
      this.#queues.delete(name(target))
      return
    }
    this.#topics.delete(target)
    for (const [known, { topic }] of this.#queues) if (topic === target) this.#queues.delete(known)
  }
}

/** @param {MessageQueue} queue */
const name = ({ topic, brokerName, queueId }) => JSON.stringify([topic, brokerName, queueId])

/**
 * @param {string} what is paused
 * @param {string} way out
 */
function still(what, way) {
  return new RocketMQError('ERR_ROCKETMQ_INVALID_STATE', `${what} is paused, and would stay so: call ${way}`)
}

/**
 * What `pause()` and `resume()` take: a topic that is subscribed, or a queue of one.
 * @param {unknown} target
 * @param {(topic: string) => boolean} isSubscribed
 * @returns {string | MessageQueue | undefined}
 */
function checked(target, isSubscribed) {
  if (target === undefined) return undefined
  if (typeof target !== 'object' || target === null) return subscribed('target', target, isSubscribed)
  return checkedQueue('target', target, isSubscribed)
}

/**
 * A queue of a topic that is subscribed, as `assignment()` and messages name it.
 * @param {string} field
 * @param {unknown} value
 * @param {(topic: string) => boolean} isSubscribed
 * @returns {MessageQueue}
 */
function checkedQueue(field, value, isSubscribed) {
  if (typeof value !== 'object' || value === null)
    throw invalid(field, `must be a queue, as assignment() lists them, not ${check.describe(value)}`)
  const queue = /** @type {Record<string, unknown>} */ (value)
  return Object.freeze({
    topic: subscribed(`${field}.topic`, queue.topic, isSubscribed),
    brokerName: check.text(`${field}.brokerName`, queue.brokerName),
    queueId: check.integer(`${field}.queueId`, queue.queueId, 0),
  })
}

/**
 * @param {string} field
 * @param {unknown} value
 * @param {(topic: string) => boolean} isSubscribed
 */
function subscribed(field, value, isSubscribed) {
  const topic = check.topic(field, value)
  if (!isSubscribed(topic)) throw invalid(field, `there is no subscription to ${topic}, so it has no queues here`)
  return topic
}

module.exports = { Pauses, checked, checkedQueue }
