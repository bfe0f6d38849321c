'use strict'

const { AsyncResource } = require('node:async_hooks')
const { RocketMQError, call, errorFrom, errorFromThrown } = require('./errors.js')
const options = require('./options.js')

/**
 * @typedef {import('./errors').Failure} Failure
 * @typedef {import('node:events').EventEmitter} EventEmitter
 * @typedef {import('./native-surface').NativeClient} NativeClient
 * @typedef {import('./native-surface').NativeConfig} NativeConfig
 * @typedef {import('./native-surface').NativeEvent} NativeEvent
 * @typedef {import('./options').ClientSettings} ClientSettings
 * @typedef {import('../../index').ErrorCode} ErrorCode
 */

/**
 * What waits for the native side's answer.
 * @typedef {object} Call
 * @property {(value: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {((error: string | null, json: string) => void)} [answered] instead of the two, where more is to be done
 */

/**
 * What a producer or a consumer adds to the common life of a client.
 * @template {NativeClient} N
 * @typedef {object} Side
 * @property {(config: NativeConfig) => N} create
 * @property {((...args: any[]) => void)[]} hears what only its native side says, from kind 2 on
 * @property {(native: N, slot: number, calls: { say(kind: number, ...args: any[]): void }) => void} start
 * @property {(deadline: number) => Promise<void> | void} drain before native is closed, bounded by this time
 * @property {() => void} ended after native is closed
 */

/** Least time that native gets to close, in milliseconds: to tell brokers that we go. */
const LEAST_CLOSE_MS = 100

/** Events of the native side that are worth a log record, and how it reads. */
const RECORDS = Object.freeze({
  connected: { level: /** @type {const} */ ('info'), text: 'connected' },
  disconnected: { level: /** @type {const} */ ('warn'), text: 'disconnected' },
  routeChanged: { level: /** @type {const} */ ('info'), text: 'the route of a topic has changed' },
  assigned: { level: /** @type {const} */ ('info'), text: 'queues assigned' },
  revoked: { level: /** @type {const} */ ('info'), text: 'queues revoked' },
  lockLost: { level: /** @type {const} */ ('warn'), text: 'the lock of a queue is lost' },
  offsetReset: { level: /** @type {const} */ ('warn'), text: 'an offset was reset' },
})

/**
 * The life of a client below its public face: its state, its native client, the slots that wait for answers, and its events.
 * @template {NativeClient} N
 */
class Core {
  /** @type {'idle' | 'starting' | 'running' | 'closing' | 'closed'} */
  state = 'idle'
  /** @type {N | null} */
  native = null
  /** The async context of `start()`, in which handlers are called. */
  context = new AsyncResource('RocketMQClient')

  /** @type {ClientSettings} */
  #settings
  /** @type {Side<N>} */
  #side
  /** @type {EventEmitter | null} */
  #emitter = null
  /** @type {Promise<void> | null} */
  #started = null
  /** @type {Promise<void> | null} */
  #closed = null
  /** @type {Call | null} */
  #starting = null
  /** A native client whose start has failed is gone, and will not answer a `close()`. @type {(() => void) | null} */
  #startFailed = null
  /** @type {(() => void) | null} */
  #unwatch = null
  /** @type {(Call | undefined)[]} */
  #calls = []
  /** @type {number[]} */
  #free = []
  /** The last counts that native gave. @type {any} */
  #counts = null
  /** What was said by `process.emitWarning`. */
  #said = new Set()

  /**
   * @param {ClientSettings} settings
   * @param {Side<N>} side
   */
  constructor(settings, side) {
    this.#settings = settings
    this.#side = side
  }

  /** @param {EventEmitter} emitter */
  attach(emitter) {
    this.#emitter = emitter
  }

  get groupId() {
    return this.#settings.groupId
  }

  get clientId() {
    return this.native?.clientId ?? ''
  }

  // ------------------------------------------------------------- before the start

