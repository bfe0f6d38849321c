'use strict'
// A real Apache RocketMQ on this machine: one name server and one or two brokers, on a fresh store.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { Admin } = require('./admin')
const { ACCOUNTS, storeOf, writeBroker, writeHome, writeNameServer } = require('./config')
const { Guard } = require('./guard')
const { classPath, VERSIONS } = require('./jars')
const { MissingToolError } = require('./java')
const { freeBrokerPort, freePort } = require('./ports')
const { JavaServer } = require('./server')

const BROKER_NAMES = ['broker-a', 'broker-b', 'broker-c', 'broker-d']
const REGISTER_TIMEOUT_MS = 90_000
const POLL_MS = 40
/** So long a first registration takes when it meets the name server; past that we ask for another. */
const REGISTRATION_MS = 250

/** A file of the store is called by the offset at which it begins. */
const STORE_FILE = /(?:^|[/\\])\d{20}$/

/** A 4.9 broker that was killed while it made a file will not start again, and says nothing. A 5.x one removes such a file, as this does. */
function removeUnfinished(store) {
  if (!fs.existsSync(store)) return
  for (const name of fs.readdirSync(store, { recursive: true })) {
    const file = path.join(store, name)
    if (STORE_FILE.test(name) && fs.statSync(file).size === 0) fs.rmSync(file)
  }
}

/** One broker of a cluster. */
class Broker {
  #store
  #server
  #admin
  #acl
  #hasAccounts = false

  constructor(name, address, store, server, admin, acl) {
    this.name = name
    this.address = address
    this.#store = store
    this.#server = server
    this.#admin = admin
    this.#acl = acl
  }

  get pid() {
    return this.#server.pid
  }

