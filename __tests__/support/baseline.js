'use strict'
// Counts that are held against what was committed, in baselines.json beside this file: of times a machine says little, of counts all.

const fs = require('node:fs')
const path = require('node:path')

const BASELINES = path.join(__dirname, 'baselines.json')
const RENEW = 'RENEW_BASELINES'

const read = () => JSON.parse(fs.readFileSync(BASELINES, 'utf8'))

/**
 * @param {string} name
 * @param {unknown} value
 */
function renew(name, value) {
  fs.writeFileSync(BASELINES, `${JSON.stringify({ ...read(), [name]: value }, null, 2)}\n`)
}

/**
 * Expects that a count is what was committed.
 * @param {string} name in baselines.json
 * @param {number} count
 * @param {object} [bounds]
 * @param {number} [bounds.above] how much more is let through, as a part of the baseline
 * @param {number} [bounds.below] how much less; more than that is a success that should be committed
 */
function expectBaseline(name, count, { above = 0.02, below = Infinity } = {}) {
  if (process.env[RENEW]) return renew(name, Math.round(count))
  const baseline = read()[name]
  process.stdout.write(`${name}: ${count.toFixed(0)}, baseline ${baseline}\n`)
  if (count <= baseline * (1 + above) && count >= baseline * (1 - below)) return
  const percent = (100 * count) / baseline - 100
  throw new Error(
    `${name} is ${count.toFixed(1)}, ${Math.abs(percent).toFixed(1)} % ${percent > 0 ? 'above' : 'below'} its baseline, ${baseline}. ` +
      `If that is meant to be, or another compiler is at work, this writes what is so now into ${path.relative(process.cwd(), BASELINES)}:\n` +
      `  ${RENEW}=1 npm run test:js -- ${path.basename(expect.getState().testPath ?? '')}`,
  )
}

module.exports = { RENEW, expectBaseline, read, renew }
