'use strict'
// The time of this machine, as the lines of histories have it, and an event loop for which it stands still; without Jest.

const fs = require('node:fs')

/** Microseconds of the clock that all processes of this machine share. */
function now() {
  return Number(process.hrtime.bigint() / 1_000n)
}

/** What that clock counts from. */
function bootId() {
  return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/** Nothing of this thread's JavaScript goes on for so long. */
function standStill(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

module.exports = { bootId, now, standStill }
