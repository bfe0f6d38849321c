'use strict'

module.exports = async function globalTeardown() {
  await Promise.all((globalThis.rocketmqClusters ?? []).map((cluster) => cluster.stop()))
}
