'use strict'
// Once per run of Jest, before the specs with genuine Java programs: what these are made of. On a first run it comes from the network,
// which no test should wait for; one after the other, since two Mavens at once, in two workers, damage what both fetch.

const { VERSIONS, classPath } = require('../../scripts/rocketmq/jars')

module.exports = async function peersSetup() {
  const { HAS_JAVA } = require('../../jest.config')
  if (!HAS_JAVA) return
  for (const version of VERSIONS) for (const kind of ['client', 'tools']) await classPath(version, kind)
}
