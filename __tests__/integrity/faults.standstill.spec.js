'use strict'
// Clients that stand still for less than a lock lasts (blocked-loop and stopped-process have longer ones), and clocks that jump. See
// scripts/faults/faults/standstill.js.
const { testFaults } = require('../support/faults')

testFaults(['F12', 'F13', 'F18'])
