'use strict'
// Once per run of Jest: one plain broker of each version, TestBroker or a real one, or a look at the one that ROCKETMQ_NAMESRV names.

const { Cluster } = require('../../scripts/rocketmq/cluster')
const { classPath } = require('../../scripts/rocketmq/jars')
const { TestAdmin } = require('./admin')
const { writeBackends } = require('./backends')
const { TestCluster } = require('./test-cluster')
const { releaseOf } = require('./wire')

const GET_BROKER_RUNTIME_INFO = 28

module.exports = async function globalSetup() {
  const { EXTERNAL, HAS_JAVA, TESTED_VERSIONS, TEST_BROKERS } = require('../../jest.config')
  if (EXTERNAL) {
    writeBackends({ [EXTERNAL]: await look(EXTERNAL) })
    return
  }
  // On a first run these come from the network, which no test should wait for.
  for (const version of TESTED_VERSIONS) for (const kind of ['server', 'client']) await classPath(version, kind)
  for (const version of HAS_JAVA ? Object.values(TEST_BROKERS) : []) await classPath(version, 'client')
  const starting = [
    ...TESTED_VERSIONS.map((version) => named(version, Cluster.start({ version }))),
    ...Object.entries(TEST_BROKERS).map(([name, version]) => named(name, TestCluster.start({ version }))),
  ]
  const settled = await Promise.allSettled(starting)
  const clusters = settled.filter(({ status }) => status === 'fulfilled').map(({ value }) => value)
  globalThis.rocketmqClusters = clusters
  const failed = settled.find(({ status }) => status === 'rejected')
  if (failed) {
    await Promise.all(clusters.map((cluster) => cluster.stop()))
    throw failed.reason
  }
  writeBackends(
    Object.fromEntries(
      clusters.map(({ name, version, nameServer, brokers, testBroker }) => [
        name,
        {
          version,
          nameServer,
          brokers: brokers.map(({ name, address }) => ({ name, address })),
          testBroker: testBroker !== undefined,
        },
      ]),
    ),
  )
}

/** A cluster under the name of its Jest project. */
async function named(name, starting) {
  return Object.assign(await starting, { name })
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
