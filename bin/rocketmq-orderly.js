#!/usr/bin/env node
'use strict'
// npx rocketmq-orderly test-broker: the test broker as a process of its own, for programs in any language.
// npx rocketmq-orderly check-history: whether what clients have written down keeps what the package promises.

const { parseArgs } = require('node:util')
const check = require('../src/js/check.js')
const history = require('../src/js/testing/history.js')
const { TestBroker } = require('../src/js/testing/test-broker.js')

const USAGE = `Usage: rocketmq-orderly test-broker [options]
       rocketmq-orderly check-history <file>... [options]

test-broker

Runs a RocketMQ name server and brokers for development and tests, on 127.0.0.1, until Ctrl-C. They speak the real protocol
to clients in any language, need no Java, and keep nothing: what is stored is gone when they end.

  --port <port>             of the name server, 0 for any; default: 9876
  --topic <name[:queues]>   a topic, with 4 queues unless it says how many; may be repeated. With --topic, others do not exist;
                            without, topics are made by the first send of clients that ask for that
  --group <name>            a consumer group; may be repeated. With --group, others are refused
  --brokers <count>         1..64; default: 1
  --version <4.9|5.5>       which broker line it behaves as; default: 5.5
  --verbose                 prints each message it stores: topic, broker and queue, offset, sharding key, beginning of the body

Exit code: 0 after Ctrl-C or SIGTERM; 1 when it cannot start, or when a client did what ruins a real broker; 2 for bad options.

check-history
Reads what clients have written down with ROCKETMQ_ORDERLY_HISTORY=<file>, all files together, and says what went wrong: order,
two owners, gaps, commits. What is checked, and how to read it: docs/reliability.md.

  --lease-seconds <number>  how long a queue's lock counts; default: 30
  --drained                 everything that is stored has been handled in the end
  --json                    prints the verdict as JSON

Exit code: 0 where all is as it has to be; 1 for violations, and files that cannot be read or have no history; 2 for bad options.

  --help                    prints this
`

const MAX_TOPIC = 127
const MAX_QUEUES = 65_536
const MAX_BROKERS = 64
const MAX_LEASE_SECONDS = 86_400
const DEFAULT_QUEUES = 4
/** Of a body, in characters. */
const SHOWN = 120

/** The command was called in a way that USAGE does not allow. */
class UsageError extends Error {}

/**
 * @param {string} option
 * @param {string} text
 * @param {number} min
 * @param {number} max
 */
function integer(option, text, min, max) {
  const number = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(number >= min && number <= max))
    throw new UsageError(`${option}: a number from ${min} to ${max}, not '${text}'`)
  return number
}

/** @param {string[]} given as `name` or `name:queues` */
function topicsOf(given) {
  /** @type {Record<string, number>} */
  const topics = Object.create(null)
  for (const text of given) {
    const option = `--topic ${text}`
    const [name = '', queues, ...rest] = text.split(':')
    if (rest.length > 0 || name === '' || queues === '') {
      throw new UsageError(`--topic: a name, or a name and a number of queues as in orders:8, not '${text}'`)
    }
    check.resource(option, name, MAX_TOPIC)
    if (name in topics) throw new UsageError(`${option}: ${name} is there already`)
    topics[name] = queues === undefined ? DEFAULT_QUEUES : integer(option, queues, 1, MAX_QUEUES)
  }
  return topics
}

/** What the arguments ask for; `null`: the usage. @param {string[]} args */
function parse(args) {
  const [command, ...rest] = args
  if (args.some((arg) => arg === '--help' || arg === '-h')) return null
  if (command === 'test-broker') return testBroker(rest)
  if (command === 'check-history') return checkHistory(rest)
  throw new UsageError(`the command is test-broker or check-history, not ${command ?? 'nothing'}`)
}

/** @param {string[]} args */
function testBroker(args) {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      port: { type: 'string', default: '9876' },
      topic: { type: 'string', multiple: true, default: [] },
      group: { type: 'string', multiple: true, default: [] },
      brokers: { type: 'string', default: '1' },
      version: { type: 'string', default: '5.5' },
      verbose: { type: 'boolean', default: false },
    },
  })
  if (positionals.length > 0) throw new UsageError(`test-broker takes options only, not '${positionals[0]}'`)
  const asked = {
    verbose: values.verbose,
    topics: topicsOf(values.topic),
    options: {
      port: integer('--port', values.port, 0, 65_535),
      brokers: integer('--brokers', values.brokers, 1, MAX_BROKERS),
      version: check.oneOf('--version', values.version, /** @type {const} */ (['4.9', '5.5'])),
      groups: values.group.length > 0 ? values.group.map((name) => check.group(`--group ${name}`, name)) : undefined,
    },
  }
  return () => run(asked)
}

