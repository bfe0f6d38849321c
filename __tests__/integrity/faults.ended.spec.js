'use strict'
// Processes that end in the middle of a handler, see scripts/faults/faults/members.js.
const { testFaults } = require('../support/faults')

testFaults(['F20'], [1])
