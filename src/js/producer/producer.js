'use strict'
// `Producer`: checks what it is called with. The way of a send is in `Sends`.

const check = require('../check.js')
const { clients, sends } = require('../channels.js')
const { Client } = require('../client/client.js')
const { Core } = require('../client/core.js')
const { invalid } = require('../errors.js')
const { flatten, shardingKey: checkShardingKey } = require('../message.js')
const { NativeProducer } = require('../addon.js')
const options = require('../options.js')
const { Choices } = require('./choices.js')
const { refused } = require('./not-sent.js')
const { MessageStream } = require('./writable.js')
const { Sends } = require('./sends.js')
const { traced, tracedBatch } = require('./traces.js')

/**
 * @typedef {import('../../../index').MessageInit} MessageInit
 * @typedef {import('../../../index').MessageQueue} MessageQueue
 * @typedef {import('../../../index').ProducerStats} ProducerStats
 * @typedef {import('../../../index').SendOptions} SendOptions
 * @typedef {import('../../../index').SendResult} SendResult
 */

const SendStatus = Object.freeze({
  OK: /** @type {const} */ (0),
  FLUSH_DISK_TIMEOUT: /** @type {const} */ (1),
  FLUSH_SLAVE_TIMEOUT: /** @type {const} */ (2),
  SLAVE_NOT_AVAILABLE: /** @type {const} */ (3),
})

/** Before the start. */
const NO_STATS = { waiting: 0, pendingMessages: 0, pendingBytes: 0, sent: 0, failed: 0, requests: 0, retries: 0 }

class Producer extends Client {
  /** @type {import('./sends').Core} */
  #core
  /** @type {Sends} */
  #sends
  /** @type {import('../native-surface').ProducerSettings} */
  #settings

  /**
   * @param {import('../../../index').ProducerOptions | string} given
   * @param {true} [orderly]
   */
  constructor(given, orderly) {
    const { client, producer, hash } = options.producerOptions(given, orderly)
    /** @type {import('./sends').Core} */
    const core = new Core(client, {
      kind: 'Producer',
      create: (config) => new NativeProducer(config, producer),
      start: (native, slot, calls) => native.start(slot, client.startTimeoutMs, calls),
      take: (door, isFirst) => this.#sends.take(door, isFirst),
      hears: () => this.#sends.hears,
      ended: () => this.#sends.ended(),
    })
    super(core, [])
    this.#core = core
    this.#settings = producer
    this.#sends = new Sends(core, hash === undefined ? null : new Choices(hash))
    if (clients.hasSubscribers) clients.publish({ client: this, groupId: this.groupId })
  }

  /**
   * @param {MessageInit} message
   * @param {string} shardingKey
   * @param {SendOptions} [sendOptions]
   * @returns {Promise<SendResult>}
   */
  sendOrderly(message, shardingKey, sendOptions) {
    try {
      this.#mustRun()
      const flat = flatten('message', message, this.#settings.maxMessageBytes)
      const key = checkShardingKey(shardingKey)
      const checked = options.sendOptions(sendOptions)
      if (!sends.isObserved) return this.#sends.send(flat, key, checked)
      return this.#traced(flat, key, checked)
    } catch (error) {
      this.#sends.refusals++
      return Promise.reject(refusedOf(message, error))
    }
  }

  /**
   * @param {MessageInit} message
   * @param {string} shardingKey
   * @param {SendOptions} [sendOptions]
   * @returns {Promise<SendResult>}
   */
  sendOrderlyWithShardingKey(message, shardingKey, sendOptions) {
    return this.sendOrderly(message, shardingKey, sendOptions)
  }

  /**
   * @param {readonly MessageInit[]} messages
   * @param {string} shardingKey
   * @param {SendOptions} [sendOptions]
   * @returns {Promise<SendResult[]>}
   */
  sendOrderlyBatch(messages, shardingKey, sendOptions) {
    try {
      this.#mustRun()
      const flat = this.#flattenAll(messages)
      const key = checkShardingKey(shardingKey)
      const checked = options.sendOptions(sendOptions)
      if (!sends.isObserved) return this.#sends.sendBatch(flat, key, checked)
      return this.#tracedBatch(flat, key, checked)
    } catch (error) {
      return Promise.reject(refusedOf(messages?.[0], error))
    }
  }

  /**
   * @param {import('../message').FlatMessage} flat
   * @param {string} key
   * @param {ReturnType<typeof options.sendOptions>} checked
   */
  #traced(flat, key, checked) {
    return traced(this.#sender(), flat, key, (flat, operation) => this.#sends.send(flat, key, checked, operation))
  }

  /**
   * @param {import('../message').FlatMessage[]} flat
   * @param {string} key
   * @param {ReturnType<typeof options.sendOptions>} checked
   */
  #tracedBatch(flat, key, checked) {
    return tracedBatch(this.#sender(), flat, key, (flat, operation) =>
      this.#sends.sendBatch(flat, key, checked, operation),
    )
  }

