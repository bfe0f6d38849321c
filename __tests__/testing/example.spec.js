'use strict'
// The example that shows users how to test with TestBroker, run as they run it.

const { execFile } = require('node:child_process')
const path = require('node:path')
const { promisify } = require('node:util')

test('the order service in plain Jest and TypeScript', async () => {
  const cwd = path.resolve(__dirname, '..', '..')
  const args = [require.resolve('jest/bin/jest'), '--config', 'examples/jest/jest.config.js', '--reporters', 'default']
  const { stderr } = await promisify(execFile)(process.execPath, args, { cwd, timeout: 90_000 })
  expect(stderr).toContain('Tests:       5 passed, 5 total')
}, 100_000)
