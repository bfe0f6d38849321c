'use strict'
// A real proxy of RocketMQ 5.x on this machine, through which clients that speak gRPC reach a cluster.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { writeHome } = require('./config')
const { Guard } = require('./guard')
const { classPath } = require('./jars')
const { freePort } = require('./ports')
const { compiled } = require('./peer')
const { JavaServer } = require('./server')

const SOURCE = path.join(__dirname, 'java', 'LoopbackProxy.java')

class Proxy {
  #server
  #guard
  #dir

  /**
   * Starts a proxy; resolves when it answers.
   * @param {{ version: string, nameServer: string }} options of the cluster
   */
  static async start({ version, nameServer }) {
    const jars = await classPath(version, 'proxy')
    const classes = await compiled(SOURCE, { version, jars })
    const proxy = new Proxy()
    proxy.#dir = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-proxy-'))
    proxy.#guard = new Guard(proxy.#dir)
    const port = await freePort()
    proxy.address = `127.0.0.1:${port}`
    const home = writeHome(path.join(proxy.#dir, 'proxy'), version)
    const configFile = path.join(home, 'conf', 'rmq-proxy.json')
    const config = {
      rocketMQClusterName: 'DefaultCluster',
      proxyMode: 'CLUSTER',
      namesrvAddr: nameServer,
      grpcServerPort: port,
      localServeAddr: '127.0.0.1',
    }
    fs.writeFileSync(configFile, JSON.stringify(config))
    proxy.#server = new JavaServer({
      name: 'proxy',
      mainClass: 'org.apache.rocketmq.proxy.grpc.LoopbackProxy',
      classPath: [classes, jars].join(path.delimiter),
      configFile,
      configOption: '-pc',
      home,
      heap: ['128m', '512m'],
      guard: proxy.#guard,
    })
    try {
      await proxy.#server.start()
    } catch (error) {
      await proxy.stop()
      throw error
    }
    return proxy
  }

  /** Kills the process and removes its folder. */
  async stop() {
    await this.#server.kill9()
    await this.#guard.release()
    fs.rmSync(this.#dir, { recursive: true, force: true, maxRetries: 3 })
  }
}

module.exports = { Proxy }
