'use strict'
// The options of clients, checked: every default, bound and name of them is here, and in index.d.ts.

const { isDate } = require('node:util').types
const check = require('./check.js')
const { RocketMQError, invalid } = require('./errors.js')
const foreign = require('./foreign-names.js')
const { messageModel } = require('./message-model.js')
const { expressionProblem } = require('./tags.js')

/**
 * @typedef {import('../../index').Logger} Logger
 * @typedef {import('../../index').Credentials} Credentials
 * @typedef {import('./native-surface').TlsSettings} TlsSettings
 * @typedef {import('./native-surface').ProducerSettings} ProducerSettings
 * @typedef {import('./native-surface').ConsumerSettings} ConsumerSettings
 * @typedef {import('./native-surface').Subscription} Subscription
 */

/** @typedef {() => Credentials | Promise<Credentials>} CredentialsProvider */

/**
 * The options of every client, checked.
 * @typedef {object} ClientSettings
 * @property {string} groupId
 * @property {string[] | undefined} nameServers
 * @property {Credentials | CredentialsProvider | undefined} credentials
 * @property {TlsSettings | undefined} tls
 * @property {string | undefined} namespace
 * @property {string | undefined} instanceName
 * @property {number} requestTimeoutMs
 * @property {number} startTimeoutMs
 * @property {boolean} waitForTopics
 * @property {number} closeTimeoutMs
 * @property {Logger | undefined} logger
 * @property {AbortSignal | undefined} signal
 */

const MiB = 1024 * 1024

const CLIENT_OPTIONS = [
  'groupId',
  'nameServer',
  'credentials',
  'namespace',
  'instanceName',
  'tls',
  'requestTimeoutMs',
  'startTimeoutMs',
  'waitForTopics',
  'closeTimeoutMs',
  'logger',
  'signal',
]
const PRODUCER_OPTIONS = [
  ...CLIENT_OPTIONS,
  'topics',
  'shardingHash',
  'batching',
  'sendTimeoutMs',
  'maxPendingMessages',
  'maxPendingBytes',
  'onRouteChange',
  'maxMessageBytes',
  'compression',
  'compressOverBytes',
]
const CONSUMER_OPTIONS = [
  ...CLIENT_OPTIONS,
  'initialPosition',
  'concurrency',
  'messageModel',
  'maxReconsumeTimes',
  'suspendMs',
  'handlerTimeoutMs',
  'onUndecodable',
  'prefetch',
  'commitIntervalMs',
  'offsetFile',
]

/** Room for headers and properties in the largest frame of the protocol, 16 MiB. */
const MAX_MESSAGE_BYTES = 16 * MiB - 65_536

/**
 * Options of either shape as one object whose fields are all known.
 * @param {unknown} options
 * @param {unknown} orderly
 * @param {readonly string[]} names
 * @param {import('./suggest').ForeignNames} foreignNames
 */
function shaped(options, orderly, names, foreignNames) {
  if (orderly !== undefined && orderly !== true) {
    throw invalid('orderly', 'must be true: this package is for ordered messages only')
  }
  return typeof options === 'string' ? { groupId: options } : check.record('options', options, names, '', foreignNames)
}

/**
 * `host:port`, or the same as an `http://` address; an IPv6 address stands in brackets, or bare with its port as the last part.
 */
const ADDRESS = /^(?:http:\/\/)?(?:\[[0-9a-fA-F:.]+\]|[^\s/[\]]+):(\d{1,5})\/?$/

/**
 * @param {unknown} value
 * @param {string} [field] where it was given
 * @returns {string[]} one address each, as given
 */
function nameServers(value, field = 'nameServer') {
  const entries = Array.isArray(value)
    ? value.map((entry, i) => check.text(`${field}[${i}]`, entry))
    : [check.text(field, value)]
  const addresses = entries
    .flatMap((entry) => entry.split(/[;,]/))
    .map((address) => address.trim())
    .filter((address) => address !== '')
  if (addresses.length === 0) throw invalid(field, 'must name at least one address')
  const hasSecret = entries.some((entry) => entry.includes('@'))
  addresses.forEach((address, i) => {
    const problem = addressProblem(address)
    if (problem === undefined) return
    const quoted = check.quoted(hasSecret ? withoutSecret(address) : address)
    const place = addresses.length === 1 ? '' : ` (address ${i + 1} of ${addresses.length})`
    throw invalid(
      field,
      `${quoted}${place} ${problem}; an address is 'host:port' or 'http://host:port', several are separated by ';'`,
    )
  })
  return addresses
}

