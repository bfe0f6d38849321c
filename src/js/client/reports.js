'use strict'
// What a client tells its user by itself: events, log records, and, where nobody listens, warnings of the process.

const { textOf } = require('../cause.js')
const { setImmediate } = require('../clock.js')
const { errorFrom } = require('../errors.js')
const { Connects } = require('./connects.js')

/**
 * @typedef {import('node:events').EventEmitter} EventEmitter
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../native-surface').NativeEvent} NativeEvent
 * @typedef {import('../../../index').ErrorCode} ErrorCode
 * @typedef {import('../../../index').Logger} Logger
 */

/**
 * Who reports.
 * @typedef {object} Reporter
 * @property {string} groupId
 * @property {string} clientId
 * @property {() => boolean} isOver closing or closed
 * @property {() => unknown} renewCredentials
 */

/** Events of the native side that are worth a log record, and how it reads. */
const RECORDS = Object.freeze({
  routeChanged: { level: /** @type {const} */ ('info'), text: 'the route of a topic has changed' },
  assigned: { level: /** @type {const} */ ('info'), text: 'queues assigned' },
  revoked: { level: /** @type {const} */ ('info'), text: 'queues revoked' },
  lockLost: { level: /** @type {const} */ ('warn'), text: 'the lock of a queue is lost' },
  offsetReset: { level: /** @type {const} */ ('warn'), text: 'an offset was reset' },
})

/** Who is at the other end of a connection, in the text of a record. */
const SERVERS = Object.freeze({ broker: 'a broker', nameServer: 'a name server' })

class Reports {
  /** @type {Reporter} */
  #reporter
  /** @type {Logger | undefined} */
  #logger
  /** @type {EventEmitter | null} */
  #emitter = null
  #connects = new Connects()
  /** What was said by `process.emitWarning`. */
  #said = new Set()

  /**
   * @param {Reporter} reporter
   * @param {Logger | undefined} logger
   */
  constructor(reporter, logger) {
    this.#reporter = reporter
    this.#logger = logger
  }

  /** @param {EventEmitter} emitter whose listeners hear the events */
  attach(emitter) {
    this.#emitter = emitter
  }

  /** @param {string} json a `NativeEvent` */
  heard(json) {
    /** @type {NativeEvent} */
    const event = JSON.parse(json)
    switch (event.type) {
      case 'warning':
        return this.warn(errorFrom(event.error))
      case 'log':
        return this.log(event.level, event.fields, event.text)
      case 'credentialsWanted':
        return void this.#reporter.renewCredentials()
      case 'connecting':
        return this.#connects.begin(this.#emitter, event)
      case 'unconnected':
        return this.#connects.end(event, event.error)
      case 'connected': {
        const { address, server } = event
        this.#connects.end(event)
        this.log('info', { address, server }, `connected to ${SERVERS[server]}`)
        return this.emit('connected', address, { server })
      }
      case 'disconnected': {
        const { address, server, reason } = event
        // What ends while we close was ended by us.
        const level = this.#reporter.isOver() ? 'info' : 'warn'
        this.log(level, { address, server, reason }, `disconnected from ${SERVERS[server]}`)
        return this.emit('disconnected', address, { server })
      }
      case 'routeChanged':
        return this.#report(event.type, { topic: event.topic, queues: event.queues }, event.topic, event.queues)
      case 'assigned':
      case 'revoked':
        return this.#report(event.type, { queues: event.queues }, event.queues)
      case 'lockLost':
        return this.#report(event.type, { queue: event.queue }, event.queue)
      case 'offsetReset': {
        const { queue, from, to, reason } = event
        const detail = { from, to, reason }
        if (!event.error) return this.#report(event.type, { queue, ...detail }, queue, detail)
        const error = errorFrom(event.error)
        this.show(event.type, 'warn', error.code, queue.topic, error.message, { queue, ...detail })
        // Messages that are gone, or come again, must not escape who listens to warnings alone.
        return this.#listened(event.type) ? this.emit(event.type, queue, detail) : this.emit('warning', error)
      }
      case 'undecodable': {
        const error = errorFrom(event.error)
        this.show('undecodable', 'error', error.code, event.queue.topic, error.message, {
          queue: event.queue,
          err: error,
        })
        return this.emit('undecodable', event.queue, error)
      }
    }
  }

  /** Native tells no more. */
  ended() {
    this.#connects.abandon()
  }

  /**
   * @param {keyof typeof RECORDS} name
   * @param {Record<string, unknown>} fields
   * @param {unknown[]} args
   */
  #report(name, fields, ...args) {
    // What ends while we close was ended by us; only a lock that is lost was not.
    const level = this.#reporter.isOver() && name !== 'lockLost' ? 'info' : RECORDS[name].level
    this.log(level, fields, RECORDS[name].text)
    this.emit(name, ...args)
  }

  /**
   * A background fault.
   * @param {Failure} error
   */
  warn(error) {
    this.show('warning', 'warn', error.code, error.topic, error.message, { err: error }, error.cause)
    this.emit('warning', error)
  }

  /**
   * Makes something visible: in the log, else, once per code and topic, as a warning of the process if nobody listens.
   * @param {'warning' | 'suspended' | 'undecodable' | 'offsetReset'} event that tells it to listeners
   * @param {'warn' | 'error'} level
   * @param {ErrorCode} code
   * @param {string | undefined} topic
   * @param {string} text
   * @param {Record<string, unknown>} fields
   * @param {unknown} [cause] which the log record has in its fields
   */
  show(event, level, code, topic, text, fields, cause) {
    if (this.#logger) return this.log(level, { code, ...fields }, text)
    if (this.#listened(event) || this.#listened('warning')) return
    const key = `${event} ${code} ${topic}`
    if (this.#said.has(key)) return
    this.#said.add(key)
    const why = cause === undefined ? text : `${text}: ${textOf(cause)}`
    process.emitWarning(why, { type: 'RocketMQWarning', code })
  }

  /** @param {string} event */
  #listened(event) {
    return (this.#emitter?.listenerCount(event) ?? 0) > 0
  }

  /**
   * @param {string} level
   * @param {Record<string, unknown>} fields
   * @param {string} text
   */
  log(level, fields, text) {
    const logger = this.#logger
    if (!logger) return
    const known = level === 'debug' || level === 'warn' || level === 'error' ? level : 'info'
    const { groupId, clientId } = this.#reporter
    undisturbed(() => logger[known]?.({ groupId, clientId, ...fields }, text))
  }

  /**
   * @param {string} event
   * @param {unknown[]} args
   */
  emit(event, ...args) {
    undisturbed(() => this.#emitter?.emit(event, ...args))
  }
}

/**
 * Runs code of the user's that is none of our business if it throws: as with every listener in Node, that is an uncaught
 * exception, but not in the middle of our own work.
 * @param {() => void} code
 */
function undisturbed(code) {
  try {
    code()
  } catch (thrown) {
    setImmediate(() => {
      throw thrown
    })
  }
}

module.exports = { Reports }
