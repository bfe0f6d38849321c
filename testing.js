'use strict'

exports.TestBroker = require('./src/js/testing/test-broker.js').TestBroker