/**
 * An address without the name and the password in front of its host, which are nobody's business; what is before an `@` may be the half of
 * one that holds a separator.
 * @param {string} address
 */
function withoutSecret(address) {
  return address.includes('@') ? address.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/i, '$1…@') : '…'
}

/**
 * What is wrong with an address.
 * @param {string} address
 * @returns {string | undefined}
 */
function addressProblem(address) {
  const port = ADDRESS.exec(address)?.[1]
  if (/^https:/i.test(address)) return 'must not begin with https://: TLS is asked for by tls: true'
  if (port !== undefined) {
    return Number(port) >= 1 && Number(port) <= 65_535 ? undefined : 'has a port that is not from 1 to 65535'
  }
  const scheme = /^([a-z][a-z0-9+.-]*:\/\/)/i.exec(address)?.[1]
  if (scheme !== undefined && scheme !== 'http://') return `must not begin with ${scheme}`
  if (/\s/.test(address)) return 'holds a space'
  const rest = address.slice(scheme?.length ?? 0).replace(/^[^/]*@/, '')
  if (/[^/]\/./.test(rest)) return 'must not have a path'
  return /^(\[[^\]]*\]|[^:]+)\/?$/.test(rest) ? 'has no port (that of a name server is usually 9876)' : 'is no address'
}

/** The name servers of the environment, for want of an option. */
function nameServersOfEnvironment() {
  const variable = ['ROCKETMQ_NAMESRV', 'NAMESRV_ADDR'].find((name) => process.env[name])
  if (variable === undefined) {
    throw invalid('nameServer', 'must be given, as an option or by the environment variable ROCKETMQ_NAMESRV')
  }
  return nameServers(process.env[variable], `the environment variable ${variable}`)
}

const CREDENTIAL_FIELDS = ['accessKey', 'secretKey', 'securityToken', 'channel', 'expiresAt']

/**
 * @param {unknown} value
 * @returns {Credentials}
 */
function credentials(value) {
  const given = check.record('credentials', value, CREDENTIAL_FIELDS, 'credentials.', foreign.CREDENTIAL_FIELDS)
  return {
    accessKey: check.text('credentials.accessKey', given.accessKey),
    secretKey: check.text('credentials.secretKey', given.secretKey),
    securityToken: check.optionalText('credentials.securityToken', given.securityToken),
    channel: check.optionalText('credentials.channel', given.channel),
    expiresAt: given.expiresAt === undefined ? undefined : pointInTime('credentials.expiresAt', given.expiresAt),
  }
}

/** Less is a number of seconds, as other libraries have it. */
const YEAR_1973 = 1e11

/**
 * @param {string} field
 * @param {unknown} value a `Date`, or milliseconds since 1970
 */
function pointInTime(field, value) {
  const time = isDate(value) ? value.getTime() : value
  if (typeof time === 'number' && time >= YEAR_1973 && Number.isFinite(time)) return time
  throw invalid(field, `must be a Date, or milliseconds (and not seconds) since 1970, not ${check.describe(value)}`)
}

/**
 * @param {unknown} value
 * @returns {Credentials | CredentialsProvider | undefined}
 */
function credentialsOrProvider(value) {
  if (value === undefined) return undefined
  return typeof value === 'function' ? /** @type {CredentialsProvider} */ (value) : credentials(value)
}

const TLS_FIELDS = ['ca', 'cert', 'key', 'servername', 'rejectUnauthorized']

/**
 * @param {unknown} value
 * @returns {TlsSettings | undefined}
 */
function tls(value) {
  if (value === undefined || value === false) return undefined
  if (value === true) return { ca: [], rejectUnauthorized: true }
  if (typeof value !== 'object') throw invalid('tls', `must be true or an object, not ${check.describe(value)}`)
  const given = check.record('tls', value, TLS_FIELDS, 'tls.', foreign.TLS_FIELDS)
  const ca = given.ca === undefined ? [] : [given.ca].flat()
  if (given.ca !== undefined && ca.length === 0) throw invalid('tls.ca', 'must name at least one authority')
  return {
    ca: ca.map((one, i) => check.pem(Array.isArray(given.ca) ? `tls.ca[${i}]` : 'tls.ca', one)),
    cert: check.optionalPem('tls.cert', given.cert),
    key: check.optionalPem('tls.key', given.key),
    servername: check.optionalText('tls.servername', given.servername),
    rejectUnauthorized: check.optionalBoolean('tls.rejectUnauthorized', given.rejectUnauthorized) ?? true,
  }
}

/**
 * @param {unknown} value
 * @returns {Logger | undefined}
 */
