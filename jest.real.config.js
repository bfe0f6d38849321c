'use strict'
// `npm run test:real`: the same specs, unchanged, on real brokers. What needs no broker runs with `npm test` only.

const { VERSIONS } = require('./scripts/rocketmq/jars')

process.env.ROCKETMQ_VERSION ||= VERSIONS.join(',')

const config = require('./jest.config')

module.exports = { ...config, projects: config.projects.filter(({ displayName }) => displayName !== 'unit') }
