#!/usr/bin/env node
'use strict'
// node scripts/rocketmq/cli.js start: a real RocketMQ on this machine until Ctrl-C.

const { parseArgs } = require('node:util')
const { Cluster, VERSIONS } = require('./cluster')
const { classPath } = require('./jars')

const USAGE = `Usage:
  node scripts/rocketmq/cli.js start [options]    runs a name server and brokers until Ctrl-C
  node scripts/rocketmq/cli.js resolve            only fetches what start needs from Maven Central

Options of start:
  --version <version>    ${VERSIONS.join(' or ')} (default: the newest)
  --port <port>          of the name server; 9876
  --broker-port <port>   of the first broker; 10911. Each further one: + 100
  --brokers <count>      masters; 1
  --acl                  with access control; prints the accounts
  --topic <name[:queues]>    makes a topic; may be repeated
  --set <key=value>      a setting of the brokers; may be repeated
  --keep <dir>           keeps the store and the logs there; otherwise they are temporary
`

async function start(options) {
  const count = (text, name) => {
    const number = Number(text)
    if (!Number.isInteger(number) || number < 1) throw new UsageError(`--${name}: a number, not ${text}`)
    return number
  }
  const brokers = count(options.brokers, 'brokers')
  const first = count(options['broker-port'], 'broker-port')
  const cluster = await Cluster.start({
    version: options.version,
    port: count(options.port, 'port'),
    brokerPorts: Array.from({ length: brokers }, (_, index) => first + 100 * index),
    brokers,
    acl: options.acl,
    brokerProperties: Object.fromEntries(options.set.map((setting) => setting.split(/=(.*)/s).slice(0, 2))),
    keepDir: options.keep,
  })
  for (const topic of options.topic) {
    const [name, queues] = topic.split(':')
    await cluster.createTopic(name, queues ? { queues: count(queues, 'topic') } : {})
  }
  console.log(`RocketMQ ${cluster.version} at ${cluster.nameServer}`)
  for (const { name, address } of cluster.brokers) console.log(`  ${name} at ${address}`)
  for (const [who, account] of Object.entries(cluster.accounts ?? {})) {
    console.log(`  ${who}: access key ${account.accessKey}, secret key ${account.secretKey}`)
  }
  console.log('Ctrl-C ends it.')
  await new Promise((resolve) => ['SIGINT', 'SIGTERM', 'SIGHUP'].forEach((signal) => process.once(signal, resolve)))
  await cluster.stop()
}

class UsageError extends Error {}

async function main() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      version: { type: 'string', default: VERSIONS.at(-1) },
      port: { type: 'string', default: '9876' },
      'broker-port': { type: 'string', default: '10911' },
      brokers: { type: 'string', default: '1' },
      acl: { type: 'boolean', default: false },
      topic: { type: 'string', multiple: true, default: [] },
      set: { type: 'string', multiple: true, default: [] },
      keep: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    return undefined
  }
  if (positionals[0] === 'start') return start(values)
  if (positionals[0] !== 'resolve') throw new UsageError(`start or resolve, not ${positionals[0] ?? 'nothing'}`)
  for (const version of VERSIONS) for (const kind of ['server', 'client']) await classPath(version, kind)
}

main().catch((error) => {
  const usage = error instanceof UsageError || error.code?.startsWith('ERR_PARSE_ARGS')
  console.error(usage ? `${error.message}\n\n${USAGE}` : error.message)
  process.exitCode = usage ? 2 : 1
})
