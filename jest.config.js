'use strict'
// One `npm test` runs the specs on real brokers once per version of RocketMQ, and those of __tests__/unit once.
//   ROCKETMQ_VERSION=4.9.7       one version only
//   ROCKETMQ_NAMESRV=host:port   on the broker you have there; *.cluster.spec.js, which start their own, are left out

const { VERSIONS } = require('./scripts/rocketmq/jars')

const { ROCKETMQ_NAMESRV, ROCKETMQ_VERSION } = process.env

/** The name server of a broker that runs already, if one is to be used. */
const EXTERNAL = ROCKETMQ_NAMESRV || undefined
const TESTED_VERSIONS = ROCKETMQ_VERSION ? ROCKETMQ_VERSION.split(',') : VERSIONS

const shared = {
  rootDir: __dirname,
  testEnvironment: 'node',
  modulePathIgnorePatterns: ['<rootDir>/target/', '<rootDir>/npm/'],
}

const onBroker = (backend, ignored = []) => ({
  ...shared,
  displayName: `rocketmq ${backend}`,
  testMatch: ['<rootDir>/__tests__/**/*.spec.js'],
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/__tests__/unit/', ...ignored],
  globals: { ROCKETMQ_BACKEND: backend },
  globalSetup: '<rootDir>/__tests__/support/global-setup.js',
  globalTeardown: '<rootDir>/__tests__/support/global-teardown.js',
})

module.exports = {
  maxWorkers: 2,
  testTimeout: 60_000,
  reporters: ['default', '<rootDir>/__tests__/support/count-reporter.js'],
  projects: [
    { ...shared, displayName: 'unit', testMatch: ['<rootDir>/__tests__/unit/**/*.spec.js'] },
    ...(EXTERNAL
      ? [onBroker(EXTERNAL, ['\\.cluster\\.spec\\.js$'])]
      : TESTED_VERSIONS.map((version) => onBroker(version))),
  ],
}
// Not options of Jest: for the global set-up, and out of Jest's sight.
Object.defineProperty(module.exports, 'EXTERNAL', { value: EXTERNAL })
Object.defineProperty(module.exports, 'TESTED_VERSIONS', { value: TESTED_VERSIONS })
