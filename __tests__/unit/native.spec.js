'use strict'
// What somebody reads who has installed the package where it cannot run.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const SOURCES = path.join(__dirname, '..', '..', 'src', 'js')
let folder

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-'))
  for (const file of fs.readdirSync(SOURCES).filter((name) => name.endsWith('.js')))
    fs.copyFileSync(path.join(SOURCES, file), path.join(folder, file))
})

afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

/** The error of loading the addon with these builds there, on this platform or another. */
function failure(builds, { platform = process.platform, arch = process.arch } = {}) {
  for (const build of builds) fs.writeFileSync(path.join(folder, `rocketmq-orderly.${build}.node`), 'no library')
  const script = `
    Object.defineProperty(process, 'platform', { value: '${platform}' })
    Object.defineProperty(process, 'arch', { value: '${arch}' })
    try {
      require('./native.js')
    } catch ({ name, code, message, cause }) {
      console.log(JSON.stringify({ name, code, message, cause: cause?.message }))
    }`
  return JSON.parse(execFileSync(process.execPath, ['-e', script], { cwd: folder, encoding: 'utf8' }))
}

test('a platform without a build is told which builds there are, and how to get one', () => {
  const { name, code, message } = failure(['linux-x64-gnu'], { platform: 'darwin', arch: 'arm64' })
  expect([name, code]).toEqual(['RocketMQError', 'ERR_ROCKETMQ_PLATFORM'])
  expect(message).toContain('darwin-arm64')
  expect(message).toContain('only for linux-x64-gnu')
  expect(message).toContain('npm ci')
  expect(message).not.toContain('package-lock')
})

test('on Linux the C library is told as well', () => {
  const { message } = failure(['linux-x64-gnu'], { arch: 'riscv64' })
  expect(message).toMatch(/linux-riscv64, (glibc \d+\.\d+|musl)/)
})

test('a clone that was not built, and a bundle that lost the file, say so', () => {
  const { code, message } = failure([])
  expect(code).toBe('ERR_ROCKETMQ_PLATFORM')
  expect(message).toContain('its native side is missing')
  expect(message).toContain('external')
})

test('a build that does not load says why', () => {
  const { code, message, cause } = failure(['linux-x64-gnu', 'linux-x64-musl', 'darwin-arm64', 'darwin-x64'])
  expect(code).toBe('ERR_ROCKETMQ_PLATFORM')
  expect(message).toContain('its native side does not load here')
  expect(cause).toContain('rocketmq-orderly.')
  expect(message).toContain(cause.split('\n')[0])
})
