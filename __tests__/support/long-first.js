'use strict'
// The order of the specs: long ones first, so that none is left to one worker at the end. Jest knows from its last run how long each takes;
// a fresh clone had none.

const path = require('node:path')
const { default: Sequencer } = require('@jest/test-sequencer')

const FOLDER = path.join(__dirname, '..')
/** Specs of more than 15 s, and about how many seconds: the more of TestBroker and a real one. */
const SECONDS = {
  'another-store': 22,
  examples: 21,
  'integrity/blocked-loop': 38,
  'integrity/endurance': 25,
  'integrity/fault-proxy': 30,
  'integrity/faults.ended': 100,
  'integrity/faults.handlers': 60,
  'integrity/faults.killed': 90,
  'integrity/faults.members': 60,
  'integrity/faults.standstill': 90,
  'integrity/faults.threads': 60,
  'integrity/moved-broker': 33,
  'integrity/one-handler-per-key': 62,
  'integrity/stopped-process': 47,
  'integrity/thin-lines': 34,
  'interop.java': 30,
  namespace: 32,
  operator: 110,
  'ordered-send': 25,
  refusals: 19,
  seeking: 20,
  'selector.java.cluster': 40,
  'sharding-hashes.cluster': 60,
  'sharding-proxy.java.cluster': 70,
  'starting.cluster': 120,
  'store-set-back.cluster': 45,
  'support.real.cluster': 55,
  'testing/admin-tool.java': 24,
  'testing/bench': 35,
  'testing/documents.java': 74,
  'testing/examples-jest': 19,
  'testing/instructions': 45,
  'testing/java-faults.java': 132,
  'testing/unobserved': 108,
  'two-brokers.cluster': 110,
  'unit/servers': 30,
  'unread-queues': 41,
}

const seconds = ({ path: file }) => SECONDS[path.relative(FOLDER, file).replace(/\.spec\.js$/, '')] ?? 0

module.exports = class LongFirst extends Sequencer {
  static SECONDS = Object.freeze(SECONDS)

  sort(tests) {
    return super.sort(tests).sort((one, other) => seconds(other) - seconds(one))
  }
}