  /** @param {unknown} address */
  setNameServers(address) {
    this.mustBeIdle('setNameServerAddress')
    this.#settings.nameServers = options.nameServers(address)
  }

  /** @param {unknown} credentials */
  setCredentials(credentials) {
    this.mustBeIdle('setSessionCredentials')
    this.#settings.credentials = options.credentials(credentials)
  }

  /** @param {string} method */
  mustBeIdle(method) {
    if (this.state === 'idle') return
    throw this.isOver()
      ? this.closedError()
      : new RocketMQError('ERR_ROCKETMQ_INVALID_STATE', `${method}() is for before start()`)
  }

  isOver() {
    return this.state === 'closing' || this.state === 'closed'
  }

  closedError() {
    return new RocketMQError('ERR_ROCKETMQ_CLOSED', 'the client is closed')
  }

  /** The error of a call that needs a running client, or null. */
  notRunning() {
    if (this.state === 'running') return null
    return this.isOver()
      ? this.closedError()
      : new RocketMQError('ERR_ROCKETMQ_INVALID_STATE', 'the client is not started: await start() first')
  }

  // ------------------------------------------------------------- start and close

  /** @returns {Promise<void>} */
  start() {
    if (this.isOver()) return Promise.reject(this.closedError())
    if (this.#started === null) {
      const started = this.#open()
      this.#started = started
      // Registered first, so that whoever awaits the failure may start again at once.
      started.catch(() => {
        if (this.#started === started) this.#started = null
      })
    }
    return this.#started
  }

  async #open() {
    const { signal } = this.#settings
    if (signal?.aborted) {
      void this.close()
      throw this.#abortedError()
    }
    this.state = 'starting'
    this.context = new AsyncResource('RocketMQClient')
    try {
      const native = call(() => this.#side.create(this.#nativeConfig()))
      this.native = native
      this.#watchSignal()
      await new Promise((resolve, reject) => {
        this.#starting = { resolve, reject, answered: (error) => this.#startAnswered(error) }
        this.request(this.#starting, (slot) => this.#side.start(native, slot, { say: this.#listener(native) }))
      })
      // `close()` may have been called since the answer came.
      if (this.state !== 'starting') throw this.closedError()
    } catch (error) {
      if (this.state === 'starting') this.#backToIdle()
      throw error
    } finally {
      this.#starting = null
    }
    this.state = 'running'
  }

  /** @param {string | null} error */
  #startAnswered(error) {
    if (error === null) return this.#starting?.resolve(undefined)
    this.#starting?.reject(errorFrom(error))
    this.#startFailed?.()
  }

  #backToIdle() {
    this.state = 'idle'
    this.native = null
    this.#counts = null
    this.#unwatch?.()
    this.#calls = []
    this.#free = []
  }

