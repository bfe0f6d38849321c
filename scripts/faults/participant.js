'use strict'
// A producer or a consumer in a process of its own. It gets one argument of JSON, commands as lines of JSON on its standard input, and tells
// events as lines of JSON on its standard output; it ends when its input does.

const { spawn } = require('node:child_process')
const path = require('node:path')
const { LineProcess } = require('../../__tests__/support/child-process')

/**
 * @typedef {object} Part what a participant is told to be
 * @property {'producer' | 'consumer'} role
 * @property {string} client
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
 */

/** The command lines of the clients, by their names. @type {Record<string, (part: Part) => Promise<string[]> | string[]>} */
const COMMANDS = {
  ours: () => [process.execPath, path.join(__dirname, 'participants', 'ours.js')],
}

class Participant extends LineProcess {
  #child

  /** @param {Part} part */
  static async start(part) {
    const command = await COMMANDS[part.client](part)
    return new Participant(command, part)
  }

  /** @param {string[]} command @param {Part} part */
  constructor([program, ...args], part) {
    const child = spawn(program, [...args, JSON.stringify(part)], {
      env: { ...process.env, ROCKETMQ_ORDERLY_HISTORY: part.history },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    super(child)
    this.#child = child
    this.part = part
    // Of one that is killed.
    child.stdin.on('error', () => {})
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

module.exports = { COMMANDS, Participant }
