'use strict'
// The built addons, as files: on which machines they load, what they tell of the one that built them, what is in them and what is not.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { expectBaseline } = require('../support/baseline')

const ROOT = path.join(__dirname, '..', '..')
const SOURCES = path.join(ROOT, 'src', 'js')
/** The package's own, and that of its test broker. */
const PRODUCT = 'rocketmq-orderly'
const DOUBLE = 'rocketmq-orderly-test-broker'

/** The file of an addon that was built for this machine. */
function built(addon) {
  const files = fs.readdirSync(SOURCES).filter((file) => file.startsWith(`${addon}.`) && file.endsWith('.node'))
  return path.join(SOURCES, files[0] ?? `${addon} was not built`)
}

/** Versions of glibc, as numbers that can be compared. */
const numbers = (versions) => versions.map((version) => version.split('.').map(Number))
const isHigher = ([major, minor = 0], [otherMajor, otherMinor = 0]) =>
  major > otherMajor || (major === otherMajor && minor > otherMinor)

const { glibcVersionRuntime } = process.report.getReport().header
/** Who builds for others says for which glibc; a build of one's own has to load here. */
const floor = process.env.GLIBC_FLOOR || glibcVersionRuntime

test.each([PRODUCT, DOUBLE])('%s needs no newer glibc than GLIBC_FLOOR says, or than this machine has', (addon) => {
  const needs = execFileSync('readelf', ['--version-info', '--wide', built(addon)], { encoding: 'utf8' })
  const versions = [...needs.matchAll(/Name: GLIBC_([\d.]+)/g)].map(([, version]) => version)
  expect(versions).toContain('2.2.5') // the oldest of x64: the table was read
  expect(versions.filter((version) => isHigher(...numbers([version, floor])))).toEqual([])
})

test.each([PRODUCT, DOUBLE])('no path of the machine that built %s is inside', (addon) => {
  const bytes = fs.readFileSync(built(addon))
  const cargoHome = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo')
  const sysroot = execFileSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).trim()
  const folders = [os.homedir(), path.resolve(cargoHome), sysroot, path.resolve(ROOT)]
  expect(folders.filter((folder) => bytes.includes(`${folder}/`))).toEqual([])
})

/** The crates that this one is made of, by name; what only its tests need is not among them. */
function crates(name) {
  const tree = ['tree', '--locked', '--offline', '--edges', 'normal', '--prefix', 'none', '--format', '{p}']
  const printed = execFileSync('cargo', [...tree, '--package', name], { cwd: ROOT, encoding: 'utf8' })
  return new Set(
    printed
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' ')[0]),
  )
}

test('what runs in production holds nothing of the test broker', () => {
  const [product, double] = [crates('rocketmq-orderly'), crates('rocketmq-test-broker-addon')]
  const ofTheDouble = ['rocketmq-test-broker', 'regress']
  expect(ofTheDouble.filter((name) => !double.has(name))).toEqual([])
  expect(ofTheDouble.filter((name) => product.has(name))).toEqual([])
  // Nor does the double hold what it is to find faults in.
  expect(product.has('rocketmq-client')).toBe(true)
  expect(double.has('rocketmq-client')).toBe(false)
})

test('the protocol is bytes only: nothing in it waits', () => {
  const protocol = crates('rocketmq-protocol')
  expect(protocol.has('bytes')).toBe(true)
  expect(['tokio', 'socket2', 'napi'].filter((name) => protocol.has(name))).toEqual([])
})

test('what runs in production does not grow', () => {
  const file = built(PRODUCT)
  const stripped = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'addon-')), 'stripped')
  execFileSync('strip', ['--strip-all', '-o', stripped, file])
  const { size } = fs.statSync(stripped)
  fs.rmSync(path.dirname(stripped), { recursive: true })
  // A debug build, for whoever works on it, is as large as its symbols are.
  const isRelease = fs.statSync(file).size < 1.5 * size
  if (isRelease) expectBaseline('bytes of the addon', size, { above: 0.03 })
  else expect(size).toBeLessThanOrEqual(25e6)
})
