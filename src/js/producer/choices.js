'use strict'
// Queues that a function of the user chooses (`shardingHash`): at the call of a send where its topic's list is known, else when native asks.

const check = require('../check.js')
const { invalid } = require('../errors.js')
const native = require('../addon.js')

/**
 * @typedef {import('../native-surface').Listed} Listed
 * @typedef {import('../native-surface').ProducerDoor} ProducerDoor
 * @typedef {import('../../../index').MessageQueue} MessageQueue
 */

/** A list as the function sees it: the same array for as long as it is the same list. @typedef {{ number: number, queues: readonly MessageQueue[] }} List */

class Choices {
  /** @type {(shardingKey: string, queues: readonly MessageQueue[]) => unknown} */
  #hash
  /** The last one of each topic. @type {Map<string, List>} */
  #lists = new Map()

  /** @param {(shardingKey: string, queues: readonly MessageQueue[]) => unknown} hash */
  constructor(hash) {
    this.#hash = hash
  }

  /**
   * Tells native the queue of the message that is sent next. Where no list is known it asks, once there is one.
   * @param {ProducerDoor} door
   * @param {string} topic
   * @param {string} shardingKey
   */
  before(door, topic, shardingKey) {
    let list = this.#lists.get(topic) ?? this.#listed(topic, native.producerList(door, topic))
    while (list !== undefined) {
      const index = this.#ask(shardingKey, list)
      if (native.producerChoose(door, topic, shardingKey, list.number, index)) return
      list = this.#listed(topic, native.producerList(door, topic))
    }
  }

  /**
   * Keys of this topic have messages that wait for a queue.
   * @param {ProducerDoor} door
   * @param {string} topic
   */
  undecided(door, topic) {
    for (;;) {
      const said = native.producerUndecided(door, topic)
      if (said === null) return
      const [keys, listed] = said
      const list = /** @type {List} */ (this.#listed(topic, listed))
      if (keys.every((key) => this.#decide(door, topic, key, list))) return native.producerDecided(door, topic)
    }
  }

  /**
   * False when the list is another by now.
   * @param {ProducerDoor} door
   * @param {string} topic
   * @param {string} shardingKey
   * @param {List} list
   */
  #decide(door, topic, shardingKey, list) {
    let index
    try {
      index = this.#ask(shardingKey, list)
    } catch (error) {
      native.producerRefuse(door, topic, shardingKey, /** @type {Error} */ (error).message)
      return true
    }
    return native.producerChoose(door, topic, shardingKey, list.number, index)
  }

  /**
   * @param {string} shardingKey
   * @param {List} list
   * @returns {number}
   */
  #ask(shardingKey, { queues }) {
    const hash = this.#hash
    let index
    try {
      index = hash(shardingKey, queues)
    } catch (cause) {
      throw Object.assign(invalid('shardingHash', `has thrown ${thrown(cause)}`), { cause })
    }
    if (Number.isInteger(index) && /** @type {number} */ (index) >= 0 && /** @type {number} */ (index) < queues.length)
      return /** @type {number} */ (index)
    const range = `an integer from 0 to ${queues.length - 1}, an index of the queues`
    throw invalid('shardingHash', `must return ${range}, not ${check.describe(index)}`)
  }

  /**
   * @param {string} topic
   * @param {Listed | null} listed
   * @returns {List | undefined}
   */
  #listed(topic, listed) {
    if (listed === null) {
      this.#lists.delete(topic)
      return undefined
    }
    const [number, brokerNames, queueIds] = listed
    const known = this.#lists.get(topic)
    if (known?.number === number) return known
    const queues = brokerNames.map((brokerName, i) => Object.freeze({ topic, brokerName, queueId: queueIds[i] }))
    const list = { number, queues: Object.freeze(queues) }
    this.#lists.set(topic, list)
    return list
  }
}

/** @param {unknown} cause */
function thrown(cause) {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : check.describe(cause)
}

module.exports = { Choices }
