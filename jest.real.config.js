'use strict'
// `npm run test:real`: the same specs, unchanged, on real brokers.

const { VERSIONS } = require('./scripts/rocketmq/jars')

process.env.ROCKETMQ_VERSION ||= VERSIONS.join(',')

module.exports = require('./jest.config')
