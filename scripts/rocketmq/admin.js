'use strict'
// What an operator does: topics, groups, accounts, by the admin requests of name servers and brokers.

const { setTimeout: sleep } = require('node:timers/promises')
const { parseLenient } = require('./lenient-json')
const { Connection, ResponseError } = require('./wire')

const CODE = {
  UPDATE_AND_CREATE_TOPIC: 17,
  UPDATE_BROKER_CONFIG: 25,
  UPDATE_AND_CREATE_ACL_CONFIG: 50,
  GET_BROKER_RUNTIME_INFO: 28,
  GET_ROUTE: 105,
  GET_BROKER_CLUSTER_INFO: 106,
  UPDATE_AND_CREATE_SUBSCRIPTION_GROUP: 200,
  DELETE_TOPIC_IN_BROKER: 215,
  DELETE_TOPIC_IN_NAME_SERVER: 216,
  AUTH_CREATE_USER: 3001,
  AUTH_UPDATE_USER: 3002,
  AUTH_CREATE_ACL: 3006,
}
const SYSTEM_ERROR = 1
const TOPIC_NOT_EXIST = 17
const POLL_MS = 50

class Admin {
  #connections = new Map()
  #isClosed = false

  /**
   * @param {string} nameServer 'host:port'
   * @param {{ credentials?: { accessKey: string, secretKey: string }, tls?: import('node:tls').ConnectionOptions }} [options] an admin's,
   *   where access control is on, or TLS
   */
  constructor(nameServer, { credentials, tls } = {}) {
    this.nameServer = nameServer
    this.credentials = credentials
    this.tls = tls
  }

