'use strict'
// The time that passes, whatever a test makes of its own. Fake timers (Jest's, those of node:test, sinon's) replace globals, and some of
// them what `node:timers` holds: so everything here is taken when the package is loaded, and nothing else in it looks at a clock.

const { performance } = require('node:perf_hooks')
const timers = require('node:timers')

/** Of the prototype: whoever fakes `performance` gives the object itself another `now`. */
const now = Object.getPrototypeOf(performance).now.bind(performance)

/** The time of the day, in milliseconds since 1970. */
const wall = Date.now

/**
 * A timer that has been set.
 * @typedef {{ unref?: () => unknown, cancelled?: boolean }} Timer
 */

/**
 * What there is to wait with.
 * @typedef {object} Waits
 * @property {(callback: () => void, ms: number) => Timer} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {(callback: () => void) => unknown} setImmediate
 */

/** @type {Waits} */
const NODES_OWN = {
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setImmediate: timers.setImmediate,
}

/** Whether they were Node's own when we were loaded: its handles keep their callbacks under these names, those of fakes do not. */
function areNodesOwn() {
  const timeout = timers.setTimeout(() => {}, 1)
  const immediate = timers.setImmediate(() => {})
  timers.clearTimeout(timeout)
  timers.clearImmediate(immediate)
  return '_onTimeout' in timeout && '_onImmediate' in immediate
}

/** What V8 waits with, which nobody fakes. It does not keep a process alive, and a turn of it takes a millisecond. @type {Waits} */
const V8S_OWN = {
  setTimeout(callback, ms) {
    const timer = { cancelled: false }
    // A type of the newest library only, a function of every Node.js that we run on.
    const { waitAsync } = /** @type {any} */ (Atomics)
    const passed = waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(1, ms)).value
    passed.then(() => timer.cancelled || callback())
    return timer
  },
  clearTimeout(timer) {
    if (timer) timer.cancelled = true
  },
  setImmediate(callback) {
    return V8S_OWN.setTimeout(callback, 1)
  },
}

module.exports = { now, wall, ...(areNodesOwn() ? NODES_OWN : V8S_OWN) }
