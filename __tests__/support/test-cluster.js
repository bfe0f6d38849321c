'use strict'
// TestBroker in the place of a real cluster: what specs use of scripts/rocketmq/cluster.js.

const { TestBroker } = require('../../testing')
const { Admin } = require('../../scripts/rocketmq/admin')
const { ACCOUNTS } = require('../../scripts/rocketmq/config')

/** As the real brokers of the specs are set up. */
const PROPERTIES = { autoCreateTopicEnable: false }
/** 4.9's own request for an account; its rights travel with it. */
const UPDATE_AND_CREATE_ACL_CONFIG = 50

/** One broker of it. */
class Broker {
  #broker
  #index

  constructor(broker, index, address) {
    this.#broker = broker
    this.#index = index
    this.name = `broker-${'abcdefgh'[index]}`
    this.address = address
  }

  /**
   * `keep: 'stored'`: as after a crash; `'committed'`: as after a stop in peace, what groups have committed is there, and locks
   * are not; of one broker alone, as TestBroker forgets those of all.
   */
  async start({ keep = 'stored' } = {}) {
    if (keep === 'stored') return this.#broker.startBroker(this.#index)
    this.#broker.forgetLocks()
    return this.#broker.startBroker(this.#index, { keep: 'all' })
  }

  stop() {
    return this.#broker.stopBroker(this.#index)
  }

  /** What only the disk had is there after the next start. */
  kill9() {
    return this.#broker.stopBroker(this.#index)
  }

  async restart() {
    await this.stop()
    await this.start()
  }

  /** Where the queues of these topics end, for `restoreStore()`. @param {string[]} topics */
  async keepStore(topics) {
    const stored = await Promise.all(topics.map((topic) => this.#broker.messages(topic)))
    const here = stored.flat().filter(({ queue }) => queue.brokerName === this.name)
    return new Map(here.map(({ queue, queueOffset }) => [JSON.stringify(queue), queueOffset + 1]))
  }

  /** @param {Map<string, number>} ends */
  async restoreStore(ends) {
    for (const [queue, end] of ends) await this.#broker.setBack(JSON.parse(queue), end)
  }
}

class TestCluster {
  #admin

  /** Options as those of Cluster.start(), and TestBroker's own `timeFactor` and `seed`. */
  static async start({ version, brokers = 1, acl = false, brokerProperties = {}, tls, ...options }) {
    const broker = await TestBroker.start({
      ...options,
      version: version.slice(0, 3),
      brokers,
      credentials: acl ? ACCOUNTS.admin : undefined,
      tls: tls && { cert: tls.cert, key: tls.key, clientCa: tls.clientCa },
    })
    const cluster = new TestCluster()
    cluster.testBroker = broker
    cluster.version = version
    cluster.nameServer = broker.nameServer
    cluster.accounts = acl ? ACCOUNTS : undefined
    cluster.brokers = broker.brokers.map((address, index) => new Broker(broker, index, address))
    cluster.#admin = new Admin(broker.nameServer, { credentials: acl ? ACCOUNTS.admin : undefined, tls: tls?.admin })
    for (const { address } of cluster.brokers) {
      await cluster.#admin.updateBrokerConfig(address, { ...PROPERTIES, ...brokerProperties })
      if (acl) await cluster.#createAccounts(address)
    }
    return cluster
  }

  async #createAccounts(address) {
    if (!this.version.startsWith('4.')) {
      await this.#admin.createAccount(address, ACCOUNTS.member, ['Pub', 'Sub', 'Get'])
      await this.#admin.createAccount(address, ACCOUNTS.stranger)
      return
    }
    const accounts = [
      [ACCOUNTS.member, 'PUB|SUB'],
      [ACCOUNTS.stranger, 'DENY'],
    ]
    for (const [{ accessKey, secretKey }, perm] of accounts) {
      const ext = { accessKey, secretKey, admin: false, defaultTopicPerm: perm, defaultGroupPerm: perm }
      await this.#admin.request(address, UPDATE_AND_CREATE_ACL_CONFIG, ext)
    }
  }

  stopNameServer() {
    return this.testBroker.stopNameServer()
  }

  startNameServer() {
    return this.testBroker.startNameServer()
  }

  createTopic(topic, options) {
    return this.#admin.createTopic(topic, options)
  }

  createGroup(group, settings) {
    return this.#admin.createGroup(group, settings)
  }

  async stop() {
    await this.#admin.close()
    await this.testBroker.close()
  }
}

module.exports = { TestCluster }
