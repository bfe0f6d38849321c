'use strict'
// Members that come and go, see scripts/faults/faults/members.js.
const { testFaults } = require('../support/faults')

testFaults(['F9', 'F23'])