  /** Starts the process; resolves when the name server routes to it. */
  async start() {
    if (!this.pid) removeUnfinished(this.#store)
    await this.#server.start()
    await this.#registered()
    if (this.#acl?.accountsByRequest && !this.#hasAccounts) {
      await this.#admin.createAccount(this.address, ACCOUNTS.member, ['Pub', 'Sub', 'Get'])
      await this.#admin.createAccount(this.address, ACCOUNTS.stranger)
      this.#hasAccounts = true
    }
  }

  /** Kills the process with SIGKILL, as a crash would; the store stays. */
  kill9() {
    return this.#server.kill9()
  }

  /** Ends the process in peace (2-10 s on 4.9.7, 16 s on 5.5.0); the store stays. */
  stop() {
    return this.#server.stop()
  }

  /** Starts again on the same port and store; stops first if it runs. */
  async restart() {
    await this.stop()
    await this.start()
  }

  /** A copy of all that is stored, as a backup would make it while the broker runs; for `restoreStore()`. */
  async keepStore() {
    const copy = fs.mkdtempSync(`${this.#store}-`)
    fs.cpSync(this.#store, copy, { recursive: true })
    return copy
  }

  /** Puts a copy in the place of the store of a broker that does not run; what groups have committed stays. */
  async restoreStore(copy) {
    const config = 'config'
    for (const name of fs.readdirSync(this.#store)) {
      if (name !== config) fs.rmSync(path.join(this.#store, name), { recursive: true })
    }
    for (const name of fs.readdirSync(copy)) {
      if (name !== config) fs.cpSync(path.join(copy, name), path.join(this.#store, name), { recursive: true })
    }
  }

  /** The broker has a topic of its own name, whose route shows that the name server knows it. */
  async #registered() {
    const deadline = Date.now() + REGISTER_TIMEOUT_MS
    let nudge = Date.now() + REGISTRATION_MS
    while (!(await this.#isRouted())) {
      if (!this.pid) throw new Error(`${this.name} ended while starting`)
      if (Date.now() > deadline) throw new Error(`${this.name} did not register in ${REGISTER_TIMEOUT_MS} ms`)
      if (Date.now() > nudge) {
        // The first registration failed, and the next is up to 10 s away: a change of this setting registers at once.
        await this.#admin.updateBrokerConfig(this.address, { brokerPermission: 6 }).catch(() => {})
        nudge = Date.now() + REGISTRATION_MS
      }
      await sleep(POLL_MS)
    }
  }

  async #isRouted() {
    const route = await this.#admin.route(this.name).catch(() => undefined)
    return (
      route?.brokerDatas.some(
        ({ brokerName, brokerAddrs }) => brokerName === this.name && brokerAddrs['0'] === this.address,
      ) ?? false
    )
  }
}

class Cluster {
  #guard
  #nameServerProcess
  #admin
  #removes

  /**
   * Starts a cluster; resolves when every broker can be reached through the name server.
   *
   * @param {object} [options]
   * @param {string} [options.version] '5.5.0' (default) or '4.9.7'
   * @param {number} [options.brokers] how many masters: broker-a, broker-b, …; 1
   * @param {boolean} [options.acl] with access control, and the accounts of `cluster.accounts`; false
   * @param {boolean | import('./server').ServerTls & { admin: import('node:tls').ConnectionOptions }} [options.tls] whether servers speak TLS,
   *   too, as they do unless they are told, or how they speak nothing else, and what an admin needs for it; false
   * @param {number} [options.port] of the name server; free ones are chosen where none is given
   * @param {number[]} [options.brokerPorts] each takes the ports -2 and +1 around it too
   * @param {Record<string, string | number | boolean>} [options.brokerProperties] settings of the brokers, over our own
   * @param {Record<string, string | number | boolean>} [options.nameServerProperties] settings of the name server
   * @param {string} [options.keepDir] where the store and the logs go, and stay; else a temporary folder
   * @returns {Promise<Cluster>}
   */
  static async start(options = {}) {
    const chosen = options.port === undefined && options.brokerPorts === undefined
    try {
      return await Cluster.#startOnce(options)
    } catch (error) {
      // A chosen port can be taken by somebody else in between.
      if (!chosen || !/BindException|Address already in use/.test(error.message)) throw error
      return Cluster.#startOnce(options)
    }
  }

  static async #startOnce({ version = VERSIONS.at(-1), brokers = 1, acl = false, ...options }) {
    if (!(brokers >= 1 && brokers <= BROKER_NAMES.length)) {
      throw new RangeError(`brokers: 1 to ${BROKER_NAMES.length}, not ${brokers}`)
    }
    const classes = await classPath(version, 'server')
    const cluster = new Cluster()
    await cluster.#create({ version, brokers, acl, classes, ...options })
    try {
      await cluster.#boot()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  async #create({
    version,
    brokers,
    acl,
    tls,
    classes,
    port,
    brokerPorts = [],
    brokerProperties,
    nameServerProperties,
    keepDir,
  }) {
    const dir = keepDir ? path.resolve(keepDir) : fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-'))
    const guard = new Guard(keepDir ? undefined : dir)
    this.#guard = guard
    this.#removes = keepDir ? undefined : dir
    port ??= await freePort()
    this.version = version
    this.nameServer = `127.0.0.1:${port}`
    this.dir = dir
    /** With access control: { admin, member, stranger }, each { accessKey, secretKey }. */
    this.accounts = acl ? ACCOUNTS : undefined
    this.#admin = new Admin(this.nameServer, { credentials: acl ? ACCOUNTS.admin : undefined, tls: tls?.admin })

    const home = writeHome(path.join(dir, 'namesrv'), version)
    this.#nameServerProcess = new JavaServer({
      name: 'namesrv',
      mainClass: 'org.apache.rocketmq.namesrv.NamesrvStartup',
      classPath: classes,
      configFile: writeNameServer(home, { port, properties: nameServerProperties }),
      home,
      heap: ['64m', '256m'],
      tls,
      guard,
    })
    this.brokers = []
    for (const [index, name] of BROKER_NAMES.slice(0, brokers).entries()) {
      const brokerPort = brokerPorts[index] ?? (await freeBrokerPort())
      const brokerHome = writeHome(path.join(dir, name), version)
      const settings = {
        version,
        name,
        port: brokerPort,
        nameServer: this.nameServer,
        acl,
        properties: brokerProperties,
      }
      const server = new JavaServer({
        name,
        mainClass: 'org.apache.rocketmq.broker.BrokerStartup',
        classPath: classes,
        configFile: writeBroker(brokerHome, settings),
        home: brokerHome,
        heap: ['128m', '512m'],
        tls,
        guard,
      })
      const accounts = acl ? { accountsByRequest: !version.startsWith('4.') } : undefined
      const address = `127.0.0.1:${brokerPort}`
      this.brokers.push(new Broker(name, address, storeOf(brokerHome), server, this.#admin, accounts))
    }
  }

  async #boot() {
    const starting = [this.#nameServerProcess.start(), ...this.brokers.map((broker) => broker.start())]
    try {
      await Promise.all(starting)
    } catch (error) {
      // The others would wait for the one that failed.
      await this.#kill()
      await Promise.allSettled(starting)
      throw error
    }
  }

  /** Makes a topic on every broker and waits for its route; options as Admin.createTopic(). */
  createTopic(topic, options) {
    return this.#admin.createTopic(topic, options)
  }

  /** Makes a consumer group on every broker. */
  createGroup(group, settings) {
    return this.#admin.createGroup(group, settings)
  }

  /** Ends the name server in peace; brokers go on. */
  stopNameServer() {
    return this.#nameServerProcess.stop()
  }

  /** Starts it again, on its port; brokers register with it every 10 s. */
  startNameServer() {
    return this.#nameServerProcess.start()
  }

  /** Kills every process and removes the store. */
  async stop() {
    await this.#admin.close()
    await this.#kill()
    await this.#guard.release()
    if (this.#removes) fs.rmSync(this.#removes, { recursive: true, force: true, maxRetries: 3 })
  }

  async #kill() {
    await Promise.all([this.#nameServerProcess.kill9(), ...this.brokers.map((broker) => broker.kill9())])
  }
}

module.exports = { Cluster, MissingToolError, VERSIONS }
