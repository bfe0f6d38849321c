'use strict'
// RocketMQ's genuine admin tool, `mqadmin`: one process for many commands.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')
const { peerCommand } = require('../../scripts/rocketmq/peer')
const { until } = require('./until')

const SOURCE = path.join(__dirname, '..', '..', 'scripts', 'peers', 'java', 'AdminPeer.java')
/** The tool does nothing without its log settings, under one name or the other. */
const LOGBACK = '<?xml version="1.0" encoding="UTF-8"?><configuration><root level="OFF"/></configuration>'

const TIMED_OUT = /RemotingTimeoutException|RemotingConnectException|RemotingSendRequestException/
const MOST_TRIES = 5

class AdminTool {
  static async start(version, nameServer) {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-admin-'))
    fs.mkdirSync(path.join(home, 'conf'))
    for (const name of ['logback_tools.xml', 'rmq.tools.logback.xml'])
      fs.writeFileSync(path.join(home, 'conf', name), LOGBACK)
    const [command, ...args] = await peerCommand(SOURCE, { version, home, kind: 'tools' })
    const java = [`-Drocketmq.home.dir=${home}`, `-Drocketmq.namesrv.addr=${nameServer}`, ...args]
    const tool = new AdminTool(spawn(command, java, { cwd: home, stdio: ['pipe', 'pipe', 'pipe'] }), home)
    const answers = async () => (await tool.run('clusterList')) !== ''
    await until(answers, { timeoutMs: 180_000, what: () => `the admin tool; it says ${tool.errors}` })
    tool.errors = ''
    return tool
  }

  constructor(child, home) {
    this.child = child
    this.home = home
    this.errors = ''
    child.stderr.on('data', (data) => (this.errors += data))
    this.lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  /** What a command prints. Its own time-outs are too short for the classes of a busy machine to load: then it is run again. */
  async run(...args) {
    for (let tries = 1; ; tries++) {
      const before = this.errors
      const printed = await this.#once(args)
      if (tries === MOST_TRIES || !TIMED_OUT.test(printed + this.errors.slice(before.length))) return printed
      this.errors = before
    }
  }

  async #once(args) {
    this.child.stdin.write(`${args.join('\t')}\n`)
    const printed = []
    for (;;) {
      const { value, done } = await this.lines.next()
      if (done) throw new Error(`The admin tool has ended: ${printed.join('\n')}\n${this.errors}`)
      if (value === 'done') return printed.join('\n')
      printed.push(value)
    }
  }

  async close() {
    this.child.stdin.end()
    await new Promise((resolve) => this.child.once('close', resolve))
    fs.rmSync(this.home, { recursive: true, force: true })
  }
}

module.exports = { AdminTool }
