'use strict'
// examples/jest as the project of a user: compiled and tested where it has been installed.

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')
const { PLAIN_ENV } = require('../support/plain-env')

const ROOT = path.resolve(__dirname, '../..')
const EXAMPLE = path.join(ROOT, 'examples/jest')
const run = promisify(execFile)

let project

beforeAll(() => {
  project = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'examples-jest-')))
  for (const name of ['package.json', 'tsconfig.json', 'src', 'test']) {
    fs.cpSync(path.join(EXAMPLE, name), path.join(project, name), { recursive: true })
  }
  // What `npm install` does there, without a network.
  fs.mkdirSync(path.join(project, 'node_modules'))
  fs.symlinkSync(ROOT, path.join(project, 'node_modules/rocketmq-orderly'))
  for (const name of ['@jest', '@types', 'jest', 'typescript']) {
    fs.symlinkSync(path.join(ROOT, 'node_modules', name), path.join(project, 'node_modules', name))
  }
})
afterAll(() => fs.rmSync(project, { recursive: true }))

/** Runs a tool in the project; rejects with all that it has said. */
async function script(tool, ...args) {
  try {
    return await run(process.execPath, [require.resolve(tool), ...args], { cwd: project, env: PLAIN_ENV })
  } catch (error) {
    throw new Error(`${error.message}\n${error.stdout}\n${error.stderr}`, { cause: error })
  }
}

test('the order service compiles, and its tests pass', async () => {
  await script('typescript/bin/tsc')
  const { stderr } = await script('jest/bin/jest', '--ci')
  expect(stderr).toMatch(/^Tests: +6 passed, 6 total$/m)
}, 600_000)

test('its dependencies are those of this package, or installed with them', () => {
  const { devDependencies } = require(path.join(EXAMPLE, 'package.json'))
  expect(require(path.join(ROOT, 'package.json')).devDependencies).toMatchObject(devDependencies)
})
