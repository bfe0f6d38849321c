'use strict'
// The lines of a client that does not write them itself: what its user sees of it, see docs/reliability.md.

const fs = require('node:fs')
const { bootId, now } = require('../../../__tests__/support/time')

/** Appends to a history, each line with one write, so that a killed process leaves what it has done. */
class UserHistory {
  #file
  #by
  #sends = 0

  /** @param {string} file @param {string} by the client's name in it */
  constructor(file, by) {
    this.#file = fs.openSync(file, 'a')
    this.#by = by
  }

  /** @param {{ role: 'producer' | 'consumer', client: string, group: string }} who */
  hello(who) {
    this.#write({ e: 'hello', version: 1, ...who, boot: bootId(), wall: Date.now(), asUser: true })
  }

  /** Right before the call; returns its number. */
  submit(topic, key, id) {
    const send = ++this.#sends
    this.#write({ e: 'submit', send, topic, key, ids: [id] })
    return send
  }

  stored(send, queue, offset) {
    this.#write({ e: 'settle', send, outcome: { stored: { queue, offset } } })
  }

  /** An error does not tell whether an attempt before the last was stored. @param {number} send @param {Error} error */
  unknown(send, error) {
    this.#write({ e: 'settle', send, outcome: { unknown: { code: String(error.code ?? error.name) } } })
  }

  start(queue, offset, attempt) {
    this.#write({ e: 'start', queue, offset, last: offset, attempt })
  }

  /** @param {'success' | 'failure'} outcome */
  end(queue, offset, outcome) {
    this.#write({ e: 'end', queue, offset, outcome, counted: true })
  }

  closed() {
    this.#write({ e: 'closed' })
  }

  #write(event) {
    fs.writeSync(this.#file, `${JSON.stringify({ t: now(), by: this.#by, ...event })}\n`)
  }
}

module.exports = { UserHistory }
