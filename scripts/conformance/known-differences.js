'use strict'
// Differences between TestBroker and real brokers that are meant to be: version, step of the script, reason.
// docs/test-broker.md tells them to users.

const BOTH = {
  'a TLS handshake': 'a test broker listens on 127.0.0.1 only, and speaks plainly',
  'a frame: a code that is text': 'no client writes that; here it is no header, and ends the connection',
  'a frame: binary fields of a length below 0': 'no client writes that; here it is no header, and ends the connection',
}

/** @type {Record<string, Record<string, string>>} */
const KNOWN = {
  '4.9.7': { ...BOTH },
  '5.5.0': { ...BOTH },
}

module.exports = { KNOWN }
