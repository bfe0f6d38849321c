'use strict'
// What brokers do, see scripts/faults/faults/brokers.js.
const { testFaults } = require('../support/faults')

testFaults(['F4', 'F5', 'F6', 'F22'])
