'use strict'
// Decodes what a pull returns: stored messages, back to back.

const zlib = require('node:zlib')

const MAGIC_V1 = 0xdaa320a7
const MAGIC_V2 = 0xdaa320ab
const COMPRESSED = 0x1
const BORN_HOST_V6 = 0x10
const STORE_HOST_V6 = 0x20
/** Bits 8-10: 0 and 3 are zlib. */
const COMPRESSION_TYPE = 0x700
const ZLIB = [0, 0x300]

/** All messages of a pull's body. Throws on anything unexpected: a test must not overlook it. */
function decodeStoredMessages(bytes) {
  const messages = []
  for (let at = 0; at < bytes.length;) {
    const size = bytes.readInt32BE(at)
    if (size <= 0 || at + size > bytes.length)
      throw new Error(`A stored message of ${size} bytes at ${at} of ${bytes.length}`)
    messages.push(decodeOne(bytes.subarray(at, at + size)))
    at += size
  }
  return messages
}

function decodeOne(bytes) {
  let at = 4
  const take = (length) => bytes.subarray(at, (at += length))
  const i32 = () => take(4).readInt32BE()
  const i64 = () => Number(take(8).readBigInt64BE())
  const host = (isV6) => {
    const ip = take(isV6 ? 16 : 4)
    return { ip, port: i32() }
  }

  const magic = i32() >>> 0
  if (magic !== MAGIC_V1 && magic !== MAGIC_V2) throw new Error(`Magic ${magic.toString(16)} of a stored message`)
  const bodyCrc = i32()
  const queueId = i32()
  const flag = i32()
  const queueOffset = i64()
  const physicalOffset = i64()
  const sysFlag = i32()
  const bornTimestamp = i64()
  const bornHost = host(sysFlag & BORN_HOST_V6)
  const storeTimestamp = i64()
  const storeHost = host(sysFlag & STORE_HOST_V6)
  const reconsumeTimes = i32()
  i64() // prepared transaction offset
  const stored = take(i32())
  const topic = take(magic === MAGIC_V1 ? take(1).readUInt8() : take(2).readUInt16BE()).toString()
  const properties = decodeProperties(take(take(2).readInt16BE()).toString())
  if (at !== bytes.length) throw new Error(`A stored message has ${bytes.length - at} bytes more than its parts`)

  const inflates = sysFlag & COMPRESSED && ZLIB.includes(sysFlag & COMPRESSION_TYPE)
  return {
    topic,
    queueId,
    queueOffset,
    body: inflates ? zlib.inflateSync(stored) : Buffer.from(stored),
    /** As stored. */
    storedBody: Buffer.from(stored),
    properties,
    tags: properties.TAGS,
    keys: properties.KEYS?.split(' ') ?? [],
    shardingKey: properties.__SHARDINGKEY,
    msgId: properties.UNIQ_KEY,
    offsetMsgId: offsetMessageId(storeHost, physicalOffset),
    storeTimestamp,
    bornTimestamp,
    bornPort: bornHost.port,
    reconsumeTimes,
    sysFlag,
    flag,
    bodyCrc,
    physicalOffset,
  }
}

function decodeProperties(text) {
  const properties = Object.create(null)
  for (const item of text.split('\x02')) {
    const at = item.indexOf('\x01')
    if (at >= 1 && at < item.length - 1) properties[item.slice(0, at)] = item.slice(at + 1)
  }
  return properties
}

function encodeProperties(properties) {
  return Object.entries(properties)
    .map(([name, value]) => `${name}\x01${value}\x02`)
    .join('')
}

/** Address, port and place in the commit log, in upper-case hex: the id by which brokers find a message. */
function offsetMessageId({ ip, port }, physicalOffset) {
  const tail = Buffer.alloc(12)
  tail.writeInt32BE(port, 0)
  tail.writeBigInt64BE(BigInt(physicalOffset), 4)
  return Buffer.concat([ip, tail]).toString('hex').toUpperCase()
}

module.exports = { decodeStoredMessages, encodeProperties }