  #watchSignal() {
    const { signal } = this.#settings
    if (signal === undefined) return
    const listener = () => void this.close()
    signal.addEventListener('abort', listener, { once: true })
    this.#unwatch = () => {
      signal.removeEventListener('abort', listener)
      this.#unwatch = null
    }
  }

  #abortedError() {
    return new RocketMQError('ERR_ROCKETMQ_ABORTED', 'the client was aborted by its signal', {
      cause: this.#settings.signal?.reason,
    })
  }

  /** @returns {NativeConfig} */
  #nativeConfig() {
    const { groupId, namespace, instanceName, requestTimeoutMs, credentials, logger } = this.#settings
    return {
      groupId,
      nameServers: this.#settings.nameServers ?? options.nameServersOfEnvironment(),
      namespace,
      instanceName,
      requestTimeoutMs,
      accessKey: credentials?.accessKey,
      secretKey: credentials?.secretKey,
      securityToken: credentials?.securityToken,
      channel: credentials?.channel,
      debug: logger?.debug !== undefined,
    }
  }

  /**
   * @param {unknown} [closeOptions]
   * @returns {Promise<void>}
   */
  close(closeOptions) {
    let timeoutMs
    try {
      timeoutMs = options.closeTimeout(closeOptions) ?? this.#settings.closeTimeoutMs
    } catch (error) {
      return Promise.reject(error)
    }
    this.#closed ??= this.#end(timeoutMs)
    return this.#closed
  }

  /** @param {number} timeoutMs */
  async #end(timeoutMs) {
    const deadline = performance.now() + timeoutMs
    const wasRunning = this.state === 'running'
    this.state = 'closing'
    this.#unwatch?.()
    this.#starting?.reject(this.#settings.signal?.aborted ? this.#abortedError() : this.closedError())
    const { native } = this
    if (native !== null) {
      if (wasRunning) await this.#side.drain(deadline)
      const rest = Math.ceil(Math.max(deadline - performance.now(), Math.min(LEAST_CLOSE_MS, timeoutMs)))
      this.counts() // native may not count any more once it is closed
      await this.#closeNative(native, rest)
      this.#side.ended()
      this.#abandon()
    }
    await null // a listener of `close` may be added behind the call
    this.state = 'closed'
    this.emit('close')
  }

  /**
   * @param {N} native
   * @param {number} timeoutMs
   * @returns {Promise<void>}
   */
  #closeNative(native, timeoutMs) {
    return new Promise((resolve) => {
      this.#startFailed = resolve
      this.ask((slot) => native.close(slot, timeoutMs)).then(resolve, (error) => {
        this.warn(error)
        resolve()
      })
    })
  }

  /** Nothing may be left unsettled, whatever native has done. */
  #abandon() {
    for (const waiting of this.outstanding()) waiting.reject(this.closedError())
    this.#calls = []
    this.#free = []
  }

  // ------------------------------------------------------------- slots

  /**
   * Gives a call a slot and makes its request; a request that throws rejects it.
   * @param {Call} waiting
   * @param {(slot: number) => void} request
   */
  request(waiting, request) {
    const slot = this.take(waiting)
    try {
      request(slot)
    } catch (thrown) {
      this.release(slot)
      waiting.reject(errorFromThrown(thrown))
    }
  }

  /**
   * One request that is answered with JSON.
   * @param {(slot: number) => void} request
   * @returns {Promise<any>}
   */
  ask(request) {
    return new Promise((resolve, reject) => this.request({ resolve, reject }, request))
  }

  /**
   * @param {Call} waiting
   * @returns {number}
   */
  take(waiting) {
    const slot = this.#free.pop() ?? this.#calls.length
    this.#calls[slot] = waiting
    return slot
  }

  /**
   * @param {number} slot
   * @returns {Call | undefined}
   */
  release(slot) {
    const waiting = this.#calls[slot]
    if (waiting === undefined) return undefined
    this.#calls[slot] = undefined
    this.#free.push(slot)
    return waiting
  }

  /** What waits for an answer. */
  outstanding() {
    return /** @type {Call[]} */ (this.#calls.filter((waiting) => waiting !== undefined))
  }

  /**
   * @param {number} slot
   * @param {string | null} error
   * @param {string} json
   */
  #answered(slot, error, json) {
    const waiting = this.release(slot)
    if (waiting === undefined) return
    if (waiting.answered) waiting.answered(error, json)
    else if (error !== null) waiting.reject(errorFrom(error))
    else waiting.resolve(json === '' ? undefined : JSON.parse(json))
  }

  /**
   * Hears everything that native says: what throws in there would end the process, and what belongs to an earlier start is over.
   * @param {N} native
   * @returns {(kind: number, ...args: any[]) => void}
   */
  #listener(native) {
    /** @type {((...args: any[]) => void)[]} */
    const heard = [
      (slot, error, json) => this.#answered(slot, error, json),
      (json) => this.#event(json),
      ...this.#side.hears,
    ]
    return (kind, ...args) => {
      if (this.native !== native) return
      try {
        heard[kind](...args)
      } catch (cause) {
        this.warn(new RocketMQError('ERR_ROCKETMQ_INTERNAL', 'a callback of the native side failed', { cause }))
      }
    }
  }

  // ------------------------------------------------------------- events

  /** @param {string} json */
  #event(json) {
    /** @type {NativeEvent} */
    const event = JSON.parse(json)
    switch (event.type) {
      case 'warning':
        return this.warn(errorFrom(event.error))
      case 'log':
        return this.log(event.level, event.fields, event.text)
      case 'connected':
      case 'disconnected':
        return this.#report(event.type, { address: event.address }, event.address)
      case 'routeChanged':
        return this.#report(event.type, { topic: event.topic, queues: event.queues }, event.topic, event.queues)
      case 'assigned':
      case 'revoked':
        return this.#report(event.type, { queues: event.queues }, event.queues)
      case 'lockLost':
        return this.#report(event.type, { queue: event.queue }, event.queue)
      case 'offsetReset': {
        const { from, to } = event
        return this.#report(event.type, { queue: event.queue, from, to }, event.queue, { from, to })
      }
      case 'undecodable': {
        const error = errorFrom(event.error)
        this.show('undecodable', 'error', error.code, event.queue.topic, error.message, { queue: event.queue })
        return this.emit('undecodable', event.queue, error)
      }
    }
  }

  /**
   * @param {keyof typeof RECORDS} name
   * @param {Record<string, unknown>} fields
   * @param {unknown[]} args
   */
  #report(name, fields, ...args) {
    // What ends while we close was ended by us.
    this.log(this.isOver() ? 'info' : RECORDS[name].level, fields, RECORDS[name].text)
    this.emit(name, ...args)
  }

  /**
   * A background fault.
   * @param {Failure} error
   */
  warn(error) {
    this.show('warning', 'warn', error.code, error.topic, error.message, { err: error })
    this.emit('warning', error)
  }

  /**
   * Makes something visible: in the log, else, once per code and topic, as a warning of the process if nobody listens.
   * @param {'warning' | 'suspended' | 'undecodable'} event that tells it to listeners
   * @param {'warn' | 'error'} level
   * @param {ErrorCode} code
   * @param {string | undefined} topic
   * @param {string} text
   * @param {Record<string, unknown>} fields
   */
  show(event, level, code, topic, text, fields) {
    if (this.#settings.logger) return this.log(level, { code, ...fields }, text)
    if (this.#listened(event) || this.#listened('warning')) return
    const key = `${event} ${code} ${topic}`
    if (this.#said.has(key)) return
    this.#said.add(key)
    process.emitWarning(text, { type: 'RocketMQWarning', code })
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
    const { logger } = this.#settings
    if (!logger) return
    const known = level === 'debug' || level === 'warn' || level === 'error' ? level : 'info'
    undisturbed(() => logger[known]?.({ groupId: this.groupId, clientId: this.clientId, ...fields }, text))
  }

  /**
   * @param {string} event
   * @param {unknown[]} args
   */
  emit(event, ...args) {
    undisturbed(() => this.#emitter?.emit(event, ...args))
  }

  /**
   * Native's counts, the last ones when it is gone; null before the start.
   * @returns {any}
   */
  counts() {
    if (this.native === null) return null
    try {
      this.#counts = JSON.parse(this.native.stats())
    } catch (thrown) {
      if (!this.isOver()) throw errorFromThrown(thrown)
    }
    return this.#counts
  }

  /**
   * How the client is: its state, and what native knows.
   * @returns {Failure[]}
   */
  problems() {
    const error = this.notRunning()
    if (error !== null) return [error]
    const { problems } = JSON.parse(call(() => /** @type {N} */ (this.native).health()))
    return problems.map(errorFrom)
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
    process.nextTick(() => {
      throw thrown
    })
  }
}

module.exports = { Core }
