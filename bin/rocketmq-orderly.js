#!/usr/bin/env node
'use strict'
// npx rocketmq-orderly test-broker: the test broker as a process of its own, for programs in any language.

const { parseArgs } = require('node:util')
const check = require('../src/js/check.js')
const { TestBroker } = require('../src/js/testing/test-broker.js')

const USAGE = `Usage: rocketmq-orderly test-broker [options]

Runs a RocketMQ name server and brokers for development and tests, on 127.0.0.1, until Ctrl-C. They speak the real protocol
to clients in any language, need no Java, and keep nothing: what is stored is gone when they end.

  --port <port>             of the name server, 0 for any; default: 9876
  --topic <name[:queues]>   a topic, with 4 queues unless it says how many; may be repeated. With --topic, others do not exist;
                            without, topics are made by the first send of clients that ask for that
  --group <name>            a consumer group; may be repeated. With --group, others are refused
  --brokers <count>         1..64; default: 1
  --version <4.9|5.5>       which broker line it behaves as; default: 5.5
  --verbose                 prints each message it stores: topic, broker and queue, offset, sharding key, beginning of the body
  --help                    prints this

Exit code: 0 after Ctrl-C or SIGTERM; 1 when it cannot start, or when a client did what ruins a real broker; 2 for bad options.
`

const MAX_TOPIC = 127
const MAX_QUEUES = 65_536
const MAX_BROKERS = 64
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
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  const [command, ...rest] = positionals
  if (command !== 'test-broker') throw new UsageError(`the command is test-broker, not ${command ?? 'nothing'}`)
  if (rest.length > 0) throw new UsageError(`test-broker takes options only, not '${rest[0]}'`)
  return {
    verbose: values.verbose,
    topics: topicsOf(values.topic),
    options: {
      port: integer('--port', values.port, 0, 65_535),
      brokers: integer('--brokers', values.brokers, 1, MAX_BROKERS),
      version: check.oneOf('--version', values.version, /** @type {const} */ (['4.9', '5.5'])),
      groups: values.group.length > 0 ? values.group.map((name) => check.group(`--group ${name}`, name)) : undefined,
    },
  }
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

/** @param {NonNullable<ReturnType<typeof parse>>} asked */
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
  if (asked !== null) return run(asked)
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
