'use strict'
// The remoting protocol without any code of the addon, for tests that look behind its back.
module.exports = require('../../scripts/rocketmq/wire')
