'use strict'
// Sends the script's requests to one server and keeps of the answers what two servers can be compared by.

const { setTimeout: sleep } = require('node:timers/promises')
const { decodeStoredMessages } = require('../../__tests__/support/stored-message')
const { Admin } = require('../rocketmq/admin')
const { parseLenient } = require('../rocketmq/lenient-json')
const { Connection, encodeFrame, pastBusy, sign } = require('../rocketmq/wire')
const { RawConnection } = require('./raw-connection')

/** Until nothing more is expected. */
const UNANSWERED_MS = 1_500
/** Until what is sure to come has come. */
const AWAITED_MS = 20_000
/** Requests that store messages: brokers acknowledge them before pulls, offsets and queries see them. */
const STORING = new Set([10, 36, 310, 320])
/** Fields of headers that never are the same twice; their presence is compared. */
const VARIABLE = new Set(['msgId', 'transactionId'])
/** Remarks of pulls are names; all others are words for people. */
const NAMED_REMARKS = new Set([11, 361])
/** Members of bodies that never are the same twice. */
const VARIABLE_MEMBERS = new Set(['dataVersion', 'stateVersion', 'timestamp', 'counter'])
/** Properties whose value the broker makes up when the sender gave none. */
const MADE_UP = /^(?:[0-9A-F]{24})?[0-9A-F]{32}$/

/** What was kept of one server's answers. */
class Record {
  /** Answers by the name of their step, in order. @type {Map<string, string>} */
  answers = new Map()
  /** What the servers said to people. @type {Map<string, string>} */
  remarks = new Map()
  /** The answers' codes by the code of the request. @type {Map<number, Set<number>>} */
  asked = new Map()
}

class Recorder {
  #kept = new Map()
  #pushed = []

  /**
   * `server` restarts and stops the broker, and says who administers it; the answers go to `record`. Clients of one broker share
   * `stored`: whether messages may have been stored that nobody sees yet.
   */
  static async open({ nameServer, broker, server, credentials, record, stored = { unseen: false } }) {
    const recorder = new Recorder()
    Object.assign(recorder, { nameServer, brokerAddress: broker, server, credentials, record, stored })
    await recorder.connect()
    return recorder
  }

  /** Another client of the same broker; its answers go to the same record. `credentials`: null for none. */
  async other({ credentials = this.credentials } = {}) {
    const { nameServer, brokerAddress: broker, server, record, stored } = this
    return Recorder.open({ nameServer, broker, server, credentials: credentials ?? undefined, record, stored })
  }

  /** Connects to the broker, again after it was away. */
  async connect() {
    this.brokerConnection?.close()
    const options = { credentials: this.credentials, onRequest: (push) => this.#push(push) }
    this.brokerConnection = await Connection.open(this.brokerAddress, options)
  }

  close() {
    this.brokerConnection.close()
  }

  #push({ code, ext, body }) {
    const own = Object.entries(ext).map(([name, value]) => [name, VARIABLE.has(name) ? '*' : value])
    const sorted = Object.fromEntries(own.sort(([a], [b]) => (a < b ? -1 : 1)))
    this.#pushed.push({ code, ext: sorted, body: shape(body, this.brokerAddress) })
    return { code: 0, body: Buffer.from('{}') }
  }

  keep(name, response) {
    this.#kept.set(name, response)
  }

  kept(name) {
    return this.#kept.get(name)
  }

  /** Waits until all that is stored can be read. Steps do so by themselves; behind raw bytes that store it must be asked for. */
  async seen() {
    const admin = new Admin(this.nameServer, { credentials: this.server.admin })
    await awaited(() => admin.isDispatched(this.brokerAddress), Boolean)
    await admin.close()
    this.stored.unseen = false
  }

