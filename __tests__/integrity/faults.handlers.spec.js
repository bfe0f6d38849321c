'use strict'
// Handlers that go wrong, see scripts/faults/faults/handlers.js.
const { testFaults } = require('../support/faults')

testFaults(['F11'])