  /** Who observers see. @returns {import('./traces').Sender} */
  #sender() {
    const { namespace, reports } = this.#core
    return { client: /** @type {any} */ (this), namespace, warn: (error) => reports.warn(/** @type {any} */ (error)) }
  }

  /**
   * @param {{ shardingKey: (message: MessageInit) => string, signal?: AbortSignal | undefined }} writableOptions
   * @returns {import('node:stream').Writable}
   */
  writable(writableOptions) {
    const { shardingKey, signal } = options.writableOptions(writableOptions)
    this.#mustRun()
    const sends = this.#sends
    const way = {
      send: this.sendOrderly.bind(this),
      refusals: () => sends.refusals,
      hasRoom: () => sends.hasRoom(),
      ready: sends.ready.bind(sends),
      heard: sends.heard.bind(sends),
    }
    return new MessageStream(way, shardingKey, signal)
  }

  #mustRun() {
    const error = this.#core.notRunning()
    if (error !== null) throw error
  }

  /** @param {unknown} messages */
  #flattenAll(messages) {
    if (!Array.isArray(messages)) throw invalid('messages', `must be an array, not ${check.describe(messages)}`)
    if (messages.length === 0) throw invalid('messages', 'must not be empty')
    const { maxMessageBytes } = this.#settings
    const flat = Array.from(messages, (message, i) => flatten(`messages[${i}]`, message, maxMessageBytes))
    const stranger = flat.findIndex((message) => message.topic !== flat[0].topic)
    if (stranger >= 0) throw invalid(`messages[${stranger}].topic`, 'must be the topic of the whole batch')
    const bytes = flat.reduce((sum, message) => sum + message.body.length, 0)
    if (bytes > maxMessageBytes) {
      throw invalid('messages', `have ${bytes} bytes together, more than maxMessageBytes (${maxMessageBytes})`)
    }
    return flat
  }

  /**
   * @param {string} topic
   * @returns {Promise<readonly MessageQueue[]>}
   */
  async queues(topic) {
    const name = check.topic('topic', topic)
    this.#mustRun()
    return this.#core.slots.ask((slot) => /** @type {NativeProducer} */ (this.#core.native).queues(slot, name))
  }

  /**
   * @param {{ signal?: AbortSignal | undefined }} [readyOptions]
   * @returns {Promise<void>}
   */
  async ready(readyOptions) {
    const signal = options.readyOptions(readyOptions)
    this.#mustRun()
    return this.#sends.ready(signal)
  }

  /** @returns {Promise<void>} */
  flush() {
    return this.#sends.flush()
  }

  /** @returns {ProducerStats} */
  stats() {
    return { ...(this.#core.counts() ?? NO_STATS) }
  }
}

/**
 * @param {MessageInit | undefined} message
 * @param {unknown} error
 */
function refusedOf(message, error) {
  return refused(error, typeof message?.topic === 'string' ? message.topic : undefined)
}

module.exports = { Producer, SendStatus }