function logger(value) {
  if (value === undefined) return undefined
  if (typeof value !== 'object' && typeof value !== 'function') {
    throw invalid('logger', `must be an object with info(), warn() and error(), not ${check.describe(value)}`)
  }
  const given = /** @type {Record<string, unknown> | null} */ (value)
  for (const level of ['info', 'warn', 'error']) {
    if (typeof given?.[level] !== 'function') throw invalid('logger', `must have a method ${level}(fields, text)`)
  }
  if (given?.debug !== undefined && typeof given.debug !== 'function')
    throw invalid('logger.debug', 'must be a function')
  return /** @type {Logger} */ (value)
}

/**
 * @param {string} field
 * @param {unknown} value
 * @param {number} byDefault
 */
function limit(field, value, byDefault) {
  return value === undefined ? byDefault : check.integer(field, value)
}

/**
 * @param {Record<string, unknown>} given
 * @returns {ClientSettings}
 */
function clientSettings(given) {
  const settings = {
    groupId: check.group('groupId', given.groupId),
    nameServers: given.nameServer === undefined ? undefined : nameServers(given.nameServer),
    credentials: credentialsOrProvider(given.credentials),
    namespace:
      given.namespace === undefined ? undefined : check.resource('namespace', given.namespace, check.MAX_GROUP),
    instanceName: check.optionalText('instanceName', given.instanceName),
    tls: tls(given.tls),
    requestTimeoutMs: limit('requestTimeoutMs', given.requestTimeoutMs, 3000),
    startTimeoutMs: limit('startTimeoutMs', given.startTimeoutMs, 10_000),
    waitForTopics: check.optionalBoolean('waitForTopics', given.waitForTopics) ?? false,
    closeTimeoutMs: limit('closeTimeoutMs', given.closeTimeoutMs, 15_000),
    logger: logger(given.logger),
    signal: check.optionalSignal('signal', given.signal),
  }
  // The broker knows the group as `namespace%group`.
  const room = check.MAX_GROUP - (settings.namespace === undefined ? 0 : settings.namespace.length + 1)
  if (settings.groupId.length > room) {
    throw invalid('groupId', `must have at most ${room} characters with this namespace, not ${settings.groupId.length}`)
  }
  return settings
}

/** @typedef {(shardingKey: string, queues: readonly import('../../index').MessageQueue[]) => unknown} Hash */

const SHARDING_HASHES = /** @type {const} */ (['java', 'ons', 'go', 'cpp', 'proxy'])

const COMPRESSIONS = /** @type {const} */ (['zlib', 'lz4', 'zstd'])

/** @param {unknown} value */
function shardingHashName(value) {
  if (typeof value !== 'string') {
    throw invalid('shardingHash', `must be a name or a function, not ${check.describe(value)}`)
  }
  return check.oneOf('shardingHash', value, SHARDING_HASHES)
}

/**
 * The options of a producer, checked: what is common, and what is its own.
 * @param {unknown} options
 * @param {unknown} [orderly]
 * @returns {{ client: ClientSettings, producer: ProducerSettings, hash: Hash | undefined }} `hash`: a function of the user's
 */
function producerOptions(options, orderly) {
  const given = shaped(options, orderly, PRODUCER_OPTIONS, foreign.PRODUCER_OPTIONS)
  const { topics = [], shardingHash = 'java', batching = 'auto', onRouteChange = 'follow' } = given
  if (!Array.isArray(topics)) throw invalid('topics', `must be an array of topics, not ${check.describe(topics)}`)
  const hash = typeof shardingHash === 'function' ? /** @type {Hash} */ (shardingHash) : undefined
  return {
    client: clientSettings(given),
    hash,
    producer: {
      topics: topics.map((topic, i) => check.topic(`topics[${i}]`, topic)),
      shardingHash: hash ? 'caller' : shardingHashName(shardingHash),
      batching: check.oneOf('batching', batching, ['auto', 'queue', 'key', 'off']),
      sendTimeoutMs: limit('sendTimeoutMs', given.sendTimeoutMs, 30_000),
      maxPendingMessages: limit('maxPendingMessages', given.maxPendingMessages, 65_536),
      maxPendingBytes: limit('maxPendingBytes', given.maxPendingBytes, 64 * MiB),
      onRouteChange: check.oneOf('onRouteChange', onRouteChange, ['follow', 'hold']),
      maxMessageBytes:
        given.maxMessageBytes === undefined
          ? 4 * MiB
          : check.integer('maxMessageBytes', given.maxMessageBytes, 1, MAX_MESSAGE_BYTES),
      compression:
        given.compression === undefined
          ? undefined
          : check.oneOf('compression', given.compression, COMPRESSIONS, foreign.COMPRESSIONS),
      compressOverBytes: limit('compressOverBytes', given.compressOverBytes, 4096),
    },
  }
}

