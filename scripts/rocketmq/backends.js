'use strict'
// Brokers by their names, e.g. 'TestBroker-5.5.0' or '4.9.7': the test broker as a version, or a real one of it.

const { TestCluster } = require('../../__tests__/support/test-cluster')
const { Cluster } = require('./cluster')

const TEST_BROKER = 'TestBroker-'

/** @param {string} name */
function backendOf(name) {
  const testBroker = name.startsWith(TEST_BROKER)
  return { name, version: testBroker ? name.slice(TEST_BROKER.length) : name, testBroker }
}

/** @param {{ version: string, testBroker: boolean }} backend  @param {object} [options] */
function startBackend({ version, testBroker }, options = {}) {
  return (testBroker ? TestCluster : Cluster).start({ version, ...options })
}

module.exports = { TEST_BROKER, backendOf, startBackend }
