'use strict'
// What a test broker may be called with, faults aside.

const check = require('../check.js')
const { invalid } = require('../errors.js')
const { CREDENTIAL_FIELDS } = require('../foreign-names.js')

/** @typedef {import('../../../testing').TestBrokerOptions} TestBrokerOptions */

/** Queues of a topic whose number nobody gave. */
const DEFAULT_QUEUES = 4
const MAX_QUEUES = 65_536
const MAX_BROKERS = 64
const MAX_TOPIC = 127

const OPTIONS = ['topics', 'groups', 'brokers', 'port', 'version', 'credentials', 'seed', 'timeFactor', 'tls']

/** @param {TestBrokerOptions} options */
function checkOptions(options) {
  const given = check.record('options', options, OPTIONS, '')
  return {
    topics: given.topics === undefined ? undefined : checkTopics(given.topics),
    groups: given.groups === undefined ? undefined : checkGroups(given.groups),
    brokers: given.brokers === undefined ? 1 : check.integer('brokers', given.brokers, 1, MAX_BROKERS),
    port: given.port === undefined ? 0 : check.integer('port', given.port, 0, 65_535),
    version: given.version === undefined ? '5.5' : check.oneOf('version', given.version, ['4.9', '5.5']),
    credentials: given.credentials === undefined ? [] : checkCredentials(given.credentials),
    seed: given.seed === undefined ? 1 : check.integer('seed', given.seed, 0, Number.MAX_SAFE_INTEGER),
    timeFactor: given.timeFactor === undefined ? 1 : checkNumber('timeFactor', given.timeFactor, 0.000_001, 1000),
    tls: given.tls === undefined || given.tls === false ? undefined : checkTls(given.tls),
  }
}

/** @param {unknown} value */
function checkTls(value) {
  const given = value === true ? {} : check.record('tls', value, ['cert', 'key', 'clientCa', 'mode'])
  const mode = given.mode === undefined ? 'enforcing' : check.oneOf('tls.mode', given.mode, ['enforcing', 'permissive'])
  return {
    cert: check.optionalPem('tls.cert', given.cert),
    key: check.optionalPem('tls.key', given.key),
    clientCa: check.optionalPem('tls.clientCa', given.clientCa),
    permissive: mode === 'permissive',
  }
}

/** @param {unknown} topics */
function checkTopics(topics) {
  if (Array.isArray(topics)) return topics.map((topic, i) => [checkTopic(`topics[${i}]`, topic), DEFAULT_QUEUES])
  if (typeof topics !== 'object' || topics === null) {
    throw invalid('topics', `must be an array or an object, not ${check.describe(topics)}`)
  }
  return Object.entries(topics).map(([topic, queues]) => [
    checkTopic(`topics.${topic}`, topic),
    check.integer(`topics.${topic}`, queues, 1, MAX_QUEUES),
  ])
}

/** @param {string} field @param {unknown} topic */
function checkTopic(field, topic) {
  return check.resource(field, topic, MAX_TOPIC)
}

/** @param {unknown} groups */
function checkGroups(groups) {
  if (!Array.isArray(groups)) throw invalid('groups', `must be an array, not ${check.describe(groups)}`)
  return groups.map((group, i) => check.group(`groups[${i}]`, group))
}

/** @param {unknown} credentials */
function checkCredentials(credentials) {
  const list = Array.isArray(credentials) ? credentials : [credentials]
  return list.map((one, i) => {
    const field = Array.isArray(credentials) ? `credentials[${i}]` : 'credentials'
    const given = check.record(
      field,
      one,
      ['accessKey', 'secretKey', 'securityToken', 'channel'],
      `${field}.`,
      CREDENTIAL_FIELDS,
    )
    return {
      accessKey: check.text(`${field}.accessKey`, given.accessKey),
      secretKey: check.text(`${field}.secretKey`, given.secretKey),
    }
  })
}

/** @param {string} field @param {unknown} value @param {number} min @param {number} max */
function checkNumber(field, value, min, max) {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw invalid(field, `must be a number from ${min} to ${max}, not ${check.describe(value)}`)
  }
  return value
}

/** @param {string} field @param {unknown} value */
function checkOffset(field, value) {
  return check.integer(field, value, 0, Number.MAX_SAFE_INTEGER)
}

/** @param {string} field @param {Date} value */
function checkTime(field, value) {
  if (Number.isNaN(value.getTime())) throw invalid(field, 'must be a valid date')
  return value.getTime()
}

/** @param {string} field @param {unknown} queue */
function checkQueue(field, queue) {
  const given = check.record(field, queue, ['topic', 'brokerName', 'queueId'])
  return {
    topic: check.resource(`${field}.topic`, given.topic, MAX_TOPIC),
    brokerName: check.text(`${field}.brokerName`, given.brokerName),
    queueId: check.integer(`${field}.queueId`, given.queueId, 0, MAX_QUEUES),
  }
}

module.exports = {
  DEFAULT_QUEUES,
  MAX_QUEUES,
  MAX_TOPIC,
  checkNumber,
  checkOffset,
  checkOptions,
  checkQueue,
  checkTime,
}
