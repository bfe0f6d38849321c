'use strict'
// The native side of the test broker: an addon of its own, so that whoever runs the package in production does not load it.

const { load } = require('../loader.js')

module.exports = /** @type {typeof import('./test-broker-surface')} */ (
  load('rocketmq-orderly-test-broker', 'rocketmq-orderly/testing')
)
