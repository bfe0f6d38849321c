'use strict'
// Bytes to a server, whatever they are, and the frames that come back, in either codec.

const net = require('node:net')
const { encodeFrame } = require('../rocketmq/wire')

/** A binary header's language: OTHER. */
const OTHER = 7
const VERSION = 409
/** Of a binary header, without remark and fields. */
const FIXED = 21

/** A frame with a header of JSON. */
function jsonFrame(header, body) {
  return encodeFrame({ language: 'OTHER', version: VERSION, flag: 0, extFields: {}, ...header }, body)
}

/** A frame around any header. */
function frameOf(type, header, body = Buffer.alloc(0), { total, headerLength } = {}) {
  const prefix = Buffer.alloc(8)
  prefix.writeInt32BE(total ?? 4 + header.length + body.length, 0)
  prefix.writeUInt32BE(((type << 24) | (headerLength ?? header.length)) >>> 0, 4)
  return Buffer.concat([prefix, header, body])
}

/** A frame with a binary header. */
function binaryFrame({ code, opaque, flag = 0, extFields = {} }, body) {
  const entries = Object.entries(extFields).map(([name, value]) => {
    const [key, text] = [Buffer.from(name), Buffer.from(String(value))]
    const entry = Buffer.alloc(6 + key.length + text.length)
    entry.writeInt16BE(key.length, 0)
    key.copy(entry, 2)
    entry.writeInt32BE(text.length, 2 + key.length)
    text.copy(entry, 6 + key.length)
    return entry
  })
  const fields = Buffer.concat(entries)
  const fixed = Buffer.alloc(FIXED)
  fixed.writeInt16BE(code, 0)
  fixed.writeUInt8(OTHER, 2)
  fixed.writeInt16BE(VERSION, 3)
  fixed.writeInt32BE(opaque, 5)
  fixed.writeInt32BE(flag, 9)
  fixed.writeInt32BE(fields.length, 17)
  return frameOf(1, Buffer.concat([fixed, fields]), body)
}

/** What a binary header says. */
function binaryHeader(bytes) {
  let at = 13
  const text = (length) => bytes.toString('utf8', at, (at += length))
  const int = () => bytes.readInt32BE((at += 4) - 4)
  const remark = text(int())
  const end = int() + at
  const extFields = {}
  while (at < end) {
    const name = text(bytes.readInt16BE((at += 2) - 2))
    extFields[name] = text(int())
  }
  return { code: bytes.readInt16BE(0), opaque: bytes.readInt32BE(5), flag: bytes.readInt32BE(9), remark, extFields }
}

class RawConnection {
  #socket
  #received = Buffer.alloc(0)
  #ended = false
  #wake = () => {}

  static async open(address) {
    const [host, port] = address.split(':')
    const socket = net.connect({ host, port: Number(port), noDelay: true })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new RawConnection(socket)
  }

  constructor(socket) {
    this.#socket = socket
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data])
      this.#wake()
    })
    // A reset is an end, too.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  write(bytes) {
    this.#socket.write(bytes)
  }

  close() {
    this.#socket.destroy()
  }

  /** The next frame: { codec, code, opaque, flag, ext, body }; 'closed' at the end, 'silent' when nothing has come for so long. */
  async next(timeoutMs = 10_000) {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const frame = this.#take()
      if (frame) return frame
      if (this.#ended) return 'closed'
      const left = deadline - Date.now()
      if (left <= 0) return 'silent'
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  #take() {
    const bytes = this.#received
    if (bytes.length < 8 || bytes.length < 4 + bytes.readInt32BE(0)) return undefined
    const end = 4 + bytes.readInt32BE(0)
    const headerEnd = 8 + (bytes.readUInt32BE(4) & 0xffffff)
    const codec = bytes[4] === 1 ? 'binary' : 'JSON'
    const header = bytes.subarray(8, headerEnd)
    const { code, opaque, flag, extFields } = codec === 'binary' ? binaryHeader(header) : JSON.parse(header.toString())
    this.#received = bytes.subarray(end)
    return { codec, code, opaque, flag, ext: extFields ?? {}, body: bytes.subarray(headerEnd, end) }
  }
}

module.exports = { RawConnection, binaryFrame, frameOf, jsonFrame }
