'use strict'
// F15 to F17, F21 and F24: what brokers send that is no answer, messages that are no messages, keys that are refused, and sizes.

const zlib = require('node:zlib')
const { ResponseError } = require('../../rocketmq/wire')
const { peakRssMiB } = require('../../endurance/process-figures')
const { frameOf } = require('../tampering')

const MIB = 1024 * 1024
const i32 = (...numbers) => {
  const bytes = Buffer.alloc(4 * numbers.length)
  numbers.forEach((number, i) => bytes.writeInt32BE(number, 4 * i))
  return bytes
}
/** A frame whose header is this text. */
const worded = (text) => Buffer.concat([i32(4 + text.length, text.length), Buffer.from(text)])

/** What ends a connection: no frame can follow it. @type {Record<string, (frame: Buffer) => Buffer>} */
const BROKEN = {
  'length 0': () => i32(0, 0),
  'length 3': () => i32(3, 0),
  'a negative length': () => i32(-1, 0),
  'a length above the limit': () => i32(0x7fffffff, 0),
  'a header longer than its frame': () => i32(8, 1_000, 0),
  'a header of another encoding': () => Buffer.concat([i32(8, (7 << 24) | 4), Buffer.from('{ }?')]),
  'half a header': () => worded('{"code":0,"opaque":'),
  'a header that is no object': () => worded('[0]'),
  'a header of other types': () => worded('{"code":"zero","flag":{},"opaque":[]}'),
}
/** What is passed over: the connection goes on. @type {Record<string, (frame: Buffer) => Buffer>} */
const STRANGE = {
  'a request that nobody knows': () => frameOf({ code: 9_999, opaque: 77, flag: 0, extFields: {} }),
  'a one-way request that nobody knows': () => frameOf({ code: 9_998, opaque: 78, flag: 2, extFields: {} }),
  'an answer to nothing': () => frameOf({ code: 0, opaque: 0x7ffffff0, flag: 1, extFields: { queueOffset: '0' } }),
  'an answer once more': (frame) => Buffer.from(frame),
}
/** A connection that ends so is made again at most so often. */
const MOST_CONNECTIONS = 4

/** @type {import('../fault').Fault} */
const malformed = {
  id: 'F15',
  title: 'brokers send what is no frame, or no answer to anything',
  figure: 'what is no frame ends its connection, and no other; nothing else does',
  clients: ['ours'],
  tampers: true,
  async run(world) {
    await world.begin()
    const { random, tampering, proxy } = world
    const kinds = random.shuffled([...Object.entries(BROKEN), ...Object.entries(STRANGE)])
    const members = world.producers.length + world.consumers.length
    let broken = 0
    let turn = 0
    do {
      const [name, make] = kinds[turn++ % kinds.length]
      world.fault(name)
      const [lost, accepted] = [world.told('disconnected').length, proxy.accepted]
      tampering.behind(make)
      await world.until(() => !tampering.isWaiting, { intervalMs: 5, what: 'a frame to follow' })
      if (name in BROKEN) {
        broken++
        await world.until(() => world.told('disconnected').length > lost, { what: `the end of a connection: ${name}` })
        await world.recovered(world.heals(name))
        world.figure(`connections after ${name}`, proxy.accepted - accepted, { atMost: MOST_CONNECTIONS })
      } else {
        await world.recovered(world.heals(name))
        world.figure(`connections after ${name}`, proxy.accepted - accepted, { atMost: 0 })
      }
    } while (world.elapsed < 1 || turn < kinds.length)
    world.figure('members', members)
    world.figure('connections that ended', world.told('disconnected').length, { atMost: broken, atLeast: broken })
  },
}

/** Of a message's sysFlag: compressed, by zlib, LZ4 or zstd. */
const COMPRESSED = { zlib: 0x1, lz4: 0x101, zstd: 0x201 }
const BOMB = 256 * MIB