  /** An open connection to the address; kept for the next call. */
  async connection(address) {
    if (this.#isClosed) throw new Error('The admin is closed')
    const pending = this.#connections.get(address)
    const known = await pending?.catch(() => undefined)
    if (known && !known.closed) return known
    // Somebody else has begun to open one meanwhile: a second would never be closed.
    if (this.#connections.get(address) !== pending) return this.connection(address)
    const opening = Connection.open(address, { credentials: this.credentials, tls: this.tls })
    this.#connections.set(address, opening)
    return opening
  }

  /** Sends a request to the address; rejects with a ResponseError unless the answer's code is 0 or in `accept`. */
  async request(address, code, ext, body, options) {
    return (await this.connection(address)).request(code, ext, body, options)
  }

  /** The route of a topic: { queueDatas, brokerDatas }, or undefined when there is none. */
  async route(topic) {
    const ext = { topic, acceptStandardJsonOnly: true }
    const response = await this.request(this.nameServer, CODE.GET_ROUTE, ext, undefined, {
      accept: [0, TOPIC_NOT_EXIST],
    })
    return response.code === 0 ? parseLenient(response.body.toString()) : undefined
  }

  /** The address of every master, by broker name, sorted by it. */
  async masters() {
    const response = await this.request(this.nameServer, CODE.GET_BROKER_CLUSTER_INFO)
    const { brokerAddrTable = {} } = parseLenient(response.body.toString())
    const found = Object.entries(brokerAddrTable).flatMap(([name, { brokerAddrs }]) =>
      brokerAddrs['0'] ? [[name, brokerAddrs['0']]] : [],
    )
    return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Whether pulls, offsets and queries see all that the broker has stored: it acknowledges a message some ms before. */
  async isDispatched(address) {
    // A real broker refuses in its first second: it has no statistics yet.
    const accept = [0, SYSTEM_ERROR]
    const { code, body } = await this.request(address, CODE.GET_BROKER_RUNTIME_INFO, {}, undefined, { accept })
    return code === 0 && parseLenient(body.toString()).table.dispatchBehindBytes === '0'
  }

  /**
   * Makes a topic, or changes it, on every master or on the named ones, and waits until the route shows it.
   * @param {{ queues?: number, readQueues?: number, perm?: number, order?: boolean, brokers?: string[], attributes?: string }} [options]
   *   `queues` per broker; `readQueues`: other than those to write; `perm`: 4 read, 2 write; `attributes`: of 5.x, e.g. '+message.type=FIFO'
   */
  async createTopic(topic, options = {}) {
    const { queues = 8, readQueues = queues, perm = 6, order = false, brokers, attributes } = options
    const masters = await this.masters()
    const names = brokers ?? [...masters.keys()]
    if (names.length === 0) throw new Error(`No broker is registered at ${this.nameServer}`)
    const ext = {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: readQueues,
      writeQueueNums: queues,
      perm,
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: 0,
      order,
      attributes,
    }
    await Promise.all(
      names.map((name) => {
        if (!masters.has(name)) throw new Error(`No master of ${name} is registered at ${this.nameServer}`)
        return this.request(masters.get(name), CODE.UPDATE_AND_CREATE_TOPIC, ext)
      }),
    )
    const shows = (route, name) =>
      route?.queueDatas.some(
        (data) =>
          data.brokerName === name &&
          data.readQueueNums === readQueues &&
          data.writeQueueNums === queues &&
          data.perm === perm,
      )
    await this.#until(`the route of ${topic}`, async () => {
      const route = await this.route(topic)
      return names.every((name) => shows(route, name))
    })
  }

  /** Deletes a topic at every master and at the name server. */
  async deleteTopic(topic) {
    for (const address of (await this.masters()).values()) {
      await this.request(address, CODE.DELETE_TOPIC_IN_BROKER, { topic })
    }
    await this.request(this.nameServer, CODE.DELETE_TOPIC_IN_NAME_SERVER, { topic })
    await this.#until(`the end of the route of ${topic}`, async () => (await this.route(topic)) === undefined)
  }

  /** Makes a consumer group at every master, or changes it; `settings` are fields of RocketMQ's SubscriptionGroupConfig. */
  async createGroup(group, settings = {}) {
    const body = {
      brokerId: 0,
      consumeBroadcastEnable: true,
      consumeEnable: true,
      consumeFromMinEnable: true,
      groupName: group,
      notifyConsumerIdsChangedEnable: true,
      retryMaxTimes: 16,
      retryQueueNums: 1,
      whichBrokerWhenConsumeSlowly: 1,
      ...settings,
    }
    const masters = await this.masters()
    const requests = [...masters.values()].map((address) =>
      this.request(address, CODE.UPDATE_AND_CREATE_SUBSCRIPTION_GROUP, {}, body),
    )
    await Promise.all(requests)
  }

  /** Changes settings of a running broker. */
  async updateBrokerConfig(address, properties) {
    const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
    await this.request(address, CODE.UPDATE_BROKER_CONFIG, {}, Buffer.from(lines.join('')))
  }

  /** Makes an account at a 5.x broker, with the given actions on all topics and groups (none: without rights), or others on groups. */
  async createAccount(address, { accessKey, secretKey }, actions = [], onGroups = actions) {
    const user = { username: accessKey, password: secretKey, userType: 'Normal' }
    await this.request(address, CODE.AUTH_CREATE_USER, { username: accessKey }, user)
    if (actions.length === 0) return
    const subject = `User:${accessKey}`
    const rights = { 'Topic:*': actions, 'Group:*': onGroups }
    const entries = Object.entries(rights).map(([resource, allowed]) => ({
      resource,
      actions: allowed,
      sourceIps: [],
      decision: 'Allow',
    }))
    const acl = { subject, policies: [{ policyType: 'Custom', entries }] }
    await this.request(address, CODE.AUTH_CREATE_ACL, { subject }, acl)
  }

  /** Gives an account that may publish and subscribe another secret. @param {{ major: number, isTestBroker?: boolean }} broker of which line, and whether a real one */
  async changeSecret(address, { accessKey }, secretKey, { major, isTestBroker }) {
    if (major < 5) {
      const rights = { admin: false, defaultTopicPerm: 'PUB|SUB', defaultGroupPerm: 'PUB|SUB' }
      await this.request(address, CODE.UPDATE_AND_CREATE_ACL_CONFIG, { accessKey, secretKey, ...rights })
      return
    }
    const user = { username: accessKey, password: secretKey, userType: 'Normal', userStatus: 'enable' }
    const code = isTestBroker ? CODE.AUTH_CREATE_USER : CODE.AUTH_UPDATE_USER
    await this.request(address, code, { username: accessKey }, user)
  }

  /** Closes every connection, and opens no more. */
  async close() {
    this.#isClosed = true
    const connections = [...this.#connections.values()]
    this.#connections.clear()
    for (const opening of connections) (await opening.catch(() => undefined))?.close()
  }

  async #until(what, condition, timeoutMs = 45_000) {
    const deadline = Date.now() + timeoutMs
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`)
      await sleep(POLL_MS)
    }
  }
}

module.exports = { Admin, ResponseError }
