'use strict'
// What a fault is, and how one is run.

const { World } = require('./world')

/**
 * @typedef {object} Backend
 * @property {string} name e.g. 'TestBroker-4.9.7' or '5.5.0'
 * @property {string} version
 * @property {boolean} testBroker
 *
 * @typedef {object} Fault
 * @property {string} id its name in the table, e.g. 'F5'
 * @property {string} title
 * @property {string} figure what has to hold beside the invariants, in words
 * @property {(backend: Backend) => string | undefined} [whyNot] why it cannot be shown there
 * @property {string[]} [clients] who can take part; all
 * @property {object} [cluster] options of the cluster that it needs
 * @property {boolean} [tampers] whether it changes frames of brokers, by `world.tampering`
 * @property {boolean} [harmsBrokers] whether nobody else can use the brokers meanwhile
 * @property {Partial<import('./load').Load>} [load] what of the load is not drawn
 * @property {import('../../src/js/testing/history.js').CheckOptions} [check] how the history is judged
 * @property {(world: World) => Promise<void>} run begins, and does what is wrong
 * @property {(world: World, verdict: import('../../src/js/testing/history.js').Verdict) => void} [judge] figures that the verdict tells
 *
 * @typedef {object} Result
 * @property {string} fault
 * @property {string} on
 * @property {string} client
 * @property {number} seed
 * @property {number} seconds
 * @property {number} violations
 * @property {number} lost acknowledged and not stored, or stored and not handled
 * @property {number} duplicated stored or handled again
 * @property {number} overlapped handlers or locks of two owners at once
 * @property {number} excused of these, those that a fault excuses
 * @property {number | undefined} recoveryMs until every queue has stored and handled something since nothing was wrong any more; the longest
 * @property {Record<string, number | string>} figures
 * @property {string[]} problems figures out of their bounds, and what never came
 * @property {Record<string, number>} broken violations by invariant
 * @property {string} text the checker's words
 * @property {Record<string, number>} counts
 * @property {string} [kept] the history, where something is wrong
 */

/**
 * Runs a fault once.
 * @param {Fault} fault
 * @param {import('./world').Setting & { on: string, started?: (world: World) => void }} setting `started` gets the world, so that it ends with a test
 * @returns {Promise<Result>}
 */
async function run(fault, { on, started, ...setting }) {
  const { tampers, load } = fault
  const world = await World.start({ ...setting, tampers, load: { ...load, ...setting.load } })
  started?.(world)
  let verdict = { broken: {}, counts: {}, text: '' }
  try {
    try {
      await fault.run(world)
      await world.drain()
    } catch (error) {
      // What is wrong may be told better by the history.
      world.problems.push(String(error?.message ?? error))
      await world.halt()
    }
    verdict = await world.judge({ ...fault.check, drained: world.problems.length === 0 })
    fault.judge?.(world, verdict)
  } catch (error) {
    world.problems.push(String(error?.stack ?? error))
  } finally {
    await world.end()
  }
  return result(fault, on, world, verdict)
}

/** @returns {Result} */
function result(fault, on, world, { broken, counts, text }) {
  const count = (...names) => names.reduce((sum, name) => sum + (counts[name] ?? 0), 0)
  const { client, seed, seconds, figures, problems, kept } = world
  const recoveries = world.progress.recoveries.map(({ ms }) => ms)
  return {
    fault: fault.id,
    on,
    client,
    seed,
    seconds,
    violations: Object.values(broken).reduce((sum, number) => sum + number, 0),
    lost: count('lost writes', 'poll skips'),
    duplicated: count('duplicates stored', 'duplicates handled'),
    overlapped: count('two owners'),
    excused: count('of these excused by faults'),
    recoveryMs: recoveries.length === 0 ? undefined : Math.round(Math.max(...recoveries.map((ms) => ms ?? Infinity))),
    figures,
    problems,
    broken,
    text,
    counts,
    kept,
  }
}

/** Whether nothing is wrong. @param {Result} result */
function isClean({ violations, problems }) {
  return violations === 0 && problems.length === 0
}

module.exports = { isClean, run }
