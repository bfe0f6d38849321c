'use strict'
// RocketMQ's remoting protocol in its smallest form: JSON headers, one connection, requests matched by opaque.
// Shares no code with the addon: scripts set brokers up with it, and tests look behind the addon's back with it.

const crypto = require('node:crypto')
const net = require('node:net')
const tls = require('node:tls')
const { setTimeout: sleep } = require('node:timers/promises')

/** What we say we are: 4.9.8, so that routes come as standard JSON and a stopping 5.x broker still serves us. */
const VERSION = 409
const RESPONSE = 1
const ONEWAY = 2
const MAX_FRAME = 16 * 1024 * 1024
/** A broker that has let a request wait for 200 ms refuses it so, and does nothing. */
const SYSTEM_BUSY = 2
const BUSY_PAUSE_MS = 100
/** How often a busy broker is asked. */
const MOST_TRIES = 50

/** An answer with a code that the caller did not expect. */
class ResponseError extends Error {
  constructor(request, response, address) {
    super(`Request ${request} to ${address} was answered ${response.code}: ${response.remark ?? ''}`)
    this.name = 'ResponseError'
    this.code = response.code
    this.remark = response.remark
  }
}

/** One frame: i32 length, i32 with the codec in its high byte and the header's length, header, body. */
function encodeFrame(header, body = Buffer.alloc(0)) {
  const text = Buffer.from(JSON.stringify(header))
  const prefix = Buffer.alloc(8)
  prefix.writeInt32BE(4 + text.length + body.length, 0)
  prefix.writeInt32BE(text.length, 4)
  return Buffer.concat([prefix, text, body])
}

/** The extra fields of a request with the account's key and the signature over all values and the body. */
function sign(ext, body, credentials) {
  const fields = { ...ext, AccessKey: credentials.accessKey }
  if (credentials.securityToken) fields.SecurityToken = credentials.securityToken
  const values = Object.keys(fields)
    .sort()
    .map((key) => Buffer.from(fields[key]))
  const content = Buffer.concat([...values, body])
  const signature = crypto.createHmac('sha1', credentials.secretKey).update(content).digest('base64')
  return { ...fields, Signature: signature }
}

/** The answer to a request that is asked again as long as the broker is too busy to look at it. @param {() => Promise<object>} ask */
async function pastBusy(ask) {
  let response = await ask()
  for (let tries = 1; response.code === SYSTEM_BUSY && tries < MOST_TRIES; tries++) {
    await sleep(BUSY_PAUSE_MS)
    response = await ask()
  }
  return response
}

class Connection {
  #socket
  #credentials
  #onRequest
  #waiting = new Map()
  #nextOpaque = 1
  #received = Buffer.alloc(0)
  #failure

