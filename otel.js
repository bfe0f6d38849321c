'use strict'

exports.RocketMQInstrumentation = require('./src/js/otel/instrumentation.js').RocketMQInstrumentation
