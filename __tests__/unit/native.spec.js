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
  fs.cpSync(SOURCES, folder, { recursive: true, filter: (file) => !file.endsWith('.node') })
})

afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

/** The error of loading an addon with these builds of it there, on this platform or another. */
function failure(
  builds,
  { platform = process.platform, arch = process.arch, addon = 'rocketmq-orderly', by = './native.js' } = {},
) {
  for (const build of builds) fs.writeFileSync(path.join(folder, `${addon}.${build}.node`), 'no library')
  const script = `
    Object.defineProperty(process, 'platform', { value: '${platform}' })
    Object.defineProperty(process, 'arch', { value: '${arch}' })
    try {
      require('${by}')
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

describe('the test broker is an addon of its own', () => {
  const double = { addon: 'rocketmq-orderly-test-broker', by: './testing/addon.js' }

  test('an installation without it says so, and that of the clients does not stand in', () => {
    fs.writeFileSync(path.join(folder, 'rocketmq-orderly.linux-x64-gnu.node'), 'no library')
    const { name, code, message } = failure([], double)
    expect([name, code]).toEqual(['RocketMQError', 'ERR_ROCKETMQ_PLATFORM'])
    expect(message).toContain('rocketmq-orderly/testing cannot run on')
    expect(message).toContain('its native side is missing')
  })

  test('a build of it is none of the clients', () => {
    fs.writeFileSync(path.join(folder, 'rocketmq-orderly-test-broker.linux-x64-gnu.node'), 'no library')
    expect(failure([]).message).toContain('its native side is missing')
  })

  test('one that does not load says why', () => {
    const { message, cause } = failure(['linux-x64-gnu', 'linux-x64-musl', 'darwin-arm64', 'darwin-x64'], double)
    expect(message).toContain('its native side does not load here')
    expect(cause).toContain('rocketmq-orderly-test-broker.')
  })
})
