'use strict'
// The histories of a spec: its processes write down what they do, and one checker judges it all, with what the brokers hold in the end.

const { HistoryFile } = require('./history-file')
const { admin, backend, childProcess } = require('./index')

/** A file to which the processes of a spec append. */
class SpecHistory extends HistoryFile {
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
  look(topic, group) {
    return super.look(admin, topic, group)
  }

  /** The verdict; a violation fails the test with its timeline. @param {import('../../src/js/testing/history.js').CheckOptions} [options] */
  async expectClean(options = {}) {
    const { text, broken, counts, odd } = await this.verdict(options)
    if (Object.keys(broken).length > 0 || odd.lines > 0) {
      // Kept, to be looked at.
      throw new Error(`${text}${odd.told.join('\n')}\n${this.file}`)
    }
    expect(counts.lines).toBeGreaterThan(0)
    this.remove()
    return counts
  }
}

module.exports = { SpecHistory }
