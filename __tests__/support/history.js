'use strict'
// The histories of a spec: its processes write down what they do, and one checker judges it all, with what the brokers hold in the end.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { check } = require('../../src/js/testing/history.js')

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

  /** What is stored of a topic, as TestAdmin.readBack() has it. */
  stored(topic, messages) {
    this.#append(
      ...messages.map(({ brokerName, queueId, queueOffset, msgId, shardingKey = '' }) => ({
        e: 'stored',
        queue: `${topic}@${brokerName}:${queueId}`,
        offset: queueOffset,
        id: msgId,
        key: shardingKey,
      })),
    )
  }

  /** Where a group is in the end: `[queue, offset]` of each. */
  committed(group, topic, queues) {
    this.#append(
      ...queues.map(([{ brokerName, queueId }, offset]) => ({
        e: 'committed',
        group,
        queue: `${topic}@${brokerName}:${queueId}`,
        offset,
      })),
    )
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
