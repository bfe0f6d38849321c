'use strict'
// What tests ask and do at real brokers, past the addon.

const { Admin, ResponseError } = require('../../scripts/rocketmq/admin')
const { parseLenient } = require('../../scripts/rocketmq/lenient-json')
const { decodeStoredMessages, encodeProperties } = require('./stored-message')
const { until } = require('./until')

const CODE = {
  PULL_MESSAGE: 11,
  QUERY_CONSUMER_OFFSET: 14,
  UPDATE_CONSUMER_OFFSET: 15,
  SEARCH_OFFSET_BY_TIMESTAMP: 29,
  GET_MAX_OFFSET: 30,
  GET_MIN_OFFSET: 31,
  GET_CONSUMER_LIST_BY_GROUP: 38,
  LOCK_BATCH_MQ: 41,
  UNLOCK_BATCH_MQ: 42,
  INVOKE_BROKER_TO_RESET_OFFSET: 222,
  GET_CONSUMER_RUNNING_INFO: 307,
  CONSUME_MESSAGE_DIRECTLY: 309,
  SEND_MESSAGE_V2: 310,
}
const RESPONSE = {
  SYSTEM_ERROR: 1,
  FOUND: 0,
  NOT_FOUND: 19,
  RETRY_IMMEDIATELY: 20,
  OFFSET_MOVED: 21,
  QUERY_NOT_FOUND: 22,
}
/** The pull carries its own subscription, so the group needs no heartbeat. */
const PULL_WITH_SUBSCRIPTION = 0x4
const READER = 'support-reader'
/** So long nothing new may show up before an unknown number of messages counts as all of them. */
const SETTLED_MS = 250

/**
 * A queue is given as { brokerName, queueId }, or as a plain id where the cluster has one broker.
 * @typedef {number | { brokerName: string, queueId: number }} Queue
 */
class TestAdmin extends Admin {
  /** The queues of a topic that can be read, sorted by broker name and id. */
  async queues(topic) {
    const route = await this.route(topic)
    const datas = [...(route?.queueDatas ?? [])].sort((a, b) => (a.brokerName < b.brokerName ? -1 : 1))
    return datas.flatMap(({ brokerName, readQueueNums }) =>
      Array.from({ length: readQueueNums }, (_, queueId) => ({ brokerName, queueId })),
    )
  }

  /**
   * Every stored message of a topic, sorted by broker, queue and offset: { brokerName, queueId, queueOffset, body, properties,
   * tags, keys, shardingKey, msgId, offsetMsgId, storeTimestamp, bornTimestamp, reconsumeTimes, sysFlag, flag, topic }.
   * A message can be read only some ms after its acknowledgement: this waits until all that is stored can be. With `expected` it
   * waits until there are so many, too (and rejects if they never are; more are returned as well), without until no more come.
   * @param {{ expected?: number, timeoutMs?: number }} [options]
   */
  async readBack(topic, { expected, timeoutMs = 60_000 } = {}) {
    let readers = []
    const count = () => readers.reduce((sum, { messages }) => sum + messages.length, 0)
    let changed = performance.now()
    await until(
      async () => {
        // A topic that a broker has just made by itself, of dead letters, gets its route a moment later.
        if (readers.length === 0) {
          readers = (await this.queues(topic)).map((queue) => ({ queue, next: undefined, messages: [] }))
        }
        const before = count()
        // Asked first: what was stored by then is read.
        const dispatched = await this.#areDispatched(readers.map(({ queue }) => queue.brokerName))
        await Promise.all(readers.map((reader) => this.#readOn(topic, reader)))
        if (count() !== before) changed = performance.now()
        return dispatched && (expected === undefined ? performance.now() - changed > SETTLED_MS : count() >= expected)
      },
      { timeoutMs, what: () => `${expected ?? 'all'} messages of ${topic}; ${count()} are there` },
    )
    return readers.flatMap(({ messages }) => messages)
  }

  /** Whether pulls see all that these brokers have stored. */
  async #areDispatched(brokerNames) {
    const isDispatched = async (brokerName) => this.isDispatched(await this.addressOf({ brokerName }))
    const all = await Promise.all([...new Set(brokerNames)].map(isDispatched))
    return all.every(Boolean)
  }

  async #readOn(topic, reader) {
    const { brokerName, queueId } = reader.queue
    const address = await this.addressOf(reader.queue)
    reader.next ??= Number((await this.request(address, CODE.GET_MIN_OFFSET, { topic, queueId })).ext.offset)
    for (;;) {
      const ext = {
        consumerGroup: READER,
        topic,
        queueId,
        queueOffset: reader.next,
        maxMsgNums: 32,
        sysFlag: PULL_WITH_SUBSCRIPTION,
        commitOffset: 0,
        suspendTimeoutMillis: 0,
        subscription: '*',
        subVersion: 0,
        expressionType: 'TAG',
        bname: brokerName,
      }
      const { FOUND, NOT_FOUND, RETRY_IMMEDIATELY, OFFSET_MOVED } = RESPONSE
      const accept = [FOUND, NOT_FOUND, RETRY_IMMEDIATELY, OFFSET_MOVED]
      const response = await this.request(address, CODE.PULL_MESSAGE, ext, undefined, { accept })
      const next = Number(response.ext.nextBeginOffset)
      if (response.code === FOUND) {
        for (const message of decodeStoredMessages(response.body)) reader.messages.push({ brokerName, ...message })
      } else if (next <= reader.next) {
        return
      }
      reader.next = next
    }
  }