/**
 * @param {unknown} value
 * @returns {{ initialPosition: 'last' | 'first' | 'timestamp', initialTimestamp: number }}
 */
function initialPosition(value = 'last') {
  if (!isDate(value))
    return {
      initialPosition: check.oneOf('initialPosition', value, ['last', 'first'], foreign.POSITIONS),
      initialTimestamp: 0,
    }
  const time = value.getTime()
  if (!(time >= 0)) throw invalid('initialPosition', 'must be a valid date, not before 1970')
  return { initialPosition: 'timestamp', initialTimestamp: time }
}

/**
 * Handlers at once, and what is handled in order.
 * @typedef {{ max: number, by: 'queue' | 'key' }} Concurrency
 */

/**
 * @param {unknown} value
 * @returns {Concurrency}
 */
function concurrency(value = 20) {
  if (typeof value !== 'object') return { max: check.integer('concurrency', value), by: 'queue' }
  const { max, by } = check.record('concurrency', value, ['max', 'by'])
  return {
    max: limit('concurrency.max', max, 20),
    by: by === undefined ? 'queue' : check.oneOf('concurrency.by', by, ['queue', 'key']),
  }
}

/** @param {unknown} value */
function suspension(value = 1000) {
  if (typeof value !== 'object') {
    const ms = check.integer('suspendMs', value, 10, 900_000)
    return { suspendInitialMs: ms, suspendFactor: 1, suspendMaxMs: ms }
  }
  const { initialMs, factor, maxMs } = check.record('suspendMs', value, ['initialMs', 'factor', 'maxMs'])
  const suspendInitialMs = check.integer('suspendMs.initialMs', initialMs, 10, 900_000)
  if (typeof factor !== 'number' || !(factor >= 1 && factor <= 1000)) {
    throw invalid('suspendMs.factor', `must be a number from 1 to 1000, not ${check.describe(factor)}`)
  }
  const suspendMaxMs = check.integer('suspendMs.maxMs', maxMs, suspendInitialMs, 900_000)
  return { suspendInitialMs, suspendFactor: factor, suspendMaxMs }
}

/**
 * The options of a consumer, checked: what is common, what its native side needs, and what stays in JavaScript.
 * @param {unknown} options
 * @param {unknown} [orderly]
 * @returns {{
 *   client: ClientSettings
 *   consumer: Omit<ConsumerSettings, 'subscriptions' | 'handlerTimeoutMs' | 'maxBatchMessages'>
 *   concurrency: number
 *   isConcurrent: boolean
 *   handlerTimeoutMs: number | undefined
 * }}
 */
function consumerOptions(options, orderly) {
  const given = shaped(options, orderly, CONSUMER_OPTIONS, foreign.CONSUMER_OPTIONS)
  const { maxReconsumeTimes = Infinity } = given
  const prefetch = given.prefetch === undefined ? {} : check.record('prefetch', given.prefetch, ['messages', 'bytes'])
  const { max, by } = concurrency(given.concurrency)
  return {
    client: clientSettings(given),
    consumer: {
      orderedBy: by,
      ...initialPosition(given.initialPosition),
      ...suspension(given.suspendMs),
      ...messageModel(given),
      maxReconsumeTimes: maxReconsumeTimes === Infinity ? -1 : check.integer('maxReconsumeTimes', maxReconsumeTimes, 0),
      prefetchMessages: limit('prefetch.messages', prefetch.messages, 1000),
      prefetchBytes: limit('prefetch.bytes', prefetch.bytes, 64 * MiB),
      commitIntervalMs: limit('commitIntervalMs', given.commitIntervalMs, 1000),
    },
    concurrency: max,
    isConcurrent: given.concurrency !== undefined && (max !== 1 || by === 'key'),
    handlerTimeoutMs:
      given.handlerTimeoutMs === undefined ? undefined : check.integer('handlerTimeoutMs', given.handlerTimeoutMs),
  }
}

/**
 * One subscription, checked.
 * @param {unknown} topic
 * @param {unknown} expression
 * @returns {Subscription}
 */
