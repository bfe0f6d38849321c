'use strict'
// Sends the script's requests to one server and keeps of the answers what two servers can be compared by.

const { setTimeout: sleep } = require('node:timers/promises')
const { decodeStoredMessages } = require('../../__tests__/support/stored-message')
const { parseLenient } = require('../rocketmq/lenient-json')
const { Connection, encodeFrame } = require('../rocketmq/wire')

/** Until nothing more is expected. */
const UNANSWERED_MS = 1_500
/** Until what was acknowledged can be seen, on any broker. */
const VISIBLE_MS = 400
/** Fields of headers that never are the same twice; their presence is compared. */
const VARIABLE = new Set(['msgId', 'transactionId'])
/** Remarks of pulls are names; all others are words for people. */
const NAMED_REMARKS = new Set([11, 361])
/** Members of bodies that never are the same twice. */
const VARIABLE_MEMBERS = new Set(['dataVersion', 'stateVersion', 'timestamp', 'counter'])
/** Properties whose value the broker makes up when the sender gave none. */
const MADE_UP = /^(?:[0-9A-F]{24})?[0-9A-F]{32}$/

class Recorder {
  /** Answers by the name of their step, in order. @type {Map<string, string>} */
  answers = new Map()
  /** What the servers said to people. @type {Map<string, string>} */
  remarks = new Map()
  #kept = new Map()
  #pushed = []

  static async open({ nameServer, broker, answers }) {
    const recorder = new Recorder()
    if (answers) recorder.answers = answers
    recorder.nameServer = nameServer
    recorder.brokerAddress = broker
    recorder.brokerConnection = await Connection.open(broker, { onRequest: (push) => recorder.#push(push) })
    return recorder
  }

  /** Another client of the same broker; its answers go to the same record. */
  async other() {
    const { nameServer, brokerAddress, answers } = this
    return Recorder.open({ nameServer, broker: brokerAddress, answers })
  }

  close() {
    this.brokerConnection.close()
  }

  #push({ code, ext, body }) {
    const sorted = Object.fromEntries(Object.entries(ext).sort(([a], [b]) => (a < b ? -1 : 1)))
    this.#pushed.push({ code, ext: sorted, body: shape(body, this.brokerAddress) })
    return { code: 0, body: Buffer.from('{}') }
  }

  keep(name, response) {
    this.#kept.set(name, response)
  }

  kept(name) {
    return this.#kept.get(name)
  }

  /** Waits until acknowledged messages can be read. */
  async seen() {
    await sleep(VISIBLE_MS)
  }

  /** Waits until the name server knows these topics. */
  async routed(topics) {
    const connection = await Connection.open(this.nameServer)
    for (const topic of topics) {
      for (let tries = 0; tries < 200; tries++) {
        if ((await connection.call(105, { topic })).code === 0) break
        await sleep(50)
      }
    }
    connection.close()
  }

  /** What was pushed since the last look. */
  async pushes(name) {
    await sleep(100)
    this.#record(name, { pushed: this.#taken() })
  }

  broker(name, code, ext = {}, body = undefined, options = {}) {
    return this.#step(this.brokerConnection, name, code, ext, body, options)
  }

  async names(name, code, ext = {}, body = undefined, options = {}) {
    // Its own connection each time: one that was not answered may be of no more use.
    const connection = options.version
      ? await OldConnection.open(this.nameServer, options.version)
      : await Connection.open(this.nameServer)
    try {
      return await this.#step(connection, name, code, ext, body, options)
    } finally {
      connection.close()
    }
  }

  /** A request that waits at the broker; with `soon` it is compared whether it was answered without a look at held pulls. */
  async later(name, code, ext, { soon = false } = {}) {
    const began = performance.now()
    const response = await this.brokerConnection.call(code, ext, undefined, { timeoutMs: 40_000 })
    const waited = soon ? { soon: performance.now() - began < 1_500 } : {}
    this.#record(name, { ...waited, ...this.#comparable(code, response, {}) })
  }

  async #step(connection, name, code, ext, body, options) {
    let response
    try {
      response = await connection.call(code, ext, body, { timeoutMs: options.timeoutMs ?? UNANSWERED_MS + 2_000 })
    } catch (error) {
      this.#record(name, { unanswered: /was not answered/.test(error.message) ? 'time-out' : 'closed' })
      return undefined
    }
    if (response.remark) this.remarks.set(name, response.remark)
    if (options.settleMs) await sleep(options.settleMs)
    const pushed = this.#taken()
    const comparable = options.onlyCode ? { code: response.code } : this.#comparable(code, response, options)
    this.#record(name, pushed.length > 0 ? { ...comparable, pushed } : comparable)
    return response
  }

