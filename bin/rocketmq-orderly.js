#!/usr/bin/env node
'use strict'
// npx rocketmq-orderly test-broker: a TestBroker as a process, for programs in any language.

const { parseArgs } = require('node:util')
const { TestBroker } = require('../src/js/testing.js')

const USAGE = `Usage: rocketmq-orderly test-broker [options]

Runs a name server and brokers on 127.0.0.1 until Ctrl-C. They speak RocketMQ's protocol to clients in any language,
and keep nothing: what is stored is gone with the process.

  --port <port>           of the name server; 9876, 0 for any
  --topic <name[:queues]> makes a topic, of 4 queues; may be repeated. With it, other topics do not exist
  --group <name>          makes a consumer group; may be repeated. With it, other groups are refused
  --brokers <count>       1
  --version <4.9|5.5>     which broker line it behaves as; 5.5
  --verbose               prints what is stored
  --help
`

/** So much of a body is printed. */
const BODY_CHARACTERS = 200

class UsageError extends Error {}

function options(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        port: { type: 'string', default: '9876' },
        topic: { type: 'string', multiple: true },
        group: { type: 'string', multiple: true },
        brokers: { type: 'string', default: '1' },
        version: { type: 'string', default: '5.5' },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    return { values, positionals }
  } catch (error) {
    throw new UsageError(error.message)
  }
}

/** @param {string[]} topics */
function topicsOf(topics) {
  return Object.fromEntries(
    topics.map((topic) => {
      const [, name, queues = '4'] = /^(.*?)(?::(.*))?$/.exec(topic) ?? []
      return [name, number('--topic', queues)]
    }),
  )
}

function number(option, text) {
  if (!/^\d+$/.test(text)) throw new UsageError(`${option}: a number, not ${JSON.stringify(text)}`)
  return Number(text)
}

async function printStored(broker) {
  let places = []
  for (;;) {
    const stored = await TestBroker.storedSince(broker, places)
    places = stored.places
    for (const message of stored.messages) console.log(line(message))
  }
}

function line({ topic, queue, queueOffset, body, tags, keys, shardingKey }) {
  const text = body.toString('utf8')
  const cut = text.length > BODY_CHARACTERS ? `${text.slice(0, BODY_CHARACTERS)}… (${body.length} bytes)` : text
  const parts = [`${topic} ${queue.brokerName}:${queue.queueId} @${queueOffset}`]
  if (shardingKey !== undefined) parts.push(`key ${JSON.stringify(shardingKey)}`)
  if (tags !== undefined) parts.push(`tag ${JSON.stringify(tags)}`)
  if (keys.length > 0) parts.push(`keys ${JSON.stringify(keys)}`)
  return `${parts.join('  ')}  ${JSON.stringify(cut)}`
}

async function main() {
  const { values, positionals } = options(process.argv.slice(2))
  if (values.help) return console.log(USAGE)
  if (positionals.length !== 1 || positionals[0] !== 'test-broker') {
    throw new UsageError(positionals.length === 0 ? 'what to run is missing' : `unknown: ${positionals.join(' ')}`)
  }
  const broker = await TestBroker.start({
    port: number('--port', values.port),
    topics: values.topic && topicsOf(values.topic),
    groups: values.group,
    brokers: number('--brokers', values.brokers),
    version: values.version,
  })
  console.log(
    `TestBroker (as RocketMQ ${values.version}): name server ${broker.nameServer}, brokers ${broker.brokers.join(' ')}`,
  )
  console.log('It keeps nothing: everything stored is gone when it ends. Ctrl-C ends it.')
  const stop = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve)
  })
  if (values.verbose) printStored(broker).catch(ended)
  await stop
  await broker.close()
}

/** @param {any} error */
function ended(error) {
  if (error.code !== 'ERR_ROCKETMQ_CLOSED') throw error
}

main().catch((error) => {
  const isUsage = error instanceof UsageError || error.code === 'ERR_ROCKETMQ_INVALID_ARGUMENT'
  console.error(isUsage ? `rocketmq-orderly: ${error.message}\n\n${USAGE}` : error)
  process.exitCode = isUsage ? 2 : 1
})
