'use strict'
// The native side of the clients.

module.exports = require('./loader.js').load('rocketmq-orderly', 'rocketmq-orderly')
