'use strict'
// How the brokers that the global set-up has started become known to the workers: through the environment.

const VARIABLE = 'ROCKETMQ_ORDERLY_TEST_BACKENDS'

/** Brokers by the name of their Jest project. @param {Record<string, { version: string, nameServer: string, brokers: object[] }>} backends */
function writeBackends(backends) {
  process.env[VARIABLE] = JSON.stringify(backends)
}

function readBackend(name) {
  const backend = JSON.parse(process.env[VARIABLE] ?? '{}')[name]
  if (!backend) throw new Error(`The global set-up started no broker for the project ${name}`)
  return backend
}

module.exports = { readBackend, writeBackends }
