'use strict'
// Worker threads that are ended in the middle of their work, and little memory. See scripts/faults/faults/threads.js.
const { testFaults } = require('../support/faults')

testFaults(['F14'], [1])
testFaults(['F19'])
