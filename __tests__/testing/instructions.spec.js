'use strict'
// What it takes to write and to read what goes over the wire, in instructions: the same on a busy machine as on an idle one.

const { execFileSync, spawnSync } = require('node:child_process')
const path = require('node:path')
const { RENEW, expectBaseline, read, renew } = require('../support/baseline')
const { testWith } = require('../support/tools')

const ROOT = path.join(__dirname, '..', '..')
const PROGRAM = 'count_me'
/** What runs once is gone in the difference. */
const [FEW, MANY] = [100, 1_100]

/** The program that does one thing many times, with the protocol alone in it. */
function build() {
  const args = ['build', '--release', '--locked', '--package', 'rocketmq-protocol', '--example', PROGRAM]
  const options = { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: Infinity }
  const messages = execFileSync('cargo', [...args, '--message-format', 'json'], options)
  const made = messages.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
  return made.find(({ target, executable }) => executable && target.name === PROGRAM).executable
}

/** @returns {number} instructions of the whole program */
function counted(program, what, count) {
  const args = ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, what, String(count)]
  const { status, stderr } = spawnSync('valgrind', args, { encoding: 'utf8' })
  const found = /Collected : (\d+)/.exec(stderr)
  if (status !== 0 || !found) throw new Error(`valgrind said: ${stderr}`)
  return Number(found[1])
}

/** With another compiler than the one of the baselines, a difference says little about the sources. */
function tolerance() {
  const compiler = execFileSync('rustc', ['--version'], { encoding: 'utf8' }).trim()
  if (process.env[RENEW]) renew('compiler', compiler)
  return compiler === read().compiler ? 0.02 : 0.5
}

testWith('valgrind')(
  'instructions of encoding, decoding and signing are what they were',
  () => {
    const [program, part] = [build(), tolerance()]
    for (const what of ['encode', 'decode', 'sign']) {
      const each = (counted(program, what, MANY) - counted(program, what, FEW)) / (MANY - FEW)
      expectBaseline(`instructions to ${what}`, each, { above: part, below: part })
    }
  },
  600_000,
)
