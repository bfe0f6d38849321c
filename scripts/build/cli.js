#!/usr/bin/env node
'use strict'
// node scripts/build/cli.js [--debug]: builds the addon into src/js.
//   GLIBC_FLOOR=2.17    links it so that it runs with that glibc, too: for addons that are given to others

const { execFileSync, spawnSync } = require('node:child_process')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { FLOOR, oldLinker } = require('./toolchain')

const ROOT = path.join(__dirname, '..', '..')

/** Flags for rustc: no path of this machine ends up in the addon. */
function remapped() {
  const cargoHome = path.resolve(process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'))
  const sysroot = execFileSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).trim()
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
  const target = path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target')
  const linker = oldLinker(path.join(target, `toolchain-glibc-${FLOOR}`))
  // It does not know of the linker that rustc prefers.
  return { flags: ['-Clinker-features=-lld'], env: { CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER: linker } }
}

function main() {
  const { values } = parseArgs({ options: { debug: { type: 'boolean', default: false } } })
  const { flags, env } = floored()
  const given = process.env.RUSTFLAGS?.split(' ').filter(Boolean) ?? []
  const args = ['build', '--platform', '--no-js', '--output-dir', 'src/js']
  const { status, error } = spawnSync('napi', values.debug ? args : [...args, '--release'], {
    cwd: ROOT,
    stdio: 'inherit',
    // Run by npm, which has the tools of node_modules on its path.
    env: { ...process.env, ...env, CARGO_ENCODED_RUSTFLAGS: [...given, ...remapped(), ...flags].join('\x1f') },
  })
  if (error) throw error
  process.exitCode = status ?? 1
}

main()
