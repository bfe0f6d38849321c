'use strict'
// What a history that is being written says of how things go on.

const fs = require('node:fs')
const { now } = require('../../__tests__/support/time')

/** So much of the file is read at once. */
const PIECE = 4 * 1024 * 1024

/** From when on nothing was wrong any more, and what has come since, by queue. */
class Recovery {
  #acked = new Map()
  #begun = new Map()
  #queues

  /** @param {string} what  @param {Set<string>} queues that have to go on */
  constructor(what, queues) {
    this.what = what
    this.at = now()
    this.#queues = queues
  }

  /** @param {Map<string, number>} of  @param {{ queue: string, t: number }} line */
  #take(of, { queue, t }) {
    if (t > this.at && !of.has(queue)) of.set(queue, t)
  }

  acked(line) {
    this.#take(this.#acked, line)
  }

  begun(line) {
    this.#take(this.#begun, line)
  }

  get missing() {
    return [...this.#queues].filter((queue) => !this.#acked.has(queue) || !this.#begun.has(queue))
  }

  /** When the last queue had a message stored, and a handler called; undefined while one has not. */
  get ms() {
    if (this.missing.length > 0) return undefined
    const times = [...this.#queues].flatMap((queue) => [this.#acked.get(queue), this.#begun.get(queue)])
    return Math.max(0, ...times.map((t) => (t - this.at) / 1_000))
  }

  /** When something was stored first, whatever the queue. */
  get firstAckMs() {
    return this.#acked.size === 0 ? undefined : (Math.min(...this.#acked.values()) - this.at) / 1_000
  }
}

/** Reads a history as it grows. */
class Progress {
  /** @type {Recovery[]} */
  recoveries = []

  #file
  #at = 0
  #rest = Buffer.alloc(0)
  #queues = new Set()

  constructor(file) {
    this.#file = file
  }

  /** From now on nothing is wrong; the queues that had messages before, or these, have to go on. */
  heals(what, queues) {
    this.read()
    const recovery = new Recovery(what, new Set(queues ?? this.#queues))
    this.recoveries.push(recovery)
    return recovery
  }

  /** Takes what was written since. */
  read() {
    if (!fs.existsSync(this.#file)) return
    const file = fs.openSync(this.#file, 'r')
    try {
      const piece = Buffer.alloc(PIECE)
      for (;;) {
        const length = fs.readSync(file, piece, 0, PIECE, this.#at)
        if (length === 0) return
        this.#at += length
        this.#take(Buffer.concat([this.#rest, piece.subarray(0, length)]))
      }
    } finally {
      fs.closeSync(file)
    }
  }

  #take(bytes) {
    const end = bytes.lastIndexOf(10) + 1
    this.#rest = Buffer.from(bytes.subarray(end))
    for (const text of bytes.toString('utf8', 0, end).split('\n')) {
      if (text.includes('"e":"settle"')) this.#settled(JSON.parse(text))
      else if (text.includes('"e":"start"')) this.#started(JSON.parse(text))
    }
  }

  #settled({ t, outcome: { stored } }) {
    if (!stored) return
    this.#queues.add(stored.queue)
    for (const recovery of this.recoveries) recovery.acked({ t, queue: stored.queue })
  }

  #started(line) {
    for (const recovery of this.recoveries) recovery.begun(line)
  }
}

module.exports = { Progress }
