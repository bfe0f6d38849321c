'use strict'
// What is closed after each test, the last one first, however the test ended.

const open = []

/** Remembers something with close(), and returns it. */
function track(closable) {
  open.push(closable)
  return closable
}

afterEach(async () => {
  // A test may have closed it, or made it fail on purpose.
  for (const closable of open.splice(0).reverse()) await closable.close().catch(() => {})
})

module.exports = { track }
