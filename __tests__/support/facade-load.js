'use strict'
// The facade at work with nothing below it, so often: what a send and a handled message cost in JavaScript.
//   node --expose-gc facade-load.js sends|messages|looks COUNT [blind]     prints the bytes that it has allocated on the heap
// As `blind` it does not look whether anybody observes it.

const fs = require('node:fs')

/** Sends that one request stores. */
const RUN = 64
/** Messages that native packs together. */
const CHUNK = 32

const fake = require('../unit/fake-native')

/** Stores all that was sent, as one request. */
class Sending extends fake.NativeProducer {
  slots = []
  ids = Array.from({ length: RUN }, (_, i) => `id-${i},offset-id-${i}`).join()

  stored(scratch) {
    if (this.said.length > 0) return this.said.shift()
    if (this.slots.length === 0) return null
    this.slots.forEach((slot, i) => scratch.writeUInt32LE(slot, 4 * i))
    this.slots.length = 0
    return [2, RUN, this.ids, 0, 'broker-a', 3, 0]
  }
}

/** Delivers the same messages again and again. */
class Delivering extends fake.NativeConsumer {
  left = 0
  answer = null

  packed(scratch) {
    if (this.left === 0) return null
    this.left -= CHUNK
    // The facade reads the memory, and writes nothing into it.
    if (this.answer === null) {
      this.deliver(
        0,
        1,
        Array.from({ length: CHUNK }, (_, i) => i),
        { body: 'x'.repeat(100), shardingKey: 'key' },
      )
      this.answer = fake.consumerChunk(this, 0, scratch)
      if (this.answer.length === 1) [this.left, this.answer] = [this.left + CHUNK, null]
    }
    return this.answer ?? fake.consumerChunk(this, 0, scratch)
  }
}

const native = require.resolve('../../src/js/native.js')
require.cache[native] = Object.assign(new module.constructor(native), {
  loaded: true,
  exports: {
    ...fake,
    NativeProducer: Sending,
    NativeConsumer: Delivering,
    producerSend: (door, slot) => door.slots.push(slot),
    producerTake: (door, scratch) => door.stored(scratch),
    consumerChunk: (door, _queue, scratch) => door.packed(scratch),
    consumerMayStart: () => true,
    consumerSuccess: () => (_queue, _generation, _offset, next) => (next >= 0 ? 3 : 1),
  },
})
const [, , load, count, isBlind] = process.argv
if (isBlind) {
  const channels = require.resolve('../../src/js/channels.js')
  const whole = fs.readFileSync(channels, 'utf8')
  const source = whole.replace(/(get isObserved\(\) \{\n)[^}]*/, '$1    return false\n  ')
  if (source === whole) throw new Error('channels.js looks otherwise')
  const blind = Object.assign(new module.constructor(channels), { filename: channels, loaded: true })
  require.cache[channels] = blind
  blind._compile(source, channels)
}
const { Producer, PushConsumer } = require('../..')

const LOADS = {
  async sends(count) {
    const producer = await new Producer({ groupId: 'g', nameServer: 'a:1' }).start()
    const [message, door] = [{ topic: 'orders', body: Buffer.alloc(100, 'x') }, Sending.instances.at(-1)]
    return async () => {
      for (let i = 0; i < count; i += RUN) {
        const sends = Array.from({ length: RUN }, () => producer.sendOrderly(message, 'key'))
        door.ring()
        await Promise.all(sends)
      }
    }
  },

  async messages(count) {
    const consumer = new PushConsumer({ groupId: 'g', nameServer: 'a:1' })
    let handled = 0
    let done = () => {}
    consumer.subscribe('orders', () => void (++handled === count && done()))
    await consumer.start()
    const door = Delivering.instances.at(-1)
    return () => {
      door.left = count
      return new Promise((resolve) => {
        done = resolve
        void door.calls.chunk(0)
      })
    }
  },
}

/** Whether anybody observes a send, and a handler call. */
LOADS.looks = (count) => () => {
  const { processing, sends } = require('../../src/js/channels.js')
  let observed = 0
  for (let i = 0; i < count; i++) observed += Number(sends.isObserved) + Number(processing.isObserved)
  if (observed > 0) throw new Error('nobody should be there')
}

const allocated = () => process.memoryUsage().heapUsed

async function run() {
  const work = await LOADS[load](Number(count))
  globalThis.gc?.()
  const before = allocated()
  await work()
  console.log(allocated() - before)
  process.exit()
}

void run()
