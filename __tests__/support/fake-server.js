'use strict'
// A server that answers the remoting protocol as a test likes, also badly.

const net = require('node:net')
const { encodeFrame } = require('../../scripts/rocketmq/wire')

const RESPONSE = 1

/** What a handler returns for "no answer". */
const SILENCE = Symbol('silence')

class FakeServer {
  /** Every request so far: { code, ext, body }. */
  requests = []
  accepted = 0
  #sockets = new Set()
  #server

  /** @param {(request: { code: number, ext: Record<string, string>, body: Buffer }) => any} handle resolves with the answer:
   *  { code, remark, ext, body }, a Buffer to be written as it is, or SILENCE */
  static async start(handle, { host = '127.0.0.1', port = 0 } = {}) {
    const server = new FakeServer()
    server.handle = handle
    await new Promise((resolve, reject) => server.#server.once('error', reject).listen(port, host, resolve))
    /** 'host:port', also when it is closed. */
    server.address = `${host}:${server.#server.address().port}`
    return server
  }

  constructor() {
    this.#server = net.createServer({ noDelay: true }, (socket) => {
      this.accepted++
      this.#sockets.add(socket)
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
      let received = Buffer.alloc(0)
      socket.on('data', (data) => {
        received = Buffer.concat([received, data])
        while (received.length >= 8 && received.length >= 4 + received.readInt32BE(0)) {
          const [end, headerEnd] = [4 + received.readInt32BE(0), 8 + (received.readInt32BE(4) & 0xffffff)]
          const header = JSON.parse(received.toString('utf8', 8, headerEnd))
          void this.#answer(socket, header, received.subarray(headerEnd, end))
          received = received.subarray(end)
        }
      })
    })
  }

  /** The requests with this code. */
  of(code) {
    return this.requests.filter((request) => request.code === code)
  }

  async #answer(socket, { code, opaque, extFields = {} }, body) {
    const request = { code, ext: extFields, body: Buffer.from(body) }
    this.requests.push(request)
    const answer = await this.handle(request)
    if (answer === SILENCE || socket.destroyed) return
    if (Buffer.isBuffer(answer)) return socket.write(answer)
    const { code: result = 0, remark, ext, body: content } = answer
    socket.write(
      encodeFrame({ code: result, remark, extFields: ext, flag: RESPONSE, opaque, language: 'JAVA' }, content),
    )
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** The answer of a name server: a topic with queues at one broker. */
function route(address, queues = 1, brokerName = 'broker-a') {
  const body = {
    brokerDatas: [{ brokerAddrs: { 0: address }, brokerName, cluster: 'c' }],
    filterServerTable: {},
    queueDatas: [{ brokerName, perm: 6, readQueueNums: queues, writeQueueNums: queues, topicSysFlag: 0 }],
  }
  return { body: Buffer.from(JSON.stringify(body)) }
}

/** The answer of a broker that has stored something. */
function stored(request, queueOffset) {
  return { ext: { msgId: `at-${queueOffset}`, queueId: request.ext.e, queueOffset: String(queueOffset) } }
}

module.exports = { FakeServer, SILENCE, route, stored }
