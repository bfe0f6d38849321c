'use strict'
// Programs that use the package in a process of their own, and tell what they do as JSON lines on standard output.

const { fork } = require('node:child_process')
const path = require('node:path')
const readline = require('node:readline')
const { until } = require('./until')

class ChildProcess {
  #child
  #errors = ''

  /**
   * Starts a script. It may write JSON lines, and get messages by process.on('message'); it ends with its parent. The
   * channel between them does not keep it alive.
   * @param {string} script absolute, or relative to __tests__
   * @param {string[]} [args]
   * @param {{ env?: Record<string, string>, execArgv?: string[] }} [options]
   */
  constructor(script, args = [], { env = {}, execArgv = [] } = {}) {
    /** What it has written so far; a line that is no JSON appears as { text }. */
    this.lines = []
    this.#child = fork(path.resolve(__dirname, '..', script), args, {
      env: { ...process.env, ...env },
      execArgv: ['--require', path.join(__dirname, 'end-with-parent.js'), ...execArgv],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    readline.createInterface({ input: this.#child.stdout }).on('line', (line) => this.lines.push(parsed(line)))
    this.#child.stderr.on('data', (data) => (this.#errors += data))
    /** Resolves with { code, signal } when it has ended and all its output is here. */
    this.ended = new Promise((resolve) => this.#child.once('close', (code, signal) => resolve({ code, signal })))
    this.ended.then((how) => (this.end = how))
  }

  get pid() {
    return this.#child.pid
  }

  /** What it has written to standard error. */
  get errors() {
    return this.#errors
  }

  /** Waits for a line, an earlier one too; rejects when the process ends before. */
  line(predicate, { timeoutMs = 30_000, what = 'a line' } = {}) {
    const found = () => {
      const line = this.lines.find(predicate)
      if (!line && this.end) {
        throw new Error(`The child ended (${this.end.code ?? this.end.signal}) before ${what}: ${this.#errors}`)
      }
      return line
    }
    return until(found, { timeoutMs, what: () => `${what} of a child; it said ${JSON.stringify(this.lines.slice(-3))} ${this.#errors}` })
  }

  /** Sends it a message. */
  send(message) {
    this.#child.send(message)
  }

  /** Sends it a signal. */
  kill(signal) {
    this.#child.kill(signal)
  }

  /** Kills it with SIGKILL and waits until it has ended. */
  async kill9() {
    this.#child.kill('SIGKILL')
    await this.ended
  }
}

function parsed(line) {
  try {
    return JSON.parse(line)
  } catch {
    return { text: line }
  }
}

module.exports = { ChildProcess }