  /**
   * Stores one message, as any producer would.
   * @param {string} topic
   * @param {Queue} queue
   * @param {string | Buffer} body
   * @param {{ properties?: Record<string, string>, group?: string, sysFlag?: number }} [options]
   * @returns {Promise<{ queueOffset: number, offsetMsgId: string }>}
   */
  async send(topic, queue, body, { properties = {}, group = 'support-producer', sysFlag = 0 } = {}) {
    const { brokerName, queueId } = await this.#queue(queue)
    const ext = {
      a: group,
      b: topic,
      c: 'TBW102',
      d: 4,
      e: queueId,
      f: sysFlag,
      g: Date.now(),
      h: 0,
      i: encodeProperties(properties),
      j: 0,
      k: false,
      m: false,
      n: brokerName,
    }
    const response = await this.request(
      await this.addressOf({ brokerName }),
      CODE.SEND_MESSAGE_V2,
      ext,
      Buffer.from(body),
    )
    return { queueOffset: Number(response.ext.queueOffset), offsetMsgId: response.ext.msgId }
  }

  /** The offset after the last message that can be read. @param {Queue} queue */
  async maxOffset(topic, queue) {
    const { brokerName, queueId } = await this.#queue(queue)
    const response = await this.request(await this.addressOf({ brokerName }), CODE.GET_MAX_OFFSET, { topic, queueId })
    return Number(response.ext.offset)
  }

  /** The offset of the first message that was stored at this time or later, as brokers find it. @param {Queue} queue */
  async offsetAt(topic, queue, timestamp) {
    const { brokerName, queueId } = await this.#queue(queue)
    const ext = { topic, queueId, timestamp }
    const response = await this.request(await this.addressOf({ brokerName }), CODE.SEARCH_OFFSET_BY_TIMESTAMP, ext)
    return Number(response.ext.offset)
  }

  /**
   * What the group has committed for a queue, undefined for nothing. A 4.9 broker, and any for a young queue with data,
   * answers 0 for nothing.
   * @param {Queue} queue
   */
  async committedOffset(group, topic, queue) {
    const { brokerName, queueId } = await this.#queue(queue)
    const ext = { consumerGroup: group, topic, queueId }
    const accept = [0, RESPONSE.QUERY_NOT_FOUND]
    const address = await this.addressOf({ brokerName })
    const response = await this.request(address, CODE.QUERY_CONSUMER_OFFSET, ext, undefined, { accept })
    return response.code === 0 ? Number(response.ext.offset) : undefined
  }

  /** Commits an offset for a group. @param {Queue} queue */
  async commitOffset(group, topic, queue, offset) {
    const { brokerName, queueId } = await this.#queue(queue)
    const ext = { consumerGroup: group, topic, queueId, commitOffset: offset }
    await this.request(await this.addressOf({ brokerName }), CODE.UPDATE_CONSUMER_OFFSET, ext)
  }

