'use strict'
// The faults, in the order of the table.

/** @type {import('../fault').Fault[]} */
const FAULTS = [
  ...require('./none'),
  ...require('./network'),
  ...require('./brokers'),
  ...require('./routes'),
  ...require('./peers'),
  ...require('./members'),
  ...require('./handlers'),
  ...require('./standstill'),
  ...require('./threads'),
]

const number = ({ id }) => Number(id.slice(1))

module.exports = { FAULTS: FAULTS.toSorted((a, b) => number(a) - number(b)) }
