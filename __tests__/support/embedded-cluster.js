'use strict'
// The test broker under the interface of a real cluster, so that the same specs run on both.

const { ACCOUNTS } = require('../../scripts/rocketmq/config')
const { Admin } = require('../../scripts/rocketmq/admin')

class EmbeddedBroker {
  #testBroker
  #index

  constructor(testBroker, index, name, address) {
    this.#testBroker = testBroker
    this.#index = index
    this.name = name
    this.address = address
  }

  /** As a crash would: locks, members and young offsets are gone when it comes back. */
  kill9() {
    return this.#testBroker.stopBroker(this.#index)
  }

  /** Starts again on the same port and store. */
  async restart() {
    await this.#testBroker.startBroker(this.#index, { keep: 'stored' })
  }
}

class EmbeddedCluster {
  #testBroker

  /** @param {{ version: '4.9' | '5.5', brokers?: number, acl?: boolean }} options */
  static async start({ version, brokers = 1, acl = false }) {
    // Not at the top: the unit tests must not need the addon.
    const { TestBroker } = require('../../testing')
    const credentials = acl ? [ACCOUNTS.admin, ACCOUNTS.member] : undefined
    const cluster = new EmbeddedCluster()
    cluster.#testBroker = await TestBroker.start({ version, brokers, credentials })
    const { nameServer } = cluster.#testBroker
    const admin = new Admin(nameServer, { credentials: acl ? ACCOUNTS.admin : undefined })
    const masters = [...(await admin.masters())]
    await admin.close()
    cluster.version = version
    cluster.nameServer = nameServer
    cluster.accounts = acl ? ACCOUNTS : undefined
    cluster.brokers = cluster.#testBroker.brokers.map((address, index) => {
      const name = masters.find(([, master]) => master === address)?.[0]
      return new EmbeddedBroker(cluster.#testBroker, index, name, address)
    })
    return cluster
  }

  stop() {
    return this.#testBroker.close()
  }
}

module.exports = { EmbeddedCluster }
