'use strict'
// What a connection is worth: binary headers, frames cut and joined, and bytes that are none.

const { setTimeout: sleep } = require('node:timers/promises')
const tls = require('node:tls')
const { binaryFrame, frameOf, jsonFrame } = require('../raw-connection')
const { GROUP, heartbeat, pull, send, subscription } = require('../requests')

const PROBE = 999
/** A request that any broker answers with code 1, under an opaque of its own: the connection is still of use. */
const probe = jsonFrame({ code: 38, opaque: PROBE, extFields: { consumerGroup: 'GID-probe' } })
const texts = (fields) =>
  Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, String(value)]),
  )

/** Binary requests, and in which codec each is answered. */
async function binary(r) {
  const ask = (name, code, fields, body) =>
    r.raw(name, binaryFrame({ code, opaque: 7, extFields: texts(fields) }, body), { frames: 1 })
  await ask('binary 310', 310, send('one', 0, { UNIQ_KEY: 'BINARY' }), Buffer.from('x'))
  await r.seen()
  await ask('binary 11 found', 11, pull('one', 0, 0))
  await ask('binary 11 refused', 11, pull('nowhere', 0, 0))
  await ask('binary 30', 30, { topic: 'one', queueId: 0 })
  await ask('binary 38', 38, { consumerGroup: 'GID-probe' })
  await ask('binary 38 no group', 38, {})
  await ask('binary 46 no body', 46, {})
  await ask('binary 999', 999, {})
  const beat = heartbeat('client@binary', [subscription('plain', '*', 1)], 'GID-binary')
  await r.raw('binary 34, and its push', binaryFrame({ code: 34, opaque: 7 }, Buffer.from(JSON.stringify(beat))), {
    frames: 2,
  })
  const names = (name, code, fields) =>
    r.raw(name, binaryFrame({ code, opaque: 7, extFields: texts(fields) }), { frames: 1, to: r.nameServer })
  await names('binary 105', 105, { topic: 'plain' })
  await names('binary 105 an unknown topic', 105, { topic: 'nowhere' })
  const held = pull('typed', 2, 0, { sysFlag: 6, suspendTimeoutMillis: 10_000 })
  const waiting = r.raw('binary 11 held', binaryFrame({ code: 11, opaque: 7, extFields: texts(held) }), { frames: 1 })
  await sleep(500)
  await r.broker('310 what the binary pull waits for', 310, send('typed', 2, { UNIQ_KEY: 'HELD' }), Buffer.from('x'))
  await waiting
}

const broken = () => {
  const list = jsonFrame({ code: 38, opaque: 7, extFields: { consumerGroup: GROUP } })
  const header = list.subarray(8)
  const binaryList = binaryFrame({ code: 38, opaque: 7, extFields: { consumerGroup: GROUP } })
  const patched = (at, value) => {
    const bytes = Buffer.from(binaryList)
    bytes.writeInt32BE(value, at)
    return bytes
  }
  const json = (text) => frameOf(0, Buffer.from(text))
  return {
    'a length of 0': frameOf(0, header, undefined, { total: 0 }),
    'a length of 3': frameOf(0, header, undefined, { total: 3 }),
    'a length below 0': frameOf(0, header, undefined, { total: -5 }),
    'a length of 16 MiB': frameOf(0, header, undefined, { total: 16 * 1024 * 1024 - 3 }),
    'a length of 2 GiB': frameOf(0, header, undefined, { total: 2 ** 31 - 1 }),
    'a header longer than its frame': frameOf(0, header, undefined, { headerLength: header.length + 100 }),
    'an unknown codec': frameOf(7, header),
    'a header that is no JSON': json('{"code":38'),
    'a header that is text': json('hello'),
    'a header that is a list': json('[38]'),
    'a code that is text': json('{"code":"38","opaque":7,"flag":0,"version":409,"language":"OTHER"}'),
    'a code that is no number': json('{"code":"x","opaque":7,"flag":0,"version":409,"language":"OTHER"}'),
    'a language that nobody knows': jsonFrame({ code: 38, opaque: 7, language: 'KLINGON' }),
    'no version and no language': json('{"code":38,"opaque":7,"flag":0}'),
    'fields that are numbers': json('{"code":38,"opaque":7,"flag":0,"version":409,"extFields":{"consumerGroup":38}}'),
    'a field that is null': json('{"code":38,"opaque":7,"flag":0,"version":409,"extFields":{"consumerGroup":null}}'),
    'a number below 0 for an opaque': jsonFrame({ code: 38, opaque: -7, extFields: { consumerGroup: GROUP } }),
    'binary fields longer than their header': patched(8 + 17, 10_000),
    'binary fields of a length below 0': patched(8 + 17, -1),
    'a binary remark longer than its header': patched(8 + 13, 10_000),
    'a binary value longer than the fields': patched(8 + 21 + 2 + 'consumerGroup'.length, 10_000),
    'a request of HTTP': Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    'an answer to nobody': jsonFrame({ code: 0, opaque: 7, flag: 1 }),
    'a request that wants no answer': jsonFrame({ code: 38, opaque: 7, flag: 2, extFields: { consumerGroup: GROUP } }),
    'an unknown request that wants no answer': jsonFrame({ code: 9_999, opaque: 7, flag: 2 }),
    'a line of a proxy in front': Buffer.concat([Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n'), list]),
  }
}

/** Each followed by a good request: it is answered, or the connection has ended. */
async function frames(r) {
  for (const [name, bytes] of Object.entries(broken())) {
    await r.raw(`a frame: ${name}`, Buffer.concat([bytes, probe]), { until: PROBE })
  }
  const list = jsonFrame({ code: 38, opaque: 7, extFields: { consumerGroup: 'GID-probe' } })
  await r.raw('a frame: byte by byte', list, { frames: 1, piece: 1 })
  await r.raw('frames: three at once, the last one cut', Buffer.concat([list, list, probe]), {
    until: PROBE,
    piece: 2 * list.length + 9,
  })
  await r.raw('4 bytes of a length of 0', Buffer.alloc(4), { frames: 1, quietMs: 3_000 })
  await r.raw('12 bytes of a length of 0', Buffer.alloc(12), { frames: 1, quietMs: 10_000 })
  await r.note('a TLS handshake', await handshakes(r.brokerAddress))
}

/** Whether a server speaks TLS where it speaks plainly. */
function handshakes(address) {
  const [host, port] = address.split(':')
  return new Promise((resolve) => {
    const socket = tls.connect({ host, port: Number(port), rejectUnauthorized: false })
    socket.once('secureConnect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

module.exports = { binary, frames }
