'use strict'
// The rounds of a client for Node.js: a line `name=value name=value …` asks for one, a line of JSON answers.

const readline = require('node:readline')
const { cold } = require('./cold')
const { drain } = require('./draining')
const { join, leave } = require('./hand-over')
const { latency } = require('./latency')
const { Measure } = require('./measure')
const { memory } = require('./memory')
const { awaited, burst, keys, mixed, window } = require('./sending')

/**
 * @typedef {Record<string, string>} Given of a round: `nameServer`, `proxy`, `topic`, `group`, `seconds`, …
 *
 * @typedef {object} Client one client library, as the rounds use it
 * @property {(given: Given) => Promise<{ send(key: string, body: Buffer): Promise<unknown>, requests?(): number,
 *   close(): Promise<unknown> }>} producer
 * @property {(given: Given, handle: (body: Buffer | string) => void) => Promise<{ close(): Promise<unknown> }>} consumer
 *   `given.async`: with an asynchronous handler; `given.concurrency`: so many handlers at once
 */

/** W7: nothing at all. */
async function idle(_client, given) {
  const measure = await Measure.begin()
  await new Promise((resolve) => setTimeout(resolve, 1_000 * given.seconds))
  return measure.stop(1)
}

const ROUNDS = { await: awaited, burst, window, keys, mixed, drain, latency, memory, cold, join, leave, idle }

/** Answers lines until the input ends. @param {Client} client */
async function serve(client) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const given = Object.fromEntries(
      line
        .split(' ')
        .map((pair) => [pair, pair.indexOf('=')])
        .map(([pair, at]) => [pair.slice(0, at), pair.slice(at + 1)]),
    )
    const answer = await ROUNDS[given.workload](client, given).catch((error) => ({
      error: String(error?.stack ?? error),
    }))
    process.stdout.write(`${JSON.stringify(answer)}\n`)
    globalThis.gc?.()
  }
  process.exit()
}

module.exports = { serve }