  #taken() {
    return this.#pushed.splice(0)
  }

  #record(name, value) {
    if (this.answers.has(name)) throw new Error(`Two steps are called ${name}`)
    this.answers.set(name, JSON.stringify(value))
  }

  #comparable(code, { code: answer, remark, ext, body }, { ignore = [], ignoreBody, pick, last }) {
    const fields = Object.keys(ext)
      .filter((name) => !ignore.includes(name))
      .sort()
      .map((name) => [name, VARIABLE.has(name) ? '*'.repeat(ext[name].split(',').length) : ext[name]])
    const comparable = { code: answer }
    if (NAMED_REMARKS.has(code) && [0, 19, 20, 21].includes(answer)) comparable.remark = remark
    if (fields.length > 0) comparable.ext = Object.fromEntries(fields)
    if (body.length === 0 || ignoreBody === true) return comparable
    const ignored = new Set(ignoreBody)
    comparable.body = shape(body, this.brokerAddress, ignored)
    if (pick) comparable.body = pick(comparable.body)
    if (last && Array.isArray(comparable.body)) comparable.body = comparable.body.slice(-1)
    return comparable
  }
}

/** A body as something that can be compared: stored messages, JSON, or its text. */
function shape(body, broker, ignored = new Set()) {
  if (body.length === 0) return undefined
  if (body[0] === 0) return decodeStoredMessages(body).map((message) => message_(message))
  const text = body.toString()
  try {
    return tidy(parseLenient(text.replaceAll(broker, 'BROKER')), ignored)
  } catch {
    return text
  }
}

function message_({ body, properties, queueOffset, queueId, topic, sysFlag, flag, reconsumeTimes }) {
  const own = Object.entries(properties)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [
      name,
      MADE_UP.test(value) ? '*' : value.length > 100 ? `${value.length} characters` : value,
    ])
  const size = body.length > 100 ? `${body.length} bytes` : body.toString()
  return { topic, queueId, queueOffset, sysFlag, flag, reconsumeTimes, body: size, properties: Object.fromEntries(own) }
}

/** Sorted, without what never is the same twice; lists of ids and queues have no order. */
function tidy(value, ignored) {
  if (Array.isArray(value)) {
    const items = value.map((item) => tidy(item, ignored))
    return items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  }
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).filter(([name]) => !ignored.has(name) && !VARIABLE_MEMBERS.has(name))
  return Object.fromEntries(
    members.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, item]) => [name, tidy(item, ignored)]),
  )
}

/** One request of a client of another version. */
class OldConnection {
  static async open(address, version) {
    const connection = new OldConnection()
    connection.address = address
    connection.version = version
    return connection
  }

  async call(code, ext) {
    const net = require('node:net')
    const [host, port] = this.address.split(':')
    const socket = net.connect(Number(port), host)
    socket.write(encodeFrame({ code, opaque: 1, version: this.version, language: 'OTHER', flag: 0, extFields: ext }))
    const chunks = []
    for await (const chunk of socket) {
      chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      if (bytes.length >= 8 && bytes.length >= 4 + bytes.readInt32BE(0)) {
        const headerLength = bytes.readInt32BE(4)
        const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))
        return {
          code: header.code,
          remark: header.remark,
          ext: header.extFields ?? {},
          body: bytes.subarray(8 + headerLength),
        }
      }
    }
    throw new Error('closed')
  }

  close() {}
}

module.exports = { Recorder }
