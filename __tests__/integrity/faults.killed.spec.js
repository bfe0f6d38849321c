'use strict'
// Members that are killed: their locks have to run out. See scripts/faults/faults/members.js.
const { testFaults } = require('../support/faults')

testFaults(['F10'], [1])
