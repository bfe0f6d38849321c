'use strict'
// One Java server process: a name server or a broker.

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { findJava } = require('./java')

const BOOT_TIMEOUT_MS = 180_000
/** A 5.5.0 broker takes 16 s to end after SIGTERM. */
const STOP_TIMEOUT_MS = 40_000

/** Class data of short-lived servers on small machines: start quickly, stay small, peak speed does not matter. */
const JVM = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData', '-Dfile.encoding=UTF-8']
/** RocketMQ unmaps its files through internals that Java 9 and later keep closed. */
const OPENED = ['java.base/java.nio', 'java.base/sun.nio.ch', 'java.base/jdk.internal.ref', 'java.base/java.lang']

/**
 * How a server speaks TLS, and nothing else; texts are PEM.
 * @typedef {object} ServerTls
 * @property {string} cert
 * @property {string} key
 * @property {string} [clientCa] the authority of the certificates that clients must show; none: they need none
 * @property {{ cert: string, key: string }} [client] what a broker shows the name server
 */

/**
 * Every setting of TLS by its name, none by default: a server without makes itself a certificate at each start, which is two thirds of what a
 * start takes.
 * @param {boolean | ServerTls} tls
 * @param {string} home
 */
function tlsArguments(tls, home) {
  if (typeof tls === 'boolean') return [`-Dtls.server.mode=${tls ? 'permissive' : 'disabled'}`]
  const file = (name, text) => {
    fs.writeFileSync(path.join(home, name), text)
    return path.join(home, name)
  }
  const settings = {
    'tls.test.mode.enable': false,
    'tls.server.mode': 'enforcing',
    'tls.server.certPath': file('server.pem', tls.cert),
    'tls.server.keyPath': file('server.key', tls.key),
    ...(tls.clientCa && {
      'tls.server.need.client.auth': 'require',
      'tls.server.authClient': true,
      'tls.server.trustCertPath': file('client-ca.pem', tls.clientCa),
    }),
    'tls.enable': true,
    'tls.client.authServer': false,
    ...(tls.client && {
      'tls.client.certPath': file('client.pem', tls.client.cert),
      'tls.client.keyPath': file('client.key', tls.client.key),
    }),
  }
  return Object.entries(settings).map(([name, value]) => `-D${name}=${value}`)
}

class JavaServer {
  #options
  #child
  #exited = Promise.resolve()
  #output

  /**
   * @param {{ name: string, mainClass: string, classPath: string, configFile: string, configOption?: string, home: string, heap: [string, string],
   *   tls?: boolean | ServerTls, guard: import('./guard').Guard }} options
   */
  constructor(options) {
    this.#options = options
    this.#output = path.join(options.home, `${options.name}.out`)
  }

  /** The process id, or undefined while it does not run. */
  get pid() {
    return this.#child?.pid
  }

  /** Starts the process and waits for its "boot success". */
  async start() {
    const {
      name,
      mainClass,
      classPath,
      configFile,
      configOption = '-c',
      home,
      heap,
      tls = false,
      guard,
    } = this.#options
    if (this.#child) throw new Error(`${name} runs already`)
    const java = await findJava()
    const temporary = path.join(home, 'tmp')
    fs.mkdirSync(temporary, { recursive: true })
    const args = [
      `-Xms${heap[0]}`,
      `-Xmx${heap[1]}`,
      ...JVM,
      ...(java.major >= 9 ? OPENED.map((module) => `--add-opens=${module}=ALL-UNNAMED`) : []),
      `-Duser.home=${home}`,
      `-Djava.io.tmpdir=${temporary}`,
      `-Drocketmq.home.dir=${home}`,
      ...tlsArguments(tls, home),
      '-cp',
      [path.join(home, 'conf'), classPath].join(path.delimiter),
      mainClass,
      configOption,
      configFile,
    ]
    const from = fs.existsSync(this.#output) ? fs.statSync(this.#output).size : 0
    const output = fs.openSync(this.#output, 'a')
    const { NAMESRV_ADDR, JAVA_TOOL_OPTIONS, ...environment } = process.env
    const child = spawn(java.command, args, {
      cwd: home,
      env: { ...environment, ROCKETMQ_HOME: home },
      stdio: ['ignore', output, output],
    })
    fs.closeSync(output)
    this.#child = child
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => {
        this.#child = undefined
        resolve()
      })
    })
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    guard.watch(child)
    await this.#booted(child, from)
  }

  async #booted(child, from) {
    const deadline = Date.now() + BOOT_TIMEOUT_MS
    for (;;) {
      const ended = this.#child !== child
      const text = fs.readFileSync(this.#output, 'utf8').slice(from)
      if (/boot success/.test(text) && !ended) return
      if (ended || Date.now() > deadline) {
        await this.kill9()
        const reason = ended ? 'ended while starting' : `did not start in ${BOOT_TIMEOUT_MS / 1000} s`
        const told = text.split('\n').filter((line) => !/^\s+at /.test(line))
        throw new Error(`${this.#options.name} ${reason}:\n${told.slice(-30).join('\n')}`)
      }
      await sleep(40)
    }
  }

  /** Asks the process to end (SIGTERM) and waits until it has. */
  async stop() {
    this.#child?.kill('SIGTERM')
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await this.#exited
    clearTimeout(timer)
  }

  /** Kills the process (SIGKILL) and waits until it has ended. */
  async kill9() {
    this.#child?.kill('SIGKILL')
    await this.#exited
  }
}

module.exports = { JavaServer }
