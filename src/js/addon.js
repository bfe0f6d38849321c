'use strict'

// `native.js` is made by the build; its own types say less than ours.
// @ts-ignore
const native = require('./native.js')

module.exports = /** @type {typeof import('./native-surface')} */ (/** @type {unknown} */ (native))
