'use strict'
// Ends the output with plain lines, for readers that are no people: what was left out, and how many passed.

const { HAS_JAVA } = require('../../jest.config')

module.exports = class CountReporter {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numPendingTests, numTodoTests }) {
    const line = `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`
    process.once('exit', () => {
      if (!HAS_JAVA)
        console.log('no JDK or Maven found: *.java.*.spec.js, which need RocketMQ’s Java tools, were left out')
      console.log(line)
    })
  }
}
