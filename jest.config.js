'use strict'
// One `npm test` runs the specs of __tests__/unit and __tests__/testing once, and all others once per backend: on the embedded
// test broker as either version, and on a real RocketMQ of each version.
//   ROCKETMQ_BACKENDS=embedded   on the test broker only: needs no Java
//   ROCKETMQ_BACKENDS=real       on real brokers only
//   ROCKETMQ_VERSION=4.9.7       on that real version only
//   ROCKETMQ_NAMESRV=host:port   on the broker you have there; *.cluster.spec.js, which start their own, are left out

const { VERSIONS } = require('./scripts/rocketmq/jars')

const { ROCKETMQ_BACKENDS, ROCKETMQ_NAMESRV, ROCKETMQ_VERSION } = process.env

const KINDS = ['embedded', 'real']
if (ROCKETMQ_BACKENDS && !KINDS.includes(ROCKETMQ_BACKENDS)) {
  throw new Error(`ROCKETMQ_BACKENDS: ${KINDS.join(' or ')}, not ${ROCKETMQ_BACKENDS}`)
}
/** What the test broker can imitate. */
const EMBEDDED_VERSIONS = ['4.9', '5.5']

/** The backends by the name of their Jest project. */
function chosenBackends() {
  const real = (versions) => versions.map((version) => ({ name: `rocketmq ${version}`, kind: 'real', version }))
  if (ROCKETMQ_NAMESRV)
    return [{ name: `rocketmq at ${ROCKETMQ_NAMESRV}`, kind: 'external', nameServer: ROCKETMQ_NAMESRV }]
  if (ROCKETMQ_VERSION) return real(ROCKETMQ_VERSION.split(','))
  return [
    ...(ROCKETMQ_BACKENDS === 'real'
      ? []
      : EMBEDDED_VERSIONS.map((version) => ({ name: `test broker ${version}`, kind: 'embedded', version }))),
    ...(ROCKETMQ_BACKENDS === 'embedded' ? [] : real(VERSIONS)),
  ]
}

/** What a kind of backend cannot run. */
const LEFT_OUT = {
  // The support specs try the support itself on real brokers, the Java client is there for the real ones.
  embedded: ['\\.java\\.', '/support[^/]*\\.spec\\.js$'],
  external: ['\\.cluster\\.spec\\.js$'],
  real: [],
}

const shared = {
  rootDir: __dirname,
  testEnvironment: 'node',
  modulePathIgnorePatterns: ['<rootDir>/target/', '<rootDir>/npm/'],
}

const BACKENDS = chosenBackends()

module.exports = {
  maxWorkers: 2,
  testTimeout: 60_000,
  reporters: ['default', '<rootDir>/__tests__/support/count-reporter.js'],
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/__tests__/unit/**/*.spec.js', '<rootDir>/__tests__/testing/**/*.spec.js'],
    },
    ...BACKENDS.map(({ name, kind }) => ({
      ...shared,
      displayName: name,
      testMatch: ['<rootDir>/__tests__/**/*.spec.js'],
      testPathIgnorePatterns: ['/node_modules/', '/__tests__/unit/', '/__tests__/testing/', ...LEFT_OUT[kind]],
      globals: { ROCKETMQ_BACKEND: name },
      globalSetup: '<rootDir>/__tests__/support/global-setup.js',
      globalTeardown: '<rootDir>/__tests__/support/global-teardown.js',
    })),
  ],
}
// No option of Jest: for the global set-up, and out of Jest's sight.
Object.defineProperty(module.exports, 'BACKENDS', { value: BACKENDS })
