'use strict'
// Loads an addon that was built for this platform, or says what there is, what is needed, and how to get it.

const fs = require('node:fs')
const path = require('node:path')
const { RocketMQError } = require('./errors.js')

/** Where the builds lie, one file a platform: `<addon>.<platform>.node`. */
const BUILDS = __dirname

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

/**
 * The platforms that have a build of this addon here.
 * @param {string} addon
 */
function builds(addon) {
  const [before, after] = [`${addon}.`, '.node']
  const files = fs.readdirSync(BUILDS).filter((file) => file.startsWith(before) && file.endsWith(after))
  return files.map((file) => file.slice(before.length, -after.length))
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
 * @param {string} name
 * @param {readonly string[]} present
 * @param {unknown} cause
 */
function unusable(name, present, cause) {
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
    `${name} cannot run on ${machine()}, Node.js ${process.version}: ${what}${why}. ` +
    `${advice}: \`npm ci --force\` in a clone, with Rust from https://rustup.rs`
  return new RocketMQError('ERR_ROCKETMQ_PLATFORM', text, { cause })
}

/**
 * @param {string} addon
 * @param {string} name what people know it by
 * @returns {unknown}
 */
function load(addon, name) {
  const present = builds(addon)
  let cause
  for (const platform of suitable(process.platform, process.arch).filter((platform) => present.includes(platform))) {
    try {
      return require(path.join(BUILDS, `${addon}.${platform}.node`))
    } catch (thrown) {
      cause ??= thrown
    }
  }
  throw unusable(name, present, cause)
}

module.exports = { load, suitable }
