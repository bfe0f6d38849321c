'use strict'
// 10, 310 and 320: what is stored, and what is refused.

const zlib = require('node:zlib')
const { entries, longNames, pull, send, topic, without } = require('../requests')

const MiB = 1024 * 1024

async function sends(r) {
  const x = Buffer.from('x')
  const good = { UNIQ_KEY: 'U1', WAIT: 'true', TAGS: 'TagA', KEYS: 'k1 k2', __SHARDINGKEY: 's' }
  r.keep('sent', await r.broker('310 a message', 310, send('plain', 0, good), x))
  await r.broker('310 without a unique id', 310, send('plain', 1, { TAGS: 'TagB' }), x)
  await r.broker('310 without properties', 310, without(send('plain', 1), 'i'), x)
  await r.broker('310 properties that do not parse', 310, { ...send('plain', 1), i: 'nonsense' }, x)
  await r.broker('310 properties with an empty value', 310, { ...send('plain', 1), i: 'a\x01\x02b\x01c\x02' }, x)
  await r.broker('310 a flag of the user', 310, { ...send('plain', 1, { UNIQ_KEY: 'F' }), h: 7 }, x)
  await r.broker('310 compressed', 310, { ...send('plain', 1, { UNIQ_KEY: 'Z' }), f: 0x301 }, zlib.deflateSync(x))
  await r.broker('10 long names', 10, longNames('plain', 1), x)
  await r.broker('310 queue 99', 310, send('plain', 99), x)
  await r.broker('310 queue -1', 310, send('mute', -1), x, { ignore: ['queueId', 'queueOffset'] })
  await r.broker('310 an unknown topic', 310, send('nowhere', 0), x)
  await r.broker('310 an illegal topic', 310, send('a!b', 0), x)
  await r.broker('310 a blank topic', 310, send(' ', 0), x)
  await r.broker('310 128 characters', 310, send('t'.repeat(128), 0), x)
  await r.broker('310 to a topic of the broker', 310, send('SCHEDULE_TOPIC_XXXX', 0), x)
  await r.broker('310 to a topic that may be read only', 310, send('sealed', 0, good), x)
  await r.broker('310 an empty body', 310, send('plain', 1, { UNIQ_KEY: 'E' }))
  await r.broker('310 4 MiB', 310, send('plain', 2, { UNIQ_KEY: 'L' }), Buffer.alloc(4 * MiB, 1))
  await r.broker('310 4 MiB and one', 310, send('plain', 2), Buffer.alloc(4 * MiB + 1, 1))
  await r.broker('310 32 000 bytes of properties', 310, send('plain', 3, { UNIQ_KEY: 'P', a: 'x'.repeat(32_000) }), x)
  await r.broker('310 33 000 bytes of properties', 310, send('plain', 3, { a: 'x'.repeat(33_000) }), x)
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm', 'n']) {
    await r.broker(`310 without ${name}`, 310, without(send('plain', 3, { UNIQ_KEY: `W${name}` }), name), x)
  }
  await r.broker('310 a queue id that is no number', 310, send('plain', 'zero'), x)
  for (const id of [0, 1, 3]) await r.broker(`the messages of queue ${id}`, 11, pull('plain', id, 0))
}

async function batches(r) {
  const two = entries({ body: 'a', pairs: { UNIQ_KEY: 'B0', TAGS: 'TagA' } }, { body: 'b', pairs: { UNIQ_KEY: 'B1' } })
  const batch = (topic, pairs, ext = {}) => send(topic, 0, pairs, { m: true, ...ext })
  await r.broker('320 a batch', 320, batch('one', { WAIT: 'true' }), two)
  await r.broker('320 with an id in its header', 320, batch('one', { UNIQ_KEY: 'H', WAIT: 'true' }), two)
  await r.broker('320 without properties', 320, batch('one', {}), entries({ body: 'a' }))
  await r.broker('320 cut short', 320, batch('one', {}), two.subarray(0, 30))
  await r.broker('320 an entry too long', 320, batch('one', {}), Buffer.concat([two, Buffer.from([0, 0, 1, 0])]))
  await r.broker('320 delayed', 320, batch('one', { DELAY: '1' }), two)
  await r.broker('320 more than 4 MiB', 320, batch('one', {}), entries({ body: Buffer.alloc(4 * MiB) }))
  await r.broker('320 to a retry topic', 320, batch('%RETRY%GID-batch', {}), two)
  await r.broker('320 to an unknown topic', 320, batch('nowhere', {}), two)
  await r.broker('the messages of the batches', 11, pull('one', 0, 0))
}

/** A broker that takes less in one request. */
async function sizes(r) {
  const KiB64 = 64 * 1024
  const batchOf = (bytes) => entries({ body: Buffer.alloc(bytes - 22) })
  const batch = send('one', 0, {}, { m: true })
  await r.broker('25 a smaller maxMessageSize', 25, {}, Buffer.from(`maxMessageSize=${KiB64}\n`))
  await r.broker('310 as large as it takes', 310, send('plain', 2, { UNIQ_KEY: 'M' }), Buffer.alloc(KiB64, 1))
  await r.broker('310 one byte more', 310, send('plain', 2), Buffer.alloc(KiB64 + 1, 1))
  await r.broker('320 as large as it takes', 320, batch, batchOf(KiB64))
  await r.broker('320 one byte more', 320, batch, batchOf(KiB64 + 1))
  await r.broker('25 the usual maxMessageSize', 25, {}, Buffer.from(`maxMessageSize=${4 * MiB}\n`))
  await r.broker('320 it has healed', 320, batch, batchOf(KiB64 + 1))
}

/** Queues that are written and not read, and such that have gone. */
async function unread(r) {
  const x = Buffer.from('x')
  const numbers = (queue) => ({ topic: 'short', queueId: queue })
  const asked = { consumerGroup: 'GID-conformance', topic: 'short', queueId: 3 }
  for (const queue of [1, 3]) await r.broker(`310 to queue ${queue} of 4`, 310, send('short', queue), x)
  await r.broker('310 behind the last queue to write', 310, send('short', 4), x)
  await r.broker('11 a queue that is not read', 11, pull('short', 3, 0))
  await r.broker('30 of a queue that is not read', 30, numbers(3))
  await r.broker('31 of a queue that is not read', 31, numbers(3))
  await r.broker('15 a queue that is not read', 15, { ...asked, commitOffset: 1 })
  await r.broker('14 a queue that is not read', 14, asked)
  await r.broker('17 fewer to write and to read', 17, topic('short', { readQueueNums: 1, writeQueueNums: 1 }))
  await r.broker('310 to a queue that has gone', 310, send('short', 3), x)
  await r.broker('30 of a queue that has gone', 30, numbers(3))
  await r.broker('14 a queue that has gone', 14, asked)
  await r.broker('30 of a queue that never was', 30, numbers(9))
  await r.broker('14 a queue that never was', 14, { ...asked, queueId: 9, setZeroIfNotFound: false })
}

module.exports = { sends, batches, sizes, unread }