  /** The client ids of a group's members, of all masters together, sorted. */
  async members(group) {
    const ids = new Set()
    for (const address of (await this.masters()).values()) {
      const accept = [0, RESPONSE.SYSTEM_ERROR] // 1: nobody
      const ext = { consumerGroup: group }
      const response = await this.request(address, CODE.GET_CONSUMER_LIST_BY_GROUP, ext, undefined, { accept })
      if (response.code !== 0) continue
      for (const id of JSON.parse(response.body.toString()).consumerIdList ?? []) ids.add(id)
    }
    return [...ids].sort()
  }

  /** Resets a group to the messages stored at or after `timestamp`, at every master, as the console does. */
  async resetOffset(group, topic, timestamp) {
    for (const address of (await this.masters()).values()) {
      await this.request(address, CODE.INVOKE_BROKER_TO_RESET_OFFSET, { topic, group, timestamp, isForce: true })
    }
  }

  /** Asks a member, through its broker, how it is: RocketMQ's ConsumerRunningInfo. */
  async runningInfo(group, clientId, { brokerName } = {}) {
    const ext = { consumerGroup: group, clientId, jstackEnable: false }
    const address = await this.addressOf({ brokerName })
    const response = await this.request(address, CODE.GET_CONSUMER_RUNNING_INFO, ext)
    return parseLenient(response.body.toString())
  }

  /** Has a member handle one stored message, through its broker; resolves with its result: { consumeResult, order, … }. */
  async consumeDirectly(group, clientId, { brokerName, offsetMsgId, topic }) {
    const ext = { consumerGroup: group, clientId, msgId: offsetMsgId, brokerName, topic }
    const address = await this.addressOf({ brokerName })
    const response = await this.request(address, CODE.CONSUME_MESSAGE_DIRECTLY, ext, undefined, { timeoutMs: 15_000 })
    return JSON.parse(response.body.toString())
  }

  /** Locks queues of one broker for a client id; resolves with the ids of those that are now its own, sorted. */
  async lock(group, topic, queueIds, { clientId = 'support-locker', brokerName } = {}) {
    const response = await this.#lockRequest(CODE.LOCK_BATCH_MQ, group, topic, queueIds, clientId, brokerName)
    const { lockOKMQSet = [] } = JSON.parse(response.body.toString())
    return lockOKMQSet.map(({ queueId }) => queueId).sort((a, b) => a - b)
  }

  async unlock(group, topic, queueIds, { clientId = 'support-locker', brokerName } = {}) {
    await this.#lockRequest(CODE.UNLOCK_BATCH_MQ, group, topic, queueIds, clientId, brokerName)
  }

  /** Which of these queues nobody holds, found out by locking them for a moment under a client id of its own. */
  async lockProbe(group, topic, queueIds, { brokerName } = {}) {
    const options = { clientId: 'support-lock-probe', brokerName }
    const free = await this.lock(group, topic, queueIds, options)
    if (free.length > 0) await this.unlock(group, topic, free, options)
    return free
  }

  async #lockRequest(code, group, topic, queueIds, clientId, brokerName) {
    brokerName ??= await this.#onlyBroker()
    const mqSet = queueIds.map((queueId) => ({ brokerName, queueId, topic }))
    return this.request(await this.addressOf({ brokerName }), code, {}, { clientId, consumerGroup: group, mqSet })
  }

  /** The address of a queue's master, or of the only one where no broker is named. */
  async addressOf({ brokerName }) {
    brokerName ??= await this.#onlyBroker()
    const address = (await this.masters()).get(brokerName)
    if (!address) throw new Error(`${brokerName} is not registered`)
    return address
  }

  async #queue(queue) {
    return typeof queue === 'number' ? { brokerName: await this.#onlyBroker(), queueId: queue } : queue
  }

  async #onlyBroker() {
    const names = [...(await this.masters()).keys()]
    if (names.length !== 1) throw new Error(`Which broker? There are ${names.length}: ${names.join(', ')}`)
    return names[0]
  }
}

module.exports = { ResponseError, TestAdmin }
