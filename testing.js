'use strict'

exports.TestBroker = require('./src/js/testing.js').TestBroker
