'use strict'
// Ends the output with one plain line, for readers that are no people.

module.exports = class CountReporter {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numPendingTests, numTodoTests }) {
    const line = `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`
    process.once('exit', () => console.log(line))
  }
}
