'use strict'
// `npm run test:real`: the same specs, unchanged, on real brokers. Those without a broker are left to `npm test`.

const { VERSIONS } = require('./scripts/rocketmq/jars')

process.env.ROCKETMQ_VERSION ||= VERSIONS.join(',')

const config = require('./jest.config')

module.exports = { ...config, projects: config.projects.filter(({ displayName }) => displayName !== 'unit') }
