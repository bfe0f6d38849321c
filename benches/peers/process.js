'use strict'
// A peer at work: a process that answers each line with one of JSON.

const { spawn } = require('node:child_process')
const readline = require('node:readline')

/** What a process said last is told when it ends. */
const TAIL = 4_000
const PATIENCE_MS = 60_000

class PeerProcess {
  #child
  #said = ''
  #waiting
  #ended
  #reason
  /** Called with every line that answers nothing. */
  onLine = () => {}

  /** @param {string[]} command @param {string} home where it may write @param {import('../../scripts/rocketmq/guard').Guard} guard */
  constructor([command, ...args], home, guard) {
    const env = { ...process.env, HOME: home, NODE_ENV: 'production' }
    this.#child = spawn(command, args, { cwd: home, env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.once('spawn', () => guard.watch(this.#child))
    this.#child.stdin.on('error', () => {})
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.#said = (this.#said + text).slice(-TAIL)))
    readline.createInterface({ input: this.#child.stdout }).on('line', (line) => this.#heard(line))
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => this.#over(resolve, error.message))
      this.#child.once('close', (code, signal) => this.#over(resolve, `it ended with ${code ?? signal}`))
    })
  }

  /** Asks for a round; resolves with what it tells. */
  async ask(given, { patienceMs = PATIENCE_MS } = {}) {
    if (this.#reason) throw new Error(this.#reason)
    const answer = new Promise((resolve, reject) => (this.#waiting = { resolve, reject }))
    const timer = setTimeout(() => this.#fail(`no answer in ${patienceMs / 1_000} s`), patienceMs)
    const pairs = Object.entries(given).map(([name, value]) => `${name}=${value}`)
    this.#child.stdin.write(`${pairs.join(' ')}\n`)
    try {
      const told = await answer
      if (told.error) throw new Error(told.error)
      return told
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends it in peace, or at once if it does not. */
  async end() {
    this.#child.stdin.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await this.#ended
    clearTimeout(timer)
  }

  async kill() {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #heard(line) {
    let told
    try {
      told = JSON.parse(line)
    } catch {
      // Some clients write what they think to the standard output.
      return
    }
    if ('handled' in told || !this.#waiting) return this.onLine(told)
    this.#waiting.resolve(told)
    this.#waiting = undefined
  }

  #fail(reason) {
    const said = this.#said.trim()
    this.#waiting?.reject(new Error(said ? `${reason}: ${said}` : reason))
    this.#waiting = undefined
  }

  #over(resolve, reason) {
    this.#reason ??= reason
    this.#fail(reason)
    resolve()
  }
}

module.exports = { PeerProcess }
