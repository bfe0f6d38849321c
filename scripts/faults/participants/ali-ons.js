'use strict'
// ali-ons as scripts/faults/participant.js describes a participant. It is installed by benches/peers/install.js.

const crypto = require('node:crypto')
const { createRequire } = require('node:module')
const path = require('node:path')
const readline = require('node:readline')
const { setTimeout: delay } = require('node:timers/promises')
const { standStill } = require('../../../__tests__/support/time')
const { NODE } = require('../../../benches/peers/install')
const { Random } = require('../random')
const { UserHistory } = require('./history')

const { Consumer, Message, Producer } = createRequire(path.join(NODE, 'package.json'))('ali-ons')

/** Calls of a key that wait for those before; more are not called for. */
const WAITING_OF_A_KEY = 64
const UNSETTLED = 2_000
const TICK_MS = 5

/** @type {import('../participant').Part} */
const part = JSON.parse(process.argv[2])
const random = new Random(part.seed)
const by = `ali-ons-${process.pid}`
const history = new UserHistory(part.history, by)
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`)
const nothing = () => {}
const usual = {
  nameSrv: part.nameServer,
  logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  // It wants one, and uses it for an address that it is not given here.
  httpclient: { request: () => Promise.reject(new Error('there is no HTTP here')) },
}
const nameOf = ({ topic, brokerName, queueId }) => `${topic}@${brokerName}:${queueId}`

/** Sends at a rate: each key's one after the other, or, where they are not awaited, all as they come. */
class Sender {
  #producer = new Producer({ ...usual, producerGroup: `${part.group}-P` })
  #lanes = new Map()
  #under = new Set()
  #timer
  #sent = 0

  get clientId() {
    return this.#producer.clientId
  }

  async start() {
    this.#producer.on('error', nothing)
    history.hello({ role: 'producer', client: this.#producer.clientId, group: this.#producer.producerGroup })
    await this.#producer.ready()
    const begun = performance.now()
    this.#timer = setInterval(() => this.#pace(((performance.now() - begun) / 1_000) * part.rate), TICK_MS)
  }

  #pace(due) {
    for (; this.#sent < due; this.#sent++) this.#call(`key-${random.integer(0, part.keys)}`)
  }

  #call(key) {
    if (this.#under.size >= UNSETTLED) return
    const lane = this.#lanes.get(key) ?? { waiting: 0, last: Promise.resolve() }
    if (!part.awaited) return this.#track(this.#send(key))
    if (lane.waiting >= WAITING_OF_A_KEY) return
    lane.waiting++
    lane.last = lane.last.then(async () => {
      lane.waiting--
      if (this.#timer) await this.#send(key)
    })
    this.#lanes.set(key, lane)
    this.#track(lane.last)
  }

  #track(sending) {
    this.#under.add(sending)
    sending.finally(() => this.#under.delete(sending))
  }

  async #send(key) {
    const message = new Message(part.topic, Buffer.from(`${key}:${this.#sent}:`.padEnd(part.bytes ?? 0, '.')))
    message.shardingKey = key
    // Its own property has another name than that of everybody else.
    message.properties.__SHARDINGKEY = key
    // It gives its messages none.
    message.properties.UNIQ_KEY = crypto.randomUUID()
    const send = history.submit(part.topic, key, message.properties.UNIQ_KEY)
    try {
      const { messageQueue, queueOffset } = await this.#producer.send(message)
      history.stored(send, nameOf(messageQueue), queueOffset)
    } catch (error) {
      history.unknown(send, error)
    }
  }

  async stop() {
    clearInterval(this.#timer)
    this.#timer = undefined
    await Promise.all(this.#under)
  }

  async close() {
    await this.stop()
    await this.#producer.close()
  }
}

/** A member of a group; it hands over a message after the other by default. */
class Handler {
  #consumer = new Consumer({
    ...usual,
    consumerGroup: part.group,
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
  })
  #running = new Set()

  get clientId() {
    return this.#consumer.clientId
  }

  async start() {
    const consumer = this.#consumer
    consumer.on('error', nothing)
    history.hello({ role: 'consumer', client: consumer.clientId, group: consumer.consumerGroup })
    // It takes asynchronous functions only.
    consumer.subscribe(part.topic, '*', async (message, queue) => {
      const handling = this.#handle(message, queue)
      this.#running.add(handling)
      try {
        await handling
      } finally {
        this.#running.delete(handling)
      }
    })
    await consumer.ready()
  }

  async #handle(message, queue) {
    const [name, offset] = [nameOf(queue), Number(message.queueOffset)]
    history.start(name, offset, message.reconsumeTimes + 1)
    await delay(random.fraction() * part.handlerMs)
    history.end(name, offset, 'success')
  }

  stop() {}

  async close() {
    await this.#consumer.close()
    // It does not wait for them.
    await Promise.allSettled(this.#running)
  }
}

const orders = {
  async stop(participant) {
    await participant.stop()
    say('stopped')
  },
  async close(participant) {
    await participant.close()
    history.closed()
    say('closed')
    process.exit()
  },
  block(_participant, { ms }) {
    say('blocked')
    standStill(ms)
    say('unblocked')
  },
}

async function main() {
  const participant = part.role === 'producer' ? new Sender() : new Handler()
  await participant.start()
  say('started', { clientId: participant.clientId })
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line)
    await orders[order.do]?.(participant, order)
  }
  // Whoever has started it is gone.
  process.exit(2)
}

void main()
