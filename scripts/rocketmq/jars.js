'use strict'
// Resolves the published RocketMQ artifacts from Maven Central into lib/<version>/<kind>, once.

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { maven } = require('./java')

/** Newest releases of their lines whose artifacts are all published. */
const VERSIONS = ['4.9.7', '5.5.0']

/** Where everything made for a version is kept. */
function libFolder(version) {
  return path.join(__dirname, 'lib', version)
}

let resolving = Promise.resolve()

/**
 * The class path of `kind` ('server': name server and broker; 'client': the genuine Java client; 'tools': its admin tool) of a version.
 * The first call runs Maven; later ones, in any process, only look at the folder and need no network.
 */
async function classPath(version, kind) {
  if (!VERSIONS.includes(version)) throw new RangeError(`RocketMQ ${version}? Known versions: ${VERSIONS.join(', ')}`)
  const pom = path.join(__dirname, 'poms', `${kind}-${version}.xml`)
  const digest = crypto.createHash('sha256').update(fs.readFileSync(pom)).digest('hex')
  const folder = path.join(libFolder(version), kind)
  if (!isComplete(folder, digest)) {
    // One Maven at a time: its local repository does not stand several well.
    resolving = resolving.catch(() => {}).then(() => isComplete(folder, digest) || resolve(pom, folder, digest))
    await resolving
  }
  return path.join(folder, '*')
}

/** The file `complete` is written last and names the pom and every jar, so a torn folder is never used. */
function isComplete(folder, digest) {
  try {
    const made = JSON.parse(fs.readFileSync(path.join(folder, 'complete.json'), 'utf8'))
    const present = new Set(fs.readdirSync(folder))
    return made.pom === digest && made.jars.length > 0 && made.jars.every((jar) => present.has(jar))
  } catch {
    return false
  }
}

async function resolve(pom, folder, digest) {
  fs.mkdirSync(path.dirname(folder), { recursive: true })
  const building = fs.mkdtempSync(`${folder}-`)
  try {
    await maven([
      `--file=${pom}`,
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${building}`,
    ])
    const jars = fs.readdirSync(building).filter((name) => name.endsWith('.jar'))
    fs.writeFileSync(path.join(building, 'complete.json'), JSON.stringify({ pom: digest, jars }))
    // Another process may have been quicker: what it made is as good.
    if (isComplete(folder, digest)) return
    fs.rmSync(folder, { recursive: true, force: true })
    fs.renameSync(building, folder)
  } catch (error) {
    if (!isComplete(folder, digest)) throw error
  } finally {
    fs.rmSync(building, { recursive: true, force: true })
  }
}

module.exports = { classPath, libFolder, VERSIONS }
