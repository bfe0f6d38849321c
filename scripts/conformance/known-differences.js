'use strict'
// Differences between TestBroker and real brokers that are meant to be: version, step of the script, reason.
// docs/test-broker.md tells them to users.

/** @type {Record<string, Record<string, string>>} */
const KNOWN = {
  '4.9.7': {},
  '5.5.0': {},
}

module.exports = { KNOWN }
