'use strict'

exports.register = require('./src/js/prometheus/register.js').register
