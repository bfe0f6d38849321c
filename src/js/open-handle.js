'use strict'
// What `jest --detectOpenHandles` and other users of `async_hooks` see of something that must be closed: one resource each, named so
// that it can be found.

const { AsyncResource } = require('node:async_hooks')

/** It keeps the async context in which it was made. */
class OpenHandle extends AsyncResource {
  #open = true

  /** Whether it keeps the process alive; who looks for open handles asks. */
  hasRef() {
    return this.#open
  }

  close() {
    if (!this.#open) return
    this.#open = false
    this.emitDestroy()
  }

  /**
   * Jest tells only of what a test has made, and knows a test by the names of Jest's own functions on the stack; behind the first
   * `await` of a test there is none. So this one is called as one of them.
   * @param {string} name
   */
  static asyncJestTest(name) {
    return new OpenHandle(name)
  }
}

/**
 * @param {string} name what is open
 * @returns {OpenHandle}
 */
function openHandle(name) {
  return OpenHandle.asyncJestTest(name)
}

module.exports = { openHandle }
