'use strict'
// Which members of a group get a message, and what follows from that.

const { resolve } = require('node:path')
const check = require('./check.js')
const { invalid } = require('./errors.js')
const foreign = require('./foreign-names.js')

/** @typedef {import('./native-surface').ConsumerSettings} ConsumerSettings */

/**
 * Who handles what, where offsets are kept, and what of that is not to be had together.
 * @param {Record<string, unknown>} given
 * @returns {Pick<ConsumerSettings, 'broadcasting' | 'offsetFile' | 'onUndecodable'>}
 */
function messageModel(given) {
  const { messageModel: model = 'clustering', onUndecodable = 'hold' } = given
  const models = /** @type {const} */ (['clustering', 'broadcasting'])
  const broadcasting = check.oneOf('messageModel', model, models, foreign.MESSAGE_MODELS) === 'broadcasting'
  const policy = check.oneOf('onUndecodable', onUndecodable, ['hold', 'deadLetter', 'skip'])
  const file = check.optionalText('offsetFile', given.offsetFile)
  if (file?.includes('\0')) throw invalid('offsetFile', 'must be a path, without NUL')
  if (file !== undefined && !broadcasting) {
    throw invalid(
      'offsetFile',
      "is for messageModel: 'broadcasting'; offsets of a clustering group are kept by the brokers",
    )
  }
  if (policy === 'deadLetter' && broadcasting) {
    throw invalid('onUndecodable', "must be 'hold' or 'skip': a broadcasting group has no dead-letter queue")
  }
  // Where the process is now, wherever it will be when it starts.
  return { broadcasting, offsetFile: file === undefined ? undefined : resolve(file), onUndecodable: policy }
}

module.exports = { messageModel }
