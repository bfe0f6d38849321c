'use strict'

const native = require('./native.js')

module.exports = /** @type {typeof import('./native-surface')} */ (native)
