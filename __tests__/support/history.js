'use strict'
// The histories of a spec: its processes write down what they do, and one checker judges it all, with what the brokers hold in the end.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { check } = require('../../src/js/testing/history.js')
const { admin, backend, childProcess } = require('./index')

/** A file to which the processes of a spec append. */
class SpecHistory {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-'))
  #file = path.join(this.#folder, 'history')
  #by = 'spec'

  /** For childProcess(): the environment in which clients write down what they do. */
  get env() {
    return { ROCKETMQ_ORDERLY_HISTORY: this.#file }
  }

  get lines() {
    const text = fs.existsSync(this.#file) ? fs.readFileSync(this.#file, 'utf8') : ''
    return text.split('\n').filter(Boolean).map(JSON.parse)
  }

  #append(...events) {
    const t = Number(process.hrtime.bigint() / 1_000n)
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const hello = { e: 'hello', version: 1, role: 'witness', client: 'spec', group: '', boot, wall: Date.now() }
    const lines = [hello, ...events].map((event) => `${JSON.stringify({ t, by: this.#by, ...event })}\n`)
    fs.appendFileSync(this.#file, lines.join(''))
  }

  /**
   * Something was done to a broker or a client, and is done.
   * @param {string} what
   * @param {{ whom?: string[], forgets?: { locks?: boolean, commits?: number } }} [more]
   */
  fault(what, more = {}) {
    this.#append({ e: 'fault', what, ...more })
  }

  /** A producer in a process of its own: send(from, to) sends the messages with these numbers, each with one of so many keys. */
  sender(topic, keys) {
    const child = childProcess('integrity/sender.js', [backend.nameServer, topic, String(keys)], { env: this.env })
    const said = (wanted) =>
      child.line((line) => {
        if (line.event === 'failed') throw new Error(line.text)
        return wanted(line)
      })
    const started = said(({ event }) => event === 'started')
    started.catch(() => {})
    return {
      async send(from, to) {
        await started
        child.send({ from, to })
        // Each call has a number of its own to end with.
        await said(({ event, to: done }) => event === 'sent' && done === to)
      },
      async close() {
        child.send('close')
        await said(({ event }) => event === 'closed')
      },
    }
  }

  /** Writes down what brokers hold in the end: of a topic and, where it is one, of a group's offsets. */
  async look(topic, group) {
    const queueOf = ({ brokerName, queueId }) => `${topic}@${brokerName}:${queueId}`
    const stored = (await admin.readBack(topic)).map((message) => ({
      e: 'stored',
      queue: queueOf(message),
      offset: message.queueOffset,
      id: message.msgId,
      key: message.shardingKey ?? '',
    }))
    const committed = []
    for (const queue of await admin.queues(topic)) {
      const offset = await admin.committedOffset(group, topic, queue)
      if (offset !== undefined) committed.push({ e: 'committed', group, queue: queueOf(queue), offset })
    }
    this.#append(...stored, ...committed)
  }

  /** The verdict; a violation fails the test with its timeline. @param {import('../../src/js/testing/history.js').CheckOptions} [options] */
  async expectClean(options = {}) {
    const { text, broken, counts, odd } = await check([this.#file], options)
    if (Object.keys(broken).length > 0 || odd.lines > 0) {
      // Kept, to be looked at.
      throw new Error(`${text}${odd.told.join('\n')}\n${this.#file}`)
    }
    expect(counts.lines).toBeGreaterThan(0)
    fs.rmSync(this.#folder, { recursive: true })
    return counts
  }
}

module.exports = { SpecHistory }