/** @param {string[]} args */
function checkHistory(args) {
  const { positionals: files, values } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      'lease-seconds': { type: 'string', default: '30' },
      drained: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  if (files.length === 0) throw new UsageError('check-history: which files?')
  const leaseMs = 1_000 * integer('--lease-seconds', values['lease-seconds'], 1, MAX_LEASE_SECONDS)
  return () => judge(files, { leaseMs, drained: values.drained }, values.json)
}

/** A body on one line. @param {Buffer} body */
function shown(body) {
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    return `(${body.length} bytes that are no text)`
  }
  const beginning = [...text.slice(0, 2 * SHOWN)].slice(0, SHOWN).join('')
  const more = beginning.length < text.length ? `… (${body.length} bytes)` : ''
  // What a terminal would obey, or what would break the line.
  return beginning.replace(/\p{C}/gu, (char) => JSON.stringify(char).slice(1, -1).replace(/\p{C}/gu, '\ufffd')) + more
}

/**
 * Prints what is stored, until the broker is closed.
 * @param {TestBroker} broker
 */
async function follow(broker) {
  /** @type {number[]} */
  let places = []
  for (;;) {
    const stored = await TestBroker.storedSince(broker, places)
    places = stored.places
    for (const { topic, queue, queueOffset, shardingKey, body } of stored.messages) {
      const key = shardingKey === undefined ? 'no key' : `key ${shown(Buffer.from(shardingKey))}`
      console.log(`${topic}  ${queue.brokerName}:${queue.queueId} @${queueOffset}  ${key}  ${shown(body)}`)
    }
  }
}

/** Resolves at Ctrl-C, SIGTERM, SIGHUP, and when nobody reads what we print any more. */
function ended() {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve)
    process.stdout.on('error', resolve)
  })
}

/**
 * @param {{
 *   options: import('../testing').TestBrokerOptions & { version: string }
 *   topics: Record<string, number>
 *   verbose: boolean
 * }} asked
 */
async function run({ options, topics, verbose }) {
  const end = ended()
  const names = Object.keys(topics)
  const broker = await TestBroker.start({ ...options, ...(names.length > 0 ? { topics } : {}) })
  try {
    console.log('RocketMQ test broker. It keeps nothing: what is stored is gone when it ends.')
    console.log(`name server at ${broker.nameServer}, behaves as ${options.version}`)
    console.log(`brokers at ${broker.brokers.join(', ')}`)
    for (const name of names) console.log(`topic ${name}, queues: ${topics[name]}`)
    if (names.length === 0) console.log('no topics: they are made by the first send of clients that ask for that')
    console.log('Ctrl-C ends it.')
    await Promise.race(verbose ? [end, follow(broker)] : [end])
    const violations = broker.violations()
    for (const violation of violations) console.error(`what ruins a real broker: ${violation}`)
    return violations.length > 0 ? 1 : 0
  } finally {
    await broker.close()
    console.log('ended; nothing was kept')
  }
}

/**
 * Prints the verdict on these files.
 * @param {string[]} files
 * @param {import('../src/js/testing/history.js').CheckOptions} options
 * @param {boolean} asJson
 */
async function judge(files, options, asJson) {
  const { text, ...verdict } = await history.check(files, options)
  const { broken, counts, odd } = verdict
  if (asJson) console.log(JSON.stringify(verdict))
  else process.stdout.write(text)
  for (const told of odd.told) console.error(`no line of a history: ${told}`)
  if (odd.lines > odd.told.length) console.error(`no lines of a history: ${odd.lines - odd.told.length} more`)
  if (counts.lines === 0) console.error('there is no history in it')
  return counts.lines === 0 || Object.keys(broken).length > 0 ? 1 : 0
}

async function main() {
  let asked
  try {
    asked = parse(process.argv.slice(2))
  } catch (error) {
    const { code = '', message } = /** @type {Error & { code?: string }} */ (error)
    const usage = error instanceof UsageError || code.startsWith('ERR_PARSE_ARGS') || code.startsWith('ERR_ROCKETMQ')
    if (!usage) throw error
    console.error(`${message}\nrocketmq-orderly --help tells what there is.`)
    return 2
  }
  if (asked !== null) return asked()
  process.stdout.write(USAGE)
  return 0
}

main().then(
  (code) => (process.exitCode = code),
  (error) => {
    console.error(error.code?.startsWith('ERR_ROCKETMQ') ? error.message : error)
    process.exitCode = 1
  },
)
