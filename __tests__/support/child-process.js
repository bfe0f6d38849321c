'use strict'
// Processes beside the test's own: programs that use the package, and peers in other languages.

const { fork } = require('node:child_process')
const path = require('node:path')
const readline = require('node:readline')
const { until } = require('./until')

/** A process that tells what it does as JSON lines on standard output. */
class LineProcess {
  #child
  #errors = ''

  /** @param {import('node:child_process').ChildProcess} child with pipes for its output and errors */
  constructor(child) {
    /** What it has written so far; a line that is no JSON appears as { text }. */
    this.lines = []
    this.#child = child
    readline.createInterface({ input: child.stdout }).on('line', (line) => this.lines.push(parsed(line)))
    child.stderr.on('data', (data) => (this.#errors += data))
    /** Resolves with { code, signal } when it has ended and all its output is here. */
    this.ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })))
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
  line(predicate, { timeoutMs = 60_000, what = 'a line' } = {}) {
    const found = () => {
      const line = this.lines.find(predicate)
      if (!line && this.end) {
        throw new Error(`The process ended (${this.end.code ?? this.end.signal}) before ${what}: ${this.#errors}`)
      }
      return line
    }
    const said = () => `${what}; the process said ${JSON.stringify(this.lines.slice(-3))} ${this.#errors}`
    return until(found, { timeoutMs, what: said })
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

/** A Node.js program that uses the package. */
class ChildProcess extends LineProcess {
  #child

  /**
   * Starts a script. It gets messages by process.on('message'), and ends with its parent; the channel between them does not
   * keep it alive.
   * @param {string} script absolute, or relative to __tests__
   * @param {string[]} [args]
   * @param {{ env?: Record<string, string>, execArgv?: string[] }} [options]
   */
  constructor(script, args = [], { env = {}, execArgv = [] } = {}) {
    const child = fork(path.resolve(__dirname, '..', script), args, {
      env: { ...process.env, ...env },
      execArgv: ['--require', path.join(__dirname, 'end-with-parent.js'), ...execArgv],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    super(child)
    this.#child = child
  }

  /** Sends it a message. */
  send(message) {
    this.#child.send(message)
  }
}

function parsed(line) {
  try {
    return JSON.parse(line)
  } catch {
    return { text: line }
  }
}

module.exports = { ChildProcess, LineProcess }
