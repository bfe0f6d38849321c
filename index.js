'use strict'

const api = require('./src/js/index.js')

// One line each, so that Node finds the names for `import { … }`, too.
exports.CHANNELS = api.CHANNELS
exports.Client = api.Client
exports.ConsumeStatus = api.ConsumeStatus
exports.Message = api.Message
exports.Producer = api.Producer
exports.PushConsumer = api.PushConsumer
exports.RocketMQError = api.RocketMQError
exports.SendStatus = api.SendStatus
exports.deadLetter = api.deadLetter
exports.suspend = api.suspend
