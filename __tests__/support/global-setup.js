'use strict'
// Once per run of Jest: one plain broker for each backend, or a look at the one that ROCKETMQ_NAMESRV names.

const { Cluster } = require('../../scripts/rocketmq/cluster')
const { classPath } = require('../../scripts/rocketmq/jars')
const { TestAdmin } = require('./admin')
const { writeBackends } = require('./backends')
const { EmbeddedCluster } = require('./embedded-cluster')
const { releaseOf } = require('./wire')

const GET_BROKER_RUNTIME_INFO = 28

module.exports = async function globalSetup() {
  const { BACKENDS } = require('../../jest.config')
  // On a first run these come from the network, which no test should wait for.
  for (const { kind, version } of BACKENDS) {
    if (kind === 'real') for (const jars of ['server', 'client']) await classPath(version, jars)
  }
  globalThis.rocketmqClusters = []
  const settled = await Promise.allSettled(BACKENDS.map(started))
  const failed = settled.find(({ status }) => status === 'rejected')
  if (failed) {
    await Promise.all(globalThis.rocketmqClusters.map((cluster) => cluster.stop()))
    throw failed.reason
  }
  writeBackends(Object.fromEntries(settled.map(({ value }) => [value.backend, value])))
}

/** What the specs of a backend are told of it. */
async function started({ name, kind, version, nameServer }) {
  if (kind === 'external') return { backend: name, kind, ...(await look(nameServer)) }
  const cluster = await (kind === 'embedded' ? EmbeddedCluster : Cluster).start({ version })
  globalThis.rocketmqClusters.push(cluster)
  const brokers = cluster.brokers.map(({ name, address }) => ({ name, address }))
  return { backend: name, kind, version, nameServer: cluster.nameServer, brokers }
}

async function look(nameServer) {
  const admin = new TestAdmin(nameServer)
  try {
    const masters = [...(await admin.masters())].map(([name, address]) => ({ name, address }))
    if (masters.length === 0) throw new Error(`No broker is registered at ${nameServer}`)
    const { version } = await admin.request(masters[0].address, GET_BROKER_RUNTIME_INFO)
    return { version: releaseOf(version), nameServer, brokers: masters }
  } finally {
    await admin.close()
  }
}
