'use strict'

/**
 * For programs whose output a spec reads: they print plain text, also where the terminal is for colours, and with it Jest's workers,
 * which pass that on.
 */
const PLAIN_ENV = { ...process.env, FORCE_COLOR: '0' }

module.exports = { PLAIN_ENV }
