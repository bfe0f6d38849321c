'use strict'
// One `npm test` runs the specs on TestBroker, once as each version of RocketMQ, and those that need no broker once.
//   npm run test:real            on real brokers instead, once per version
//   ROCKETMQ_VERSION=4.9.7       on real brokers, one version only
//   ROCKETMQ_NAMESRV=host:port   on the broker you have there; *.cluster.spec.js, which start their own, are left out
// What only holds on a real broker is called *.real.*.spec.js.

const fs = require('node:fs')
const path = require('node:path')
const { VERSIONS } = require('./scripts/rocketmq/jars')

const { ROCKETMQ_NAMESRV, ROCKETMQ_VERSION, JAVA_HOME } = process.env

/** The name server of a broker that runs already, if one is to be used. */
const EXTERNAL = ROCKETMQ_NAMESRV || undefined
/** Real brokers to start. */
const TESTED_VERSIONS = !EXTERNAL && ROCKETMQ_VERSION ? ROCKETMQ_VERSION.split(',') : []
/** TestBroker, by the name of its Jest project. */
const TEST_BROKERS =
  EXTERNAL || ROCKETMQ_VERSION ? {} : Object.fromEntries(VERSIONS.map((version) => [`TestBroker ${version}`, version]))

const shared = {
  rootDir: __dirname,
  testEnvironment: 'node',
  modulePathIgnorePatterns: ['<rootDir>/target/', '<rootDir>/npm/'],
}

const onBroker = (backend, ignored = []) => ({
  ...shared,
  displayName: `rocketmq ${backend}`,
  testMatch: ['<rootDir>/__tests__/**/*.spec.js'],
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/__tests__/(unit|testing)/', ...ignored],
  globals: { ROCKETMQ_BACKEND: backend },
  globalSetup: '<rootDir>/__tests__/support/global-setup.js',
  globalTeardown: '<rootDir>/__tests__/support/global-teardown.js',
})

/** Specs that run the genuine Java client; where a tool for it is missing they are left out on TestBroker, which needs none. */
const NEEDS_JAVA = ['\\.java\\.']
const HAS_JAVA = [JAVA_HOME ? path.join(JAVA_HOME, 'bin', 'javac') : 'javac', 'mvn'].every(isInstalled)

function isInstalled(tool) {
  const folders = path.isAbsolute(tool) ? [''] : (process.env.PATH ?? '').split(path.delimiter)
  return folders.some((folder) => ['', '.exe', '.cmd'].some((end) => fs.existsSync(path.join(folder, `${tool}${end}`))))
}

/** Minutes of waiting for locks of the dead to run out: on the newest version only. */
const WAITS_FOR_LOCKS = ['faults\\.(killed|ended)\\.']
const tooSlow = (version) => (version === VERSIONS.at(-1) ? [] : WAITS_FOR_LOCKS)

const onTestBroker = (name) =>
  onBroker(name, ['\\.real\\.', ...(HAS_JAVA ? [] : NEEDS_JAVA), ...tooSlow(TEST_BROKERS[name])])

module.exports = {
  // Specs wait more than they work, on real brokers too, whose starts take what there is: so many keep two cores busy, and no more than that.
  maxWorkers: TESTED_VERSIONS.length > 0 ? 4 : 5,
  testSequencer: '<rootDir>/__tests__/support/long-first.js',
  // A busy machine takes longer than the usual 0.5 s to take a worker's memory down; what is left open is told all the same.
  workerGracefulExitTimeout: 5_000,
  testTimeout: 120_000,
  reporters: ['default', '<rootDir>/__tests__/support/count-reporter.js'],
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/__tests__/unit/**/*.spec.js', '<rootDir>/__tests__/testing/**/*.spec.js'],
      testPathIgnorePatterns: ['/node_modules/', ...(HAS_JAVA ? [] : NEEDS_JAVA)],
      globalSetup: '<rootDir>/__tests__/support/peers-setup.js',
    },
    ...(EXTERNAL ? [onBroker(EXTERNAL, ['\\.cluster\\.spec\\.js$'])] : []),
    ...TESTED_VERSIONS.map((version) => onBroker(version, tooSlow(version))),
    ...Object.keys(TEST_BROKERS).map(onTestBroker),
  ],
}
// Not options of Jest: for the global set-up, and out of Jest's sight.
Object.defineProperty(module.exports, 'EXTERNAL', { value: EXTERNAL })
Object.defineProperty(module.exports, 'TESTED_VERSIONS', { value: TESTED_VERSIONS })
Object.defineProperty(module.exports, 'HAS_JAVA', { value: HAS_JAVA })
Object.defineProperty(module.exports, 'TEST_BROKERS', { value: TEST_BROKERS })
