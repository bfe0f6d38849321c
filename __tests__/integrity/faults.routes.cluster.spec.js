'use strict'
// What routes and name servers do, see scripts/faults/faults/routes.js.
const { testFaults } = require('../support/faults')

testFaults(['F7', 'F8'])
