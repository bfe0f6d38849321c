'use strict'
// A linker that links against an old glibc. An addon needs at run time at least the glibc that it was linked with, and npm has the
// toolchain that napi-rs makes its own packages with.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

/** The glibc that the toolchain brings. */
const FLOOR = '2.17'
const PACKAGE = '@napi-rs/cross-toolchain-x64-target-x86_64'
const TRIPLE = 'x86_64-unknown-linux-gnu'

/** The path of its linker; fetched and unpacked into `folder` once. */
function oldLinker(folder) {
  const linker = path.join(folder, 'bin', `${TRIPLE}-gcc`)
  if (fs.existsSync(linker)) return linker
  const fetched = path.join(folder, '..', 'toolchain-package')
  fs.mkdirSync(fetched, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) {
    fs.copyFileSync(path.join(__dirname, 'toolchain', file), path.join(fetched, file))
  }
  execFileSync('npm', ['ci', '--prefix', fetched, '--ignore-scripts', '--no-audit', '--no-fund'], { stdio: 'inherit' })
  const archive = path.join(fetched, 'node_modules', PACKAGE, `${TRIPLE}.tar.xz`)
  // Moved when it is whole: a torn folder is never used.
  const unpacked = fs.mkdtempSync(`${folder}-`)
  execFileSync('tar', ['--extract', '--xz', '--file', archive, '--directory', unpacked], { stdio: 'inherit' })
  fs.rmSync(folder, { recursive: true, force: true })
  fs.renameSync(unpacked, folder)
  return linker
}

module.exports = { FLOOR, oldLinker }
