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

  start() {
    return this.#broker.startBroker(this.#index)
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
}

class TestCluster {
  #admin

  /** Options as those of Cluster.start(). */
  static async start({ version, brokers = 1, acl = false, brokerProperties = {} }) {
    const broker = await TestBroker.start({
      version: version.slice(0, 3),
      brokers,
      credentials: acl ? ACCOUNTS.admin : undefined,
    })
    const cluster = new TestCluster()
    cluster.testBroker = broker
    cluster.version = version
    cluster.nameServer = broker.nameServer
    cluster.accounts = acl ? ACCOUNTS : undefined
    cluster.brokers = broker.brokers.map((address, index) => new Broker(broker, index, address))
    cluster.#admin = new Admin(broker.nameServer, { credentials: acl ? ACCOUNTS.admin : undefined })
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
