#!/usr/bin/env node
'use strict'
// node scripts/build/cli.js [--debug]: builds both addons into src/js, the package's own and that of its test broker.
//   GLIBC_FLOOR=2.17    links them so that they run with that glibc, too: for addons that are given to others

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { FLOOR, oldLinker } = require('./toolchain')
const { suitable } = require('../../src/js/loader.js')

const ROOT = path.join(__dirname, '..', '..')
const INTO = path.join(ROOT, 'src', 'js')
/** The name of each crate that becomes an addon, and the name that it is loaded by. */
const ADDONS = {
  'rocketmq-orderly': 'rocketmq-orderly',
  'rocketmq-test-broker-addon': 'rocketmq-orderly-test-broker',
}

const targetFolder = () => path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target')

/**
 * Flags for rustc: no path of this machine ends up in the addon.
 * @param {string} sysroot
 */
function remapped(sysroot) {
  const cargoHome = path.resolve(process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'))
  const names = { [path.join(cargoHome, 'registry', 'src')]: 'crates', [sysroot]: 'rust', [ROOT]: 'rocketmq-orderly' }
  return Object.entries(names).map(([folder, name]) => `--remap-path-prefix=${folder}=${name}`)
}

/** What links with an old glibc: flags for rustc, and the environment. */
function floored() {
  const floor = process.env.GLIBC_FLOOR
  if (!floor) return { flags: [], env: {} }
  if (process.platform !== 'linux' || process.arch !== 'x64' || floor !== FLOOR) {
    throw new Error(`GLIBC_FLOOR=${floor}: there is a toolchain for ${FLOOR} on linux-x64 only`)
  }
  const linker = oldLinker(path.join(targetFolder(), `toolchain-glibc-${FLOOR}`))
  // Its gcc does not know of linkers by name.
  return { flags: ['-Clinker-features=-lld'], env: { CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER: linker } }
}

/**
 * Flags for rustc: functions that are the same become one (17 KB of the addon), where Rust brings a linker that can.
 * @param {string} sysroot
 * @param {string} target
 */
function folded(sysroot, target) {
  const linker = path.join(sysroot, 'lib', 'rustlib', target, 'bin', 'gcc-ld', 'ld.lld')
  if (process.platform !== 'linux' || !fs.existsSync(linker)) return []
  // Every gcc takes the `ld` that it finds here.
  const folder = path.join(targetFolder(), 'linker')
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  fs.symlinkSync(linker, path.join(folder, 'ld'))
  return [`-Clink-arg=-B${folder}`, '-Clink-arg=-Wl,--icf=all']
}

/** This machine, as Rust names it. */
function host() {
  const version = execFileSync('rustc', ['--version', '--verbose'], { encoding: 'utf8' })
  return /^host: (.+)$/m.exec(version)[1]
}

/** This machine, as the loader names it. */
function platform() {
  const glibc = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime
  const names = suitable(process.platform, process.arch)
  return names.find((name) => name.endsWith(glibc ? '-gnu' : '-musl')) ?? names[0]
}

/**
 * The libraries that cargo has made, by the names of their crates.
 * @param {string} messages of cargo, one JSON a line
 */
function libraries(messages) {
  const made = messages.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
  const libraries = made.filter(
    ({ reason, target }) => reason === 'compiler-artifact' && target.kind.includes('cdylib'),
  )
  return new Map(libraries.map(({ target, filenames }) => [target.name, filenames[0]]))
}

/**
 * Lays a copy in the place of what was there: whoever has loaded that keeps it whole.
 * @param {string} library
 * @param {string} addon
 */
function place(library, addon) {
  const copy = path.join(INTO, `.native.${process.pid}`)
  fs.copyFileSync(library, copy)
  fs.renameSync(copy, path.join(INTO, addon))
}

function main() {
  const { values } = parseArgs({ options: { debug: { type: 'boolean', default: false } } })
  const { flags, env } = floored()
  const [sysroot, target] = [execFileSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).trim(), host()]
  const size = values.debug ? [] : folded(sysroot, target)
  const given = process.env.RUSTFLAGS?.split(' ').filter(Boolean) ?? []
  const args = ['build', '--locked', '--message-format', 'json-render-diagnostics']
  // Named, the host gets a folder of its own, which other flags for rustc leave alone.
  args.push('--target', target, ...Object.keys(ADDONS).flatMap((crate) => ['--package', crate]))
  const { status, stdout, error } = spawnSync('cargo', values.debug ? args : [...args, '--release'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: Infinity,
    env: {
      ...process.env,
      ...env,
      CARGO_ENCODED_RUSTFLAGS: [...given, ...remapped(sysroot), ...flags, ...size].join('\x1f'),
    },
  })
  if (error) throw error
  process.exitCode = status ?? 1
  if (status !== 0) return
  const made = libraries(stdout)
  for (const [crate, name] of Object.entries(ADDONS)) {
    place(made.get(crate.replaceAll('-', '_')), `${name}.${platform()}.node`)
  }
}

main()
