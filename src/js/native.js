'use strict'
// Loads the native side that was built for this platform, or says what there is, what is needed, and how to get it.

const fs = require('node:fs')
const path = require('node:path')
const { RocketMQError } = require('./errors.js')

/** Where the builds lie, one file a platform: `rocketmq-orderly.<platform>.node`. */
const BUILDS = __dirname
const BUILD = /^rocketmq-orderly\.(.+)\.node$/

/**
 * The names of builds that may suit, best first: which C library there is shows when one is loaded.
 * @param {string} platform
 * @param {string} arch
 */
function suitable(platform, arch) {
  const machine = `${platform}-${arch}`
  if (platform === 'linux') return [`${machine}-gnu`, `${machine}-musl`]
  return platform === 'win32' ? [`${machine}-msvc`] : [machine]
}

/** The platforms that have a build here. */
function builds() {
  return fs.readdirSync(BUILDS).flatMap((file) => BUILD.exec(file)?.[1] ?? [])
}

/** This machine as people name it: `linux-x64, glibc 2.28`. */
function machine() {
  const name = `${process.platform}-${process.arch}`
  if (process.platform !== 'linux') return name
  const report = /** @type {{ header?: { glibcVersionRuntime?: string } }} */ (process.report.getReport())
  const glibc = report.header?.glibcVersionRuntime
  return `${name}, ${glibc ? `glibc ${glibc}` : 'musl or another C library that is not glibc'}`
}

/**
 * @param {readonly string[]} present
 * @param {unknown} cause
 */
function unusable(present, cause) {
  const [what, advice] =
    cause !== undefined
      ? ['its native side does not load here', 'If its version of glibc is too old, build it on this machine']
      : present.length > 0
        ? [
            `it has no native side for this platform, only for ${present.join(', ')}`,
            'Install on the platform on which it runs (a bundle, a Docker image and a copied node_modules keep the one they were ' +
              'made on), or build it there',
          ]
        : [
            'its native side is missing',
            'In a clone it has to be built. A bundler must leave rocketmq-orderly out ("external"), since it cannot carry the file',
          ]
  const why = cause instanceof Error ? ` (${cause.message.split('\n')[0]})` : ''
  const text =
    `rocketmq-orderly cannot run on ${machine()}, Node.js ${process.version}: ${what}${why}. ` +
    `${advice}: \`npm ci --force\` in a clone, with Rust from https://rustup.rs`
  return new RocketMQError('ERR_ROCKETMQ_PLATFORM', text, { cause })
}

function load() {
  const present = builds()
  let cause
  for (const name of suitable(process.platform, process.arch).filter((name) => present.includes(name))) {
    try {
      return require(path.join(BUILDS, `rocketmq-orderly.${name}.node`))
    } catch (thrown) {
      cause ??= thrown
    }
  }
  throw unusable(present, cause)
}

module.exports = load()
