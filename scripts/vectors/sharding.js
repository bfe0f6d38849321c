'use strict'
// Makes sharding.json: into which queues other clients put 1 000 sharding keys, over 1, 3, 8 and 16 queues of two brokers.
//
//   node scripts/vectors/sharding.js          needs Java, Maven, Go and g++
//
// 'go' is the genuine client, which sends to a real cluster, and 'proxy' a real 5.x proxy, to which the genuine gRPC client sends; where
// their messages are is read from the store. Go's is of a commit behind 2.1.2, which lists a topic's brokers in the reverse of the order that the
// name server happens to give them in. 'cpp' is the formula of the C++ client's source in C++, whose list of queues
// is, as that of the others, sorted by broker name and number (src/protocol/TopicRouteData.h, src/MQClientFactory.cpp).

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { TestAdmin } = require('../../__tests__/support/admin')
const { Cluster } = require('../rocketmq/cluster')
const { peerCommand } = require('../rocketmq/peer')
const { Proxy } = require('../rocketmq/proxy')

const VERSION = '5.5.0'
const RESULT = path.join(__dirname, 'sharding.json')
const PEERS = path.join(__dirname, '..', 'peers')
/** Queues of each topic, by broker: unequal where that is possible, so that the order of the brokers counts. */
const TOPICS = {
  1: { 'broker-b': 1 },
  3: { 'broker-a': 1, 'broker-b': 2 },
  8: { 'broker-a': 3, 'broker-b': 5 },
  16: { 'broker-a': 9, 'broker-b': 7 },
}

/** Of all lengths that a proxy takes (63), of 1 to 4 bytes a character, and those whose hash code has no absolute value. */
function makeKeys() {
  const words = ['order_', 'order-', 'user:', '订单', 'é', '😀', 'Ω/', 'a b ']
  const keys = new Set(['polygenelubricants', 'GydZG_', 'DESIGNING WORKHOUSES', 'Aa', 'BB', '*', '订单号10086'])
  for (let length = 1; length < 64; length++) keys.add('0123456789abcdef'.repeat(4).slice(0, length))
  for (let i = 0; keys.size < 1_000; i++) keys.add(`${words[i % words.length]}${i * (i % 3 === 0 ? 1 : 7919)}`)
  return [...keys]
}

/** Runs a program to its end; resolves with what it has written. */
function run([command, ...args], { input = '', cwd } = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { cwd, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command} ${args.join(' ')}: ${stderr || error.message}`))
      else resolve(stdout)
    })
    child.stdin.end(input)
  })
}

class Vectors {
  keys = makeKeys()
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-vectors-'))
  #topics = 0

  get #lines() {
    return this.keys.map((key) => `${key}\n`).join('')
  }

  async open() {
    this.cluster = await Cluster.start({ version: VERSION, brokers: 2 })
    this.admin = new TestAdmin(this.cluster.nameServer)
    this.proxy = await Proxy.start({ version: VERSION, nameServer: this.cluster.nameServer })
  }

  async close() {
    await this.proxy?.stop()
    await this.admin?.close()
    await this.cluster?.stop()
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The digits of where a client has put each key. @param {(topic: string) => string[] | Promise<string[]>} command that sends */
  async sent(queues, command, attributes) {
    const topic = `vectors-${++this.#topics}`
    for (const [broker, count] of Object.entries(queues)) {
      await this.admin.createTopic(topic, { queues: count, brokers: [broker], attributes })
    }
    await run(await command(topic), { input: this.#lines, cwd: this.#folder })
    const list = await this.admin.queues(topic)
    const stored = await this.admin.readBack(topic, { expected: this.keys.length })
    const index = ({ brokerName, queueId }) =>
      list.findIndex((queue) => queue.brokerName === brokerName && queue.queueId === queueId)
    const indices = new Map(stored.map((message) => [message.body.toString(), index(message)]))
    return digits(this.keys.map((key) => indices.get(key)))
  }

  async go(queues) {
    this.goProgram ??= await this.#built(['go', 'build', '-mod=readonly', '-o'], '.', 'go')
    return this.sent(queues, (topic) => [this.goProgram, this.cluster.nameServer, topic])
  }

  async proxied(queues) {
    const source = path.join(PEERS, 'grpc', 'GroupPeer.java')
    const command = await peerCommand(source, { version: VERSION, home: this.#folder, kind: 'grpc' })
    return this.sent(queues, (topic) => [...command, this.proxy.address, topic], '+message.type=FIFO')
  }

  async cpp(queues) {
    this.cppProgram ??= await this.#built(['g++', '-O1', '-o'], 'index.cpp', 'cpp')
    const count = Object.values(queues).reduce((sum, queues) => sum + queues, 0)
    const lines = await run([this.cppProgram, String(count)], { input: this.#lines })
    return digits(lines.trim().split('\n').map(Number))
  }

  async #built(command, source, kind) {
    const program = path.join(this.#folder, kind)
    await run([...command, program, source], { cwd: path.join(__dirname, kind) })
    return program
  }
}

/** One digit in base 36 for each. */
function digits(indices) {
  if (!indices.every((index) => index >= 0 && index < 36)) throw new Error(`No index of a queue: ${indices}`)
  return indices.map((index) => index.toString(36)).join('')
}

async function main() {
  const vectors = new Vectors()
  try {
    await vectors.open()
    const hashes = { go: {}, cpp: {}, proxy: {} }
    for (const [count, queues] of Object.entries(TOPICS)) {
      hashes.go[count] = await vectors.go(queues)
      hashes.cpp[count] = await vectors.cpp(queues)
      hashes.proxy[count] = await vectors.proxied(queues)
    }
    const made = {
      go: 'github.com/apache/rocketmq-client-go/v2 v2.1.3-0.20251226070945-2173d070fd1b, NewHashQueueSelector',
      cpp: 'rocketmq-client-cpp 2.2.0, SendMessageOrderlyByShardingKey, libstdc++ on 64 bits',
      proxy: `rocketmq-proxy ${VERSION}, to which rocketmq-client-java 5.0.8 sends message groups`,
    }
    fs.writeFileSync(RESULT, `${JSON.stringify({ made, topics: TOPICS, keys: vectors.keys, hashes }, null, 2)}\n`)
  } finally {
    await vectors.close()
  }
}

void main()
