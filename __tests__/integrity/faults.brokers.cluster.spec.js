'use strict'
// What brokers do, see scripts/faults/faults/brokers.js.
const { testFaults } = require('../support/faults')

testFaults(['F5'])
