'use strict'
// What observers cost where there are none: a look, and no memory. The facade alone is measured, so that nothing hides it.

const { execFileSync, spawnSync } = require('node:child_process')
const { PLAIN_ENV } = require('../support/plain-env')
const { testWith } = require('../support/tools')

const LOAD = require.resolve('../support/facade-load.js')
const LOADS = ['sends', 'messages']
/** The same each time: nothing is compiled or collected beside it. */
const STEADY = ['--single-threaded', '--predictable', '--hash-seed=1', '--random-seed=1']
/** The whole run fits into the young generation, and nothing is optimized away. */
const COUNTING = [...STEADY, '--jitless', '--expose-gc', '--min-semi-space-size=512', '--max-semi-space-size=512']
const ADDRESSES = 16

const argsOf = (load, count, isBlind) => [LOAD, load, String(count), ...(isBlind ? ['blind'] : [])]

/** Bytes that were allocated on the heap. */
function allocated(load, count, isBlind) {
  const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env: PLAIN_ENV }
  return Number(execFileSync(process.execPath, [...COUNTING, ...argsOf(load, count, isBlind)], options))
}

test.each(LOADS)('%s allocate nothing for observers that are not there', (load) => {
  const [few, many] = [640, 12_800]
  const each = (isBlind) => (allocated(load, many, isBlind) - allocated(load, few, isBlind)) / (many - few)
  const [seeing, blind] = [each(false), each(true)]
  process.stdout.write(`${load}: ${seeing.toFixed(0)} bytes each, without channels ${blind.toFixed(0)}\n`)
  expect(Math.abs(seeing - blind)).toBeLessThan(ADDRESSES)
})

/** Instructions of the whole program. */
function counted(load, count, isBlind) {
  const valgrind = ['--tool=callgrind', '--callgrind-out-file=/dev/null', '--smc-check=all-non-file']
  const args = [...valgrind, process.execPath, ...STEADY, ...argsOf(load, count, isBlind)]
  const { status, stderr } = spawnSync('valgrind', args, { encoding: 'utf8' })
  const found = /Collected : (\d+)/.exec(stderr)
  if (status !== 0 || !found) throw new Error(`valgrind said: ${stderr}`)
  return Number(found[1])
}

/** Instructions of one more; what runs once, and what is compiled, is gone in the difference. */
const each = (load, few, many, isBlind) => (counted(load, many, isBlind) - counted(load, few, isBlind)) / (many - few)

/** A send and a message are some 17 000 instructions of the facade. */
const TWO_PERCENT = 340

testWith('valgrind')(
  'a look costs less than 2 % of the facade’s own instructions',
  () => {
    const looks = each('looks', 250_000, 1_250_000, false)
    process.stdout.write(`${looks.toFixed(0)} instructions for two looks\n`)
    expect(looks).toBeGreaterThan(2)
    expect(looks).toBeLessThan(TWO_PERCENT)
  },
  600_000,
)