  /** Before a request: others than those that store see what was stored. */
  async #follow(code) {
    if (STORING.has(code)) this.stored.unseen = true
    else if (this.stored.unseen) await this.seen()
  }

  /** Waits until the name server knows these topics. */
  async routed(topics) {
    for (const topic of topics) await this.route(topic, ({ code }) => code === 0)
  }

  /** Waits for what the name server says of a topic. */
  async route(topic, satisfied) {
    const connection = await Connection.open(this.nameServer)
    await awaited(() => connection.call(105, { topic, acceptStandardJsonOnly: true }), satisfied)
    connection.close()
  }

  /** An answer of the broker's; nothing is kept of it. */
  async ask(code, ext) {
    await this.#follow(code)
    return this.brokerConnection.call(code, ext)
  }

  /** Waits for an answer of the broker's; nothing is kept of it. */
  async awaits(code, ext, satisfied) {
    await awaited(() => this.brokerConnection.call(code, ext), satisfied)
  }

  /**
   * Bytes on a connection of their own, in pieces if asked. Kept: what comes back, until so many `frames`, or the frame with this
   * opaque (`until`), or the end.
   */
  async raw(
    name,
    bytes,
    { to = this.brokerAddress, frames = Infinity, until, piece = bytes.length, quietMs, onlyCode } = {},
  ) {
    if (this.stored.unseen) await this.seen()
    const connection = await RawConnection.open(to)
    for (let at = 0; at < bytes.length; at += piece) {
      connection.write(bytes.subarray(at, at + piece))
      if (at + piece < bytes.length) await sleep(1)
    }
    const came = []
    for (let last; came.length < frames && typeof last !== 'string' && !(last && last.opaque === until);) {
      last = await connection.next(quietMs)
      came.push(last)
    }
    connection.close()
    const kept = came.map((frame) => {
      if (typeof frame === 'string') return frame
      const { codec, code, opaque, flag, ext, body } = frame
      const request = (flag & 1) === 0
      return { codec, flag, ...(request ? {} : { opaque }), ...this.#comparable(0, { code, ext, body }, { onlyCode }) }
    })
    this.note(name, kept)
  }

  /** The fields of a request without a body as this recorder's account signs them. */
  signed(ext) {
    return sign(ext, Buffer.alloc(0), this.credentials)
  }

  /** Keeps something that was seen. */
  note(name, value) {
    this.#record(name, value)
  }

  /** What was pushed since the last look. */
  async pushes(name) {
    await sleep(100)
    this.#record(name, { pushed: this.#taken() })
  }

  async broker(name, code, ext = {}, body = undefined, options = {}) {
    await this.#follow(code)
    return this.#step(this.brokerConnection, name, code, ext, body, options)
  }

  async names(name, code, ext = {}, body = undefined, options = {}) {
    // Its own connection each time: one that was not answered may be of no more use.
    const connection = options.version
      ? await OldConnection.open(this.nameServer, options.version)
      : await Connection.open(this.nameServer, { credentials: options.credentials })
    try {
      return await this.#step(connection, name, code, ext, body, options)
    } finally {
      connection.close()
    }
  }

  /** A request that waits at the broker; with `soon` it is compared whether it was answered without a look at held pulls. */
  async later(name, code, ext, { soon = false } = {}) {
    await this.#follow(code)
    const began = performance.now()
    const response = await this.brokerConnection.call(code, ext, undefined, { timeoutMs: 40_000 })
    const waited = soon ? { soon: performance.now() - began < 1_500 } : {}
    this.#record(name, { ...waited, ...this.#comparable(code, response, {}) })
  }

  async #step(connection, name, code, ext, body, options) {
    let response
    try {
      const ask = () => connection.call(code, ext, body, { timeoutMs: options.timeoutMs ?? UNANSWERED_MS + 2_000 })
      response = await pastBusy(ask)
    } catch (error) {
      this.#record(name, { unanswered: /was not answered/.test(error.message) ? 'time-out' : 'closed' })
      return undefined
    }
    const { remarks, asked } = this.record
    if (response.remark) remarks.set(name, response.remark)
    asked.set(code, (asked.get(code) ?? new Set()).add(response.code))
    if (options.settleMs) await sleep(options.settleMs)
    const taken = this.#taken()
    const pushed = options.pushes === false ? [] : taken
    const comparable = this.#comparable(code, response, options)
    this.#record(name, pushed.length > 0 ? { ...comparable, pushed } : comparable)
    return response
  }

  #taken() {
    return this.#pushed.splice(0)
  }

  #record(name, value) {
    const { answers } = this.record
    if (answers.has(name)) throw new Error(`Two steps are called ${name}`)
    answers.set(name, JSON.stringify(value))
  }

  #comparable(code, { code: answer, remark, ext, body }, { ignore = [], ignoreBody, pick, last, onlyCode, words }) {
    if (onlyCode) return { code: answer }
    const fields = Object.keys(ext)
      .filter((name) => !ignore.includes(name))
      .sort()
      .map((name) => [name, VARIABLE.has(name) ? '*'.repeat(ext[name].split(',').length) : ext[name]])
    const comparable = { code: answer }
    const said = words?.(remark)
    if (said && answer !== 0) comparable.words = said
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

/** Asks again until the answer is as wanted; what comes then is compared all the same. */
async function awaited(ask, satisfied) {
  const deadline = Date.now() + AWAITED_MS
  while (!satisfied(await ask()) && Date.now() < deadline) await sleep(50)
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

module.exports = { Record, Recorder }
