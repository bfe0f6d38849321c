'use strict'
// A file in which processes write down what they do, and its verdict; without Jest.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { check } = require('../../src/js/testing/history.js')
const { bootId, now } = require('./time')

/** A queue's name, as lines have it. */
function queueName(topic, { brokerName, queueId }) {
  return `${topic}@${brokerName}:${queueId}`
}

/** A file to which processes append. */
class HistoryFile {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-'))
  #by

  /** @param {string} [by] under which name faults and what brokers hold are written down */
  constructor(by = 'spec') {
    this.#by = by
    this.file = path.join(this.#folder, 'history')
  }

  /** The environment in which clients write down what they do. */
  get env() {
    return { ROCKETMQ_ORDERLY_HISTORY: this.file }
  }

  get lines() {
    const text = fs.existsSync(this.file) ? fs.readFileSync(this.file, 'utf8') : ''
    return text.split('\n').filter(Boolean).map(JSON.parse)
  }

  #append(...events) {
    const t = now()
    const who = { role: 'witness', client: this.#by, group: '' }
    const hello = { e: 'hello', version: 1, ...who, boot: bootId(), wall: Date.now() }
    const lines = [hello, ...events].map((event) => `${JSON.stringify({ t, by: this.#by, ...event })}\n`)
    fs.appendFileSync(this.file, lines.join(''))
  }

  /**
   * Something was done to a broker or a client, and is done.
   * @param {string} what
   * @param {{ whom?: string[], forgets?: { locks?: boolean, commits?: number }, resets?: { group: string, topic: string } }} [more]
   */
  fault(what, more = {}) {
    this.#append({ e: 'fault', what, ...more })
  }

  /**
   * Writes down what brokers hold in the end: of a topic and, where it is one, of a group's offsets.
   * @param {import('./admin').TestAdmin} admin
   * @param {string} topic
   * @param {string} group
   * @param {(message: { msgId?: string }) => boolean} [counts] whether a message is of those that the history is about
   */
  async look(admin, topic, group, counts = () => true) {
    const stored = (await admin.readBack(topic)).filter(counts).map((message) => ({
      e: 'stored',
      queue: queueName(topic, message),
      offset: message.queueOffset,
      id: message.msgId,
      key: message.shardingKey ?? '',
    }))
    const committed = []
    for (const queue of await admin.queues(topic)) {
      const offset = await admin.committedOffset(group, topic, queue)
      if (offset !== undefined) committed.push({ e: 'committed', group, queue: queueName(topic, queue), offset })
    }
    this.#append(...stored, ...committed)
  }

  /** @param {import('../../src/js/testing/history.js').CheckOptions} [options] */
  verdict(options = {}) {
    return check([this.file], options)
  }

  /** Removes it. */
  remove() {
    fs.rmSync(this.#folder, { recursive: true })
  }
}

module.exports = { HistoryFile, queueName }
