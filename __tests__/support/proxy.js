'use strict'
// A TCP proxy that does to connections what networks do to them.

const net = require('node:net')

/** @typedef {'up' | 'down'} Direction towards the server, towards the client */

/** A line may catch up so much of what a busy process has kept it from, in seconds. */
const CATCH_UP = 1

/** One direction of a thin line: bytes leave it in their order, at its pace, and so many milliseconds late. */
class Line {
  /** Bytes per second. */
  rate = Infinity
  latencyMs = 0
  /** While more than this waits, nothing is read from whoever sends. */
  window = 16 * 1024
  /** Largest piece that leaves at once. */
  trickle = 64 * 1024
  /** Bytes that have left. */
  passed = 0
  /** How long it had nothing to carry: the senders' doing, however slow the machine is. */
  idleMs = 0

  #waiting = []
  #bytes = 0
  #credit = 0
  #at = performance.now()
  #isTicking = false
  #paused = new Set()

  get isThin() {
    return this.rate !== Infinity || this.latencyMs > 0 || this.#bytes > 0
  }

  /** @param {import('node:net').Socket} from  @param {(piece: Buffer) => void} to */
  push(bytes, from, to) {
    if (this.#bytes === 0) {
      this.idleMs += performance.now() - this.#at
      this.#at = performance.now()
    }
    this.#waiting.push({ bytes, to, notBefore: performance.now() + this.latencyMs })
    this.#bytes += bytes.length
    if (this.#bytes > this.window) this.#paused.add(from.pause())
    if (!this.#isTicking) this.#later()
  }

  /** Nothing waits any more. */
  clear() {
    this.#waiting = []
    this.#bytes = 0
  }

  #later() {
    this.#isTicking = true
    setTimeout(() => this.#tick(), 5)
  }

  #tick() {
    this.#isTicking = false
    const now = performance.now()
    const earned = this.rate === Infinity ? Infinity : (this.rate * (now - this.#at)) / 1_000
    this.#credit = Math.min(this.#credit + earned, this.rate * CATCH_UP)
    this.#at = now
    while (this.#waiting.length > 0 && this.#credit >= 1 && this.#waiting[0].notBefore <= now) {
      const first = this.#waiting[0]
      const piece = first.bytes.subarray(0, Math.min(this.#credit, this.trickle))
      first.to(piece)
      first.bytes = first.bytes.subarray(piece.length)
      if (first.bytes.length === 0) this.#waiting.shift()
      this.#bytes -= piece.length
      this.#credit -= piece.length
      this.passed += piece.length
    }
    if (this.#bytes <= this.window) {
      for (const socket of this.#paused) socket.resume()
      this.#paused.clear()
    }
    if (this.#waiting.length > 0) this.#later()
    else this.#credit = 0
  }
}

class FaultProxy {
  /** Towards the server and towards the client, over all connections: how thin the line is. */
  up = new Line()
  down = new Line()
  /** Bytes in both directions vanish, and nobody is told. */
  blackhole = false
  /** Every piece waits so long, in milliseconds. */
  delayMs = 0
  /** What was accepted so far. */
  accepted = 0
  /** Whoever connects is reset at once. */
  refuses = false

  #server
  #target
  #rewrite
  /** @type {Set<{ client: net.Socket, server: net.Socket }>} */
  #links = new Set()
  /** @type {Record<Direction, number>} */
  #allowed = { up: Infinity, down: Infinity }

  /**
   * @param {string} target 'host:port'
   * @param {(frame: Buffer) => Buffer} [rewrite] changes whole frames on their way down
   */
  static async start(target, rewrite) {
    const proxy = new FaultProxy(target, rewrite)
    await new Promise((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  constructor(target, rewrite) {
    const at = target.lastIndexOf(':')
    this.#target = { host: target.slice(0, at), port: Number(target.slice(at + 1)), noDelay: true, allowHalfOpen: true }
    this.#rewrite = rewrite
    this.#server = net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.#link(client))
  }

  get address() {
    return `127.0.0.1:${this.#server.address().port}`
  }

  /** Lets `bytes` more bytes go this way, over all connections; then resets the connection that would carry the next one. */
  cut(direction, bytes) {
    this.#allowed[direction] = bytes
  }

  /** Whether a cut is still to come. */
  get isCutting() {
    return this.#allowed.up !== Infinity || this.#allowed.down !== Infinity
  }

  /** Resets every connection. */
  reset() {
    for (const link of this.#links) this.#end(link)
  }

  async close() {
    this.reset()
    for (const line of [this.up, this.down]) line.clear()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #link(client) {
    this.accepted++
    if (this.refuses) return void client.on('error', () => {}).resetAndDestroy()
    const link = { client, server: net.connect(this.#target) }
    this.#links.add(link)
    // Half open, so that Node.js shuts nothing down by itself: to reset a socket that is shutting down fails, and leaves a handle
    // behind over which the process spins for ever when it ends.
    for (const socket of [client, link.server]) {
      for (const event of ['end', 'close']) socket.on(event, () => this.#end(link))
      socket.on('error', () => {})
    }
    const down = this.#rewrite ? framed(this.#rewrite, (frame) => this.#pass(link, 'down', frame)) : undefined
    client.on('data', (bytes) => this.#pass(link, 'up', bytes))
    link.server.on('data', down ?? ((bytes) => this.#pass(link, 'down', bytes)))
  }

  #pass(link, direction, bytes) {
    if (this.blackhole) return
    const allowed = this.#allowed[direction]
    const passed = bytes.subarray(0, Math.min(allowed, bytes.length))
    this.#allowed[direction] -= passed.length
    const to = direction === 'up' ? link.server : link.client
    const write = () => {
      if (passed.length > 0 && !to.destroyed) to.write(passed)
      if (passed.length < bytes.length) setImmediate(() => this.#end(link))
    }
    if (passed.length < bytes.length) this.#allowed[direction] = Infinity
    else if (this[direction].isThin) {
      const from = direction === 'up' ? link.client : link.server
      return this[direction].push(bytes, from, (piece) => to.destroyed || to.write(piece))
    }
    this[direction].passed += passed.length
    if (this.delayMs > 0) setTimeout(write, this.delayMs)
    else write()
  }

  #end(link) {
    this.#links.delete(link)
    for (const socket of [link.client, link.server]) if (!socket.destroyed) socket.resetAndDestroy()
  }
}

/** Cuts a stream into frames of the remoting protocol. */
function framed(rewrite, next) {
  let received = Buffer.alloc(0)
  return (bytes) => {
    received = Buffer.concat([received, bytes])
    while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
      const length = 4 + received.readInt32BE(0)
      next(rewrite(received.subarray(0, length)))
      received = received.subarray(length)
    }
  }
}

/**
 * Has a name server's frames name other addresses: real ones by their replacements.
 * @param {Map<string, string>} addresses
 * @param {() => boolean} [isHeadless] whether masters are shown as slaves
 */
function elsewhere(addresses, isHeadless = () => false) {
  return (frame) => {
    const headerEnd = 8 + (frame.readInt32BE(4) & 0xffffff)
    let body = frame.subarray(headerEnd).toString()
    for (const [real, replacement] of addresses) body = body.replaceAll(`"${real}"`, `"${replacement}"`)
    if (isHeadless()) body = body.replaceAll(/("brokerAddrs":\{"?)0/g, '$11')
    const rewritten = Buffer.concat([frame.subarray(0, headerEnd), Buffer.from(body)])
    rewritten.writeInt32BE(rewritten.length - 4, 0)
    return rewritten
  }
}

/** A name server and brokers of which everything is reached through proxies; closed after the test by `clients`. */
class ProxiedCluster {
  /** Routes show no master. */
  isHeadless = false
  #real
  #shown = new Map()

  /**
   * @param {{ nameServer: string, brokers: { address: string }[] }} real
   * @param {(frame: Buffer) => Buffer} [rewrite] changes what brokers say
   */
  static async start({ nameServer, brokers }, rewrite) {
    const cluster = new ProxiedCluster()
    cluster.#real = brokers.map(({ address }) => address)
    cluster.brokers = await Promise.all(cluster.#real.map((address) => FaultProxy.start(address, rewrite)))
    cluster.#real.forEach((address, i) => cluster.#shown.set(address, cluster.brokers[i].address))
    cluster.nameServer = await FaultProxy.start(nameServer, cluster.elsewhere)
    return cluster
  }

  /** Has a name server's frames name the proxies of the brokers. */
  get elsewhere() {
    return elsewhere(this.#shown, () => this.isHeadless)
  }

  /** Moves a broker to another address: routes show that from now on, and at the old one nobody is left. */
  async move(index = 0) {
    const before = this.brokers[index]
    this.brokers[index] = await FaultProxy.start(this.#real[index])
    this.#shown.set(this.#real[index], this.brokers[index].address)
    await before.close()
  }

  close() {
    return Promise.all([this.nameServer, ...this.brokers].map((proxy) => proxy.close()))
  }
}

module.exports = { FaultProxy, ProxiedCluster, elsewhere }