  /**
   * @param {string} address 'host:port'
   * @param {{ credentials?: { accessKey: string, secretKey: string, securityToken?: string }, timeoutMs?: number,
   *   tls?: import('node:tls').ConnectionOptions,
   *   onRequest?: (request: object) => void | { code?: number, remark?: string, body?: Buffer } }} [options] onRequest sees what
   *   the broker asks; what it returns is the answer
   */
  static async open(address, { credentials, onRequest, tls: secured, timeoutMs = 10_000 } = {}) {
    const at = address.lastIndexOf(':')
    const target = { host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true }
    const socket = secured ? tls.connect({ ...target, ...secured }) : net.connect(target)
    await new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => socket.destroy(new Error(`No connection to ${address} in ${timeoutMs} ms`)),
        timeoutMs,
      )
      socket.once('error', reject)
      socket.once(secured ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer)
        socket.off('error', reject)
        resolve()
      })
      socket.once('close', () => clearTimeout(timer))
    })
    return new Connection(socket, address, credentials, onRequest)
  }

  constructor(socket, address, credentials, onRequest) {
    this.address = address
    this.#socket = socket
    this.#credentials = credentials
    this.#onRequest = onRequest
    socket.on('data', (data) => this.#read(data))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error(`Connection to ${address} closed`)))
  }

  get closed() {
    return this.#failure !== undefined
  }

  /**
   * Sends a request and resolves with its response whatever its code: { code, remark, ext, body, version }.
   * Numbers and booleans in `ext` are written as text, null and undefined left out; `body` is a Buffer or goes as JSON.
   */
  call(code, ext = {}, body = undefined, { timeoutMs = 20_000, oneway = false } = {}) {
    if (this.#failure) return Promise.reject(this.#failure)
    const opaque = this.#nextOpaque++
    const bytes =
      body === undefined || Buffer.isBuffer(body) ? (body ?? Buffer.alloc(0)) : Buffer.from(JSON.stringify(body))
    const present = Object.entries(ext).filter(([, value]) => value !== null && value !== undefined)
    let extFields = Object.fromEntries(present.map(([key, value]) => [key, String(value)]))
    if (this.#credentials) extFields = sign(extFields, bytes, this.#credentials)
    const header = { code, language: 'OTHER', version: VERSION, opaque, flag: oneway ? ONEWAY : 0, extFields }
    this.#socket.write(encodeFrame(header, bytes))
    if (oneway) return Promise.resolve(undefined)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(opaque)
        reject(new Error(`Request ${code} to ${this.address} was not answered in ${timeoutMs} ms`))
      }, timeoutMs)
      this.#waiting.set(opaque, {
        resolve: (value) => (clearTimeout(timer), resolve(value)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      })
    })
  }

  /** As call(), but a busy broker is asked again, and any other answer except 0 (or one of `accept`) rejects with a ResponseError. */
  async request(code, ext, body, { accept = [0], ...options } = {}) {
    const ask = () => this.call(code, ext, body, options)
    const response = await (accept.includes(SYSTEM_BUSY) ? ask() : pastBusy(ask))
    if (!accept.includes(response.code)) throw new ResponseError(code, response, this.address)
    return response
  }

  close() {
    this.#fail(new Error(`Connection to ${this.address} closed by us`))
    this.#socket.destroy()
  }

  #read(data) {
    this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data])
    while (this.#received.length >= 8) {
      const length = this.#received.readInt32BE(0)
      const mark = this.#received.readInt32BE(4)
      if (length < 4 || length > MAX_FRAME || mark >>> 24 !== 0) {
        this.#socket.destroy(new Error(`Not a JSON frame from ${this.address}: length ${length}, mark ${mark}`))
        return
      }
      if (this.#received.length < 4 + length) return
      const header = JSON.parse(this.#received.toString('utf8', 8, 8 + mark))
      const body = Buffer.from(this.#received.subarray(8 + mark, 4 + length))
      this.#received = this.#received.subarray(4 + length)
      const { code, remark, opaque, flag = 0, version, extFields } = header
      const frame = { code, remark: remark ?? undefined, ext: extFields ?? {}, body, version }
      if (flag & RESPONSE) {
        this.#waiting.get(opaque)?.resolve(frame)
        this.#waiting.delete(opaque)
      } else {
        this.#answer(opaque, flag, frame)
      }
    }
  }

  #answer(opaque, flag, request) {
    const answer = this.#onRequest?.(request) ?? { code: 3, remark: 'not supported' }
    if (flag & ONEWAY) return
    const { code = 0, remark, body } = answer
    this.#socket.write(encodeFrame({ code, remark, language: 'OTHER', version: VERSION, opaque, flag: RESPONSE }, body))
  }

  #fail(error) {
    this.#failure ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
  }
}

/** The release that a peer's version number stands for, e.g. 513 → '5.5.0' (each minor release has 20 numbers). */
function releaseOf(version) {
  const since4 = version - 213
  const minor = Math.floor(since4 / 20)
  const patch = Math.floor((since4 % 20) / 2)
  return minor < 10 ? `4.${minor}.${patch}` : `5.${minor - 10}.${patch}`
}

module.exports = { Connection, ResponseError, encodeFrame, pastBusy, releaseOf, sign }
