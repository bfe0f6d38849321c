'use strict'
// What strange peers and messages do, see scripts/faults/faults/peers.js.
const { testFaults } = require('../support/faults')

testFaults(['F15', 'F16', 'F17', 'F21', 'F24'])
