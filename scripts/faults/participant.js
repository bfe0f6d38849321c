'use strict'
// A producer or a consumer in a process of its own. It gets one argument of JSON, commands as lines of JSON on its standard input, and tells
// events as lines of JSON on its standard output; it ends when its input does.

const { spawn } = require('node:child_process')
const path = require('node:path')
const { LineProcess } = require('../../__tests__/support/child-process')
const { limited } = require('../endurance/limited')
const { VERSIONS } = require('../rocketmq/jars')
const { aliOnsCommand, javaCommand } = require('./participants/commands')

/**
 * @typedef {object} Part what a participant is told to be
 * @property {'producer' | 'consumer'} role
 * @property {string} client whose: one of CLIENTS
 * @property {boolean} [awaited] a producer's of another client: whether each key's sends wait for the one before
 * @property {string} nameServer
 * @property {string} topic
 * @property {string} group
 * @property {number} keys a producer's: so many
 * @property {number} rate a producer's: messages per second
 * @property {number} bytes a producer's: of a body, at least
 * @property {number} handlerMs a consumer's: at most so long its handlers take
 * @property {string} history the file that it writes down what it does in
 * @property {number} seed of what it draws
 * @property {Record<string, unknown>} options of its client
 * @property {string} [handler] ours, a consumer's: another way to handle, of participants/handlers.js
 * @property {string} [program] ours: another one of participants/
 * @property {Record<string, string>} [env] beside that of this process
 * @property {string[]} [execArgv] ours: of Node.js
 * @property {number} [dataMiB] ours: the kernel gives it no more private memory than that
 * @property {boolean} [collects] ours: garbage is collected all the time; needs --expose-gc
 */

/** The command lines of the clients, by their names. @type {Record<string, (part: Part) => Promise<string[]> | string[]>} */
const COMMANDS = {
  ours: ({ program = 'ours.js', execArgv = [], dataMiB }) =>
    limited([process.execPath, ...execArgv, path.join(__dirname, 'participants', program)], dataMiB),
  ...Object.fromEntries(VERSIONS.map((version) => [`java-${version}`, javaCommand(version)])),
  'ali-ons': aliOnsCommand,
}
/** Behind the name of another client: it awaits no send before the next of its key, as ours need not. */
const UNAWAITED = '-unawaited'

class Participant extends LineProcess {
  #child

  /** @param {Part} part */
  static async start(part) {
    const { client } = part
    const awaited = !client.endsWith(UNAWAITED)
    const command = await COMMANDS[awaited ? client : client.slice(0, -UNAWAITED.length)](part)
    return new Participant(command, { ...part, awaited })
  }

  /** @param {string[]} command @param {Part} part */
  constructor([program, ...args], part) {
    const child = spawn(program, [...args, JSON.stringify(part)], {
      env: { ...process.env, ...part.env, ROCKETMQ_ORDERLY_HISTORY: part.history },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    super(child)
    this.#child = child
    this.part = part
    // Of one that is killed.
    child.stdin.on('error', () => {})
  }

  /** As it has said when it had started. @returns {string | undefined} */
  get clientId() {
    return this.lines.find(({ event }) => event === 'started')?.clientId
  }

  /** @param {'stop' | 'close' | 'block' | 'send'} what  @param {object} [more] */
  do(what, more = {}) {
    this.#child.stdin.write(`${JSON.stringify({ do: what, ...more })}\n`)
  }

  /** Waits for an event; rejects when the process ends before, or fails. */
  said(event, options = {}) {
    const wanted = (line) => {
      if (line.event === 'failed') throw new Error(`A ${this.part.role} of ${this.part.client} failed: ${line.text}`)
      return line.event === event
    }
    return this.line(wanted, { what: `"${event}" of a ${this.part.role} of ${this.part.client}`, ...options })
  }
}

/** Whose clients can take part. */
const CLIENTS = [
  ...Object.keys(COMMANDS),
  ...Object.keys(COMMANDS).flatMap((client) => (client === 'ours' ? [] : [client + UNAWAITED])),
]

module.exports = { CLIENTS, Participant }