/** Bytes that are some hundred times as many unpacked. */
const BOMBS = {
  zlib: () => zlib.deflateSync(Buffer.alloc(BOMB), { level: 9 }),
  // One literal, then a match that is as long as bytes of 255 say.
  lz4() {
    const length = Math.floor(BOMB / 255)
    const block = Buffer.concat([
      Buffer.from([0x1f, 0, 1, 0]),
      Buffer.alloc(length, 255),
      Buffer.from([0, 0x50]),
      Buffer.alloc(5),
    ])
    const size = Buffer.alloc(4)
    size.writeUInt32LE(block.length)
    return Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73]), size, block, Buffer.alloc(4)])
  },
  // Blocks of 128 KiB that are one byte again and again.
  zstd() {
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50])
    const count = BOMB / (128 * 1024)
    const block = (isLast) => {
      const bytes = Buffer.alloc(4)
      bytes.writeUIntLE((128 * 1024 * 8) | 0b010 | (isLast ? 1 : 0), 0, 3)
      return bytes
    }
    return Buffer.concat([header, ...Array.from({ length: count }, (_, i) => block(i === count - 1))])
  },
}

/** @type {import('../fault').Fault} */
const bombs = {
  id: 'F16',
  title: 'messages that are 256 MiB once they are unpacked, by zlib, LZ4 and zstd',
  figure: 'each is told as undecodable, and passed over or sent away; no process takes 64 MiB more',
  clients: ['ours'],
  async run(world) {
    const { random, load } = world
    const onUndecodable = random.pick(['skip', 'deadLetter'])
    for (const options of load.consumers) options.onUndecodable = onUndecodable
    // Theirs, and what nobody has sent.
    world.counts = ({ properties }) => properties.bomb === undefined
    await world.begin()
    const memory = () => Math.max(...world.consumers.map(({ pid }) => peakRssMiB(pid)))
    const before = memory()
    const queues = await world.admin.queues(world.topic)
    const kinds = random.shuffled(Object.keys(BOMBS))
    for (const kind of kinds) {
      world.fault(`a bomb of ${kind}`)
      await world.admin.send(world.topic, random.pick(queues), BOMBS[kind](), {
        sysFlag: COMPRESSED[kind],
        properties: { bomb: kind },
      })
      await world.lasts((1_000 * world.seconds) / kinds.length)
    }
    const isTold = ({ code }) => code === 'ERR_ROCKETMQ_UNDECODABLE'
    const told = () => world.told('undecodable').filter(isTold).length
    await world.until(() => told() >= kinds.length, { what: () => `bombs to be told, ${told()} are` })
    await world.recovered(world.heals('bombs'))
    world.figure('bombs told', told(), { atLeast: kinds.length })
    world.figure('MiB more of a consumer', memory() - before, { atMost: 64 })
  },
}

/** Gives the account of the participants another secret, at every broker. */
async function rotate(world, secretKey) {
  const { accounts, brokers, version } = world.cluster
  const broker = { major: Number(version.split('.')[0]), isTestBroker: world.isTestBroker }
  for (const { address } of brokers) await world.admin.changeSecret(address, accounts.member, secretKey, broker)
}

const isDenied = ({ code }) => code === 'ERR_ROCKETMQ_ACCESS_DENIED'

/** @type {import('../fault').Fault} */
const refused = {
  id: 'F17',
  title: 'a wrong secret at the start; and one that is changed while messages flow, and changed back',
  figure: 'the first is refused at once, and typed; the others go on by themselves; no secret is told',
  clients: ['ours'],
  cluster: { acl: true },
  harmsBrokers: true,
  async run(world) {
    await world.begin()
    const { member } = world.cluster.accounts
    const wrong = { ...member, secretKey: 'not-the-secret-of-it' }
    const denied = await world.refused('consumer', { ...world.load.consumers[0], credentials: wrong })
    world.note('refused with', denied.code, 'ERR_ROCKETMQ_ACCESS_DENIED')
    world.time('refused after', denied.ms, 2_000)
    world.fault('another secret')
    await rotate(world, 'another-secret-3')
    await world.until(() => world.told('refused').some(isDenied), { what: 'a send to be denied' })
    while (world.elapsed < 1) await world.lasts(50)
    await rotate(world, member.secretKey)
    world.fault('the secret as it was')
    await world.recovered(world.heals('the secret'))
    const others = world.told('refused').filter((line) => !isDenied(line) && line.code !== 'ERR_ROCKETMQ_ORDER_BROKEN')
    world.figure('sends refused otherwise', others.length, { atMost: 0 })
  },
  judge(world) {
    const secrets = [world.cluster.accounts.member.secretKey, 'not-the-secret-of-it', 'another-secret-3']
    const leaks = secrets.filter((secret) => world.output.includes(secret))
    world.figure('secrets told', leaks.length, { atMost: 0 })
  },
}