function subscription(topic, expression = '*') {
  const name = check.topic('topic', topic)
  if (typeof expression === 'string') {
    return { topic: name, expressionType: 'TAG', expression: tagsText('expression', expression, name) }
  }
  const { tags, sql92 } = check.record(
    'expression',
    expression,
    ['tags', 'sql92'],
    'expression.',
    foreign.EXPRESSION_FIELDS,
  )
  if ((tags === undefined) === (sql92 === undefined)) throw invalid('expression', 'must have either tags or sql92')
  return tags === undefined
    ? {
        topic: name,
        expressionType: 'SQL92',
        expression: sqlText('expression.sql92', sql92, name),
      }
    : { topic: name, expressionType: 'TAG', expression: tagsText('expression.tags', tags, name) }
}

/** As Java's. */
const MOST_BATCH_MESSAGES = 1024

/**
 * The options of `subscribeBatch`.
 * @param {unknown} options
 * @returns {{ expression: unknown, batching: { maxMessages: number, isByKey: boolean } }}
 */
function batching(options = {}) {
  const { expression, maxMessages, groupBy } = check.record(
    'options',
    options,
    ['expression', 'maxMessages', 'groupBy'],
    'options.',
  )
  const most =
    maxMessages === undefined ? 32 : check.integer('options.maxMessages', maxMessages, 1, MOST_BATCH_MESSAGES)
  const by = groupBy === undefined ? 'queue' : check.oneOf('options.groupBy', groupBy, ['queue', 'key'])
  return { expression, batching: { maxMessages: most, isByKey: by === 'key' } }
}

/**
 * What `messages()` takes.
 * @param {unknown} topic
 * @param {unknown} options
 * @returns {{ subscription: Subscription, signal: AbortSignal | undefined }}
 */
function messagesOptions(topic, options) {
  const { expression, signal } = options === undefined ? {} : check.record('options', options, ['expression', 'signal'])
  return { subscription: subscription(topic, expression), signal: check.optionalSignal('options.signal', signal) }
}

/**
 * @param {string} field
 * @param {unknown} value
 * @param {string} topic
 */
function tagsText(field, value, topic) {
  const text = check.text(field, value)
  const problem = expressionProblem(text)
  if (problem !== undefined) throw new RocketMQError('ERR_ROCKETMQ_FILTER', `${field}: ${problem}`, { topic })
  return text
}

/**
 * Only a broker can read a condition; one that says nothing needs no broker.
 * @param {string} field
 * @param {unknown} value
 * @param {string} topic
 */
function sqlText(field, value, topic) {
  const text = check.text(field, value)
  if (text.trim() === '') throw new RocketMQError('ERR_ROCKETMQ_FILTER', `${field}: must not be blank`, { topic })
  return text
}

/**
 * @param {unknown} options
 * @returns {{ signal: AbortSignal | undefined, timeoutMs: number }} 0 for the producer's own bound
 */
function sendOptions(options) {
  if (options === undefined) return NO_SEND_OPTIONS
  const { signal, timeoutMs } = check.record('options', options, ['signal', 'timeoutMs'], 'options.')
  return { signal: check.optionalSignal('options.signal', signal), timeoutMs: limit('options.timeoutMs', timeoutMs, 0) }
}
/** @type {{ signal: AbortSignal | undefined, timeoutMs: number }} */
const NO_SEND_OPTIONS = Object.freeze({ signal: undefined, timeoutMs: 0 })

/**
 * @param {unknown} options
 * @returns {number | undefined}
 */
function closeTimeout(options) {
  if (options === undefined) return undefined
  const { timeoutMs } = check.record('options', options, ['timeoutMs'], 'options.')
  return timeoutMs === undefined ? undefined : check.integer('options.timeoutMs', timeoutMs)
}

/**
 * @param {unknown} options
 * @returns {AbortSignal | undefined}
 */
function readyOptions(options) {
  if (options === undefined) return undefined
  return check.optionalSignal('options.signal', check.record('options', options, ['signal'], 'options.').signal)
}

/**
 * @param {unknown} options
 * @returns {{ shardingKey: (message: import('../../index').MessageInit) => string, signal: AbortSignal | undefined }}
 */
function writableOptions(options) {
  const { shardingKey, signal } = check.record('options', options, ['shardingKey', 'signal'], 'options.')
  if (typeof shardingKey !== 'function') {
    throw invalid('options.shardingKey', `must be a function of a message, not ${check.describe(shardingKey)}`)
  }
  return {
    shardingKey: /** @type {(message: import('../../index').MessageInit) => string} */ (shardingKey),
    signal: check.optionalSignal('options.signal', signal),
  }
}

module.exports = {
  batching,
  closeTimeout,
  consumerOptions,
  credentials,
  messagesOptions,
  nameServers,
  nameServersOfEnvironment,
  producerOptions,
  readyOptions,
  sendOptions,
  subscription,
  writableOptions,
}
