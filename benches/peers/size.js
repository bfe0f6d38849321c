'use strict'
// What an installation of a peer takes on disk.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')
const { classPath } = require('../../scripts/rocketmq/jars')
const { NODE } = require('./install')

const run = promisify(execFile)
const ROOT = path.join(__dirname, '..', '..')
const MIB = 2 ** 20

const sizes = new Map()

/** In MiB; of a client for Node.js with all its packages, of the Java client all its jars, of others their program. */
function installMiB(peer, command, version) {
  if (!sizes.has(`${peer} ${version}`)) sizes.set(`${peer} ${version}`, measured(peer, command, version))
  return sizes.get(`${peer} ${version}`)
}

async function measured(peer, command, version) {
  if (peer === 'ours') {
    const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT })
    return JSON.parse(stdout)[0].unpackedSize / MIB
  }
  if (peer === 'java') return bytesUnder(path.dirname(await classPath(version, 'client'))) / MIB
  const folder = path.join(NODE, 'node_modules', peer)
  if (!fs.existsSync(folder)) return fs.statSync(command[0]).size / MIB
  return [...closure(folder, new Set())].reduce((sum, it) => sum + bytesUnder(it), 0) / MIB
}

/** The folders of a package and of all that it needs. */
function closure(folder, known) {
  if (known.has(folder)) return known
  known.add(folder)
  const { dependencies = {} } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) {
    const found = [path.join(folder, 'node_modules', name), path.join(NODE, 'node_modules', name)].find(fs.existsSync)
    if (found) closure(found, known)
  }
  return known
}

/** Without the packages below it, which count for themselves. */
function bytesUnder(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const at = path.join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' ? sum : sum + bytesUnder(at)
    return sum + fs.lstatSync(at).size
  }, 0)
}

/** Of the package's own addon, in MB. */
function addonMB() {
  const folder = path.join(ROOT, 'src', 'js')
  const name = fs.readdirSync(folder).find((it) => /^rocketmq-orderly\.[^.]+\.node$/.test(it))
  return fs.statSync(path.join(folder, name)).size / 1e6
}

module.exports = { addonMB, installMiB }