/** @type {import('../fault').Fault} */
const asked = {
  id: 'F21',
  title: 'a broker asks all the time: who is there, how are you, handle this one, and twice begin again there',
  figure: 'order and locks hold; what comes again is what a reset asks for',
  tampers: true,
  clients: ['ours'],
  async run(world) {
    await world.begin()
    const { random, admin, group, topic } = world
    const ids = await admin.members(group)
    const [queue] = await admin.queues(topic)
    // Theirs, and what nobody of them has sent.
    world.counts = ({ properties }) => properties.asked === undefined
    const { offsetMsgId } = await admin.send(topic, queue, 'x', { properties: { asked: 'often' } })
    const asks = {
      40: () =>
        world.tampering.behind(() => frameOf({ code: 40, opaque: 5, flag: 2, extFields: { consumerGroup: group } })),
      307: () => admin.runningInfo(group, random.pick(ids), { brokerName: queue.brokerName }),
      309: () => admin.consumeDirectly(group, random.pick(ids), { ...queue, topic, offsetMsgId }),
    }
    let count = 0
    let resets = 0
    while (world.elapsed < 1) {
      await asks[random.pick(Object.keys(asks))]()?.catch(refusal)
      count++
      if (resets < 2 && world.elapsed > (resets + 1) / 3) {
        resets++
        world.fault('a reset of offsets', { resets: { group, topic } })
        await admin.resetOffset(group, topic, Date.now() - 500)
      }
    }
    world.fault('the last question')
    world.figure('questions', count)
    await world.recovered(world.heals('questions'))
  },
}

/** Who does not own the queue at the moment says so. */
function refusal(error) {
  if (!(error instanceof ResponseError)) throw error
}

const LARGEST = 4 * MIB
/** What is sent, and what comes of it before anything is written, or `stored`. */
const SIZES = [
  [{ bytes: LARGEST }, 'stored'],
  [{ bytes: LARGEST + 1 }, 'ERR_ROCKETMQ_INVALID_ARGUMENT'],
  [{ bytes: 1, propertyBytes: 31_000 }, 'stored'],
  [{ bytes: 1, propertyBytes: 32_767 }, 'ERR_ROCKETMQ_INVALID_ARGUMENT'],
  [{ bytes: 1, count: 4_096 }, 'stored'],
  [{ bytes: MIB, count: 4 }, 'ERR_ROCKETMQ_INVALID_ARGUMENT'],
]

/** @type {import('../fault').Fault} */
const sizes = {
  id: 'F24',
  title: 'the largest bodies, properties and batches, and what is larger by one',
  figure: 'what brokers would refuse is refused at the call, with its type, and never written',
  clients: ['ours'],
  async run(world) {
    await world.begin()
    const [producer] = world.producers
    for (const [what, wanted] of world.random.shuffled(SIZES)) {
      const before = producer.lines.filter(({ event }) => event === 'sent').length
      producer.do('send', what)
      await world.until(() => producer.lines.filter(({ event }) => event === 'sent').length > before)
      const { code } = producer.lines.findLast(({ event }) => event === 'sent')
      world.note(JSON.stringify(what), code, wanted)
    }
    await world.recovered(world.heals('sizes'))
  },
}

module.exports = [malformed, bombs, refused, asked, sizes]
