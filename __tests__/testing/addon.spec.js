'use strict'
// The built addon, as a file: on which machines it loads, and what it tells of the one that built it.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const SOURCES = path.join(__dirname, '..', '..', 'src', 'js')
const addon = path.join(SOURCES, fs.readdirSync(SOURCES).find((file) => file.endsWith('.node')) ?? 'no addon was built')

/** Versions of glibc, as numbers that can be compared. */
const numbers = (versions) => versions.map((version) => version.split('.').map(Number))
const isHigher = ([major, minor = 0], [otherMajor, otherMinor = 0]) =>
  major > otherMajor || (major === otherMajor && minor > otherMinor)

const { glibcVersionRuntime } = process.report.getReport().header
/** Who builds for others says for which glibc; a build of one's own has to load here. */
const floor = process.env.GLIBC_FLOOR || glibcVersionRuntime

test('it needs no newer glibc than GLIBC_FLOOR says, or than this machine has', () => {
  const needs = execFileSync('readelf', ['--version-info', '--wide', addon], { encoding: 'utf8' })
  const versions = [...needs.matchAll(/Name: GLIBC_([\d.]+)/g)].map(([, version]) => version)
  expect(versions).toContain('2.2.5') // the oldest of x64: the table was read
  expect(versions.filter((version) => isHigher(...numbers([version, floor])))).toEqual([])
})

test('no path of the machine that built it is inside', () => {
  const bytes = fs.readFileSync(addon)
  const cargoHome = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo')
  const sysroot = execFileSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).trim()
  const folders = [os.homedir(), path.resolve(cargoHome), sysroot, path.resolve(SOURCES, '..', '..')]
  expect(folders.filter((folder) => bytes.includes(`${folder}/`))).toEqual([])
})
