'use strict'
// What networks do, see scripts/faults/faults/network.js.
const { testFaults } = require('../support/faults')

testFaults(['F1', 'F2', 'F3'])
