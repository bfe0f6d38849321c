'use strict'
// Runs one trial, on a broker that runs already.

const { spawn } = require('node:child_process')
const path = require('node:path')
const { limited } = require('./limited')
const { TRIALS } = require('./trials')

/**
 * Resolves with { figures, problems }.
 * @param {string} name of TRIALS
 * @param {'short' | 'full'} scale
 * @param {{ nameServer: string, topic: string, group: string }} place
 */
async function run(name, scale, { nameServer, topic, group }) {
  const trial = TRIALS[name]
  const given = { nameServer, topic, group, ...trial.given, ...trial[scale] }
  const { ended, output, errors } = await processOf(trial, given)
  const problems = ended === 0 && errors === '' ? [] : [`it ended with ${ended}: ${errors}`]
  const figures = ended === 0 ? JSON.parse(output) : {}
  const bounds = { ...trial.most, ...(scale === 'full' ? trial.mostOfFull : {}) }
  for (const [figure, most] of Object.entries(bounds)) {
    if (!(figures[figure] <= most)) problems.push(`${figure}: ${figures[figure]}, and ${most} at most`)
  }
  return { figures, problems }
}

/** Runs a program in a process to which the kernel gives so much memory. */
function processOf({ program, execArgv, dataMiB }, given) {
  const node = [process.execPath, ...execArgv, path.join(__dirname, 'programs', program), JSON.stringify(given)]
  const [command, ...args] = limited(node, dataMiB)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors] = [[], []]
  child.stdout.on('data', (data) => output.push(data))
  child.stderr.on('data', (data) => errors.push(data))
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ ended: code ?? signal, output: output.join(''), errors: errors.join('') })
    })
  })
}

module.exports = { run }
