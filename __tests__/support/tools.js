'use strict'
// Programs of the machine that some specs need.

const { spawnSync } = require('node:child_process')

/**
 * `test`, or what skips it and says why. In CI, where EVERY_TOOL is set, a tool that is missing is a failure.
 * @param {string} tool
 * @returns {(name: string, run: () => unknown, timeoutMs: number) => void}
 */
function testWith(tool) {
  const isMissing = spawnSync(tool, ['--version']).error !== undefined
  if (!isMissing || process.env.EVERY_TOOL) return test
  return (name) => test.skip(`${name} (skipped: there is no ${tool} here; apt-get install ${tool})`, () => {})
}

module.exports = { testWith }
