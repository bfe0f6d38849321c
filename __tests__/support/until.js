'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

/** For what takes a busy machine its time. */
const PATIENT = { timeoutMs: 60_000 }

/**
 * Waits until `condition` returns, or resolves with, something truthy, and returns it. The time-out is for what never comes: it costs a
 * passing test nothing, so it is long enough for a slow machine.
 * @param {() => unknown} condition asked every `intervalMs`; what it throws ends the wait
 * @param {{ timeoutMs?: number, intervalMs?: number, what?: string | (() => string) }} [options] `what` is told in the error
 */
async function until(condition, { timeoutMs = 45_000, intervalMs = 20, what = 'a condition' } = {}) {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${typeof what === 'function' ? what() : what}`)
    }
    await sleep(intervalMs)
  }
}

module.exports = { PATIENT, until }
