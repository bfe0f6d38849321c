'use strict'
// The life of a client: idle, starting, running, closing, closed. It owns the native side and hears everything that says. Producers
// and consumers bring what is theirs as a `Side`; nothing outside may set `state` or `native`.

const { RocketMQError, call, errorFrom, errorFromThrown } = require('../errors.js')
const { textOf } = require('../cause.js')
const { keep } = require('../keepsakes.js')
const { openHandle } = require('../open-handle.js')
const { Bell } = require('./bell.js')
const options = require('../options.js')
const { Reports } = require('./reports.js')
const { Slots } = require('./slots.js')

/**
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../native-surface').NativeClient} NativeClient
 * @typedef {import('../native-surface').NativeConfig} NativeConfig
 * @typedef {import('../options').ClientSettings} ClientSettings
 * @typedef {import('./slots').Call} Call
 */

/**
 * What a producer or a consumer adds to the common life of a client. `D` is the door that `start()` opens: what native is called
 * through from then on.
 * @template {NativeClient} N
 * @template D
 * @typedef {object} Side
 * @property {string} kind of client
 * @property {(config: NativeConfig) => N} create
 * @property {(native: N, slot: number, calls: import('../native-surface').Calls) => D} start
 * @property {(door: D, isFirst: boolean) => import('../native-surface').Said | 'later' | null} take what native says next, see `Bell`
 * @property {() => ((...args: any[]) => void)[]} hears what only its native side says, by kind, from 2 on
 * @property {() => void} [leaving] before native is closed, and before a start that is under way fails
 * @property {() => void} ended after native is closed
 */

/**
 * @param {import('../../../index').Credentials} credentials checked
 * @returns {import('../native-surface').NativeCredentials}
 */
function native({ accessKey, secretKey, securityToken, channel, expiresAt }) {
  return { accessKey, secretKey, securityToken, channel, expiresAt: /** @type {number | undefined} */ (expiresAt) }
}

/**
 * A client below its public face.
 * @template {NativeClient} N
 * @template D
 */
class Core {
  /** @type {'idle' | 'starting' | 'running' | 'closing' | 'closed'} */
  state = 'idle'
  /** @type {N | null} */
  native = null
  /** @type {D | null} */
  door = null
  /** What is open from `start()` on, with its async context, in which handlers are called. @type {ReturnType<typeof openHandle> | null} */
  context = null
  /** What waits for native's answer. */
  slots = new Slots()

  /** @type {ClientSettings} */
  #settings
  /** @type {Side<N, D>} */
  #side
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
  /** That nobody's certificate is looked at. */
  #hasWarned = false
  /** The last counts that native gave. @type {any} */
  #counts = null

  /**
   * @param {ClientSettings} settings
   * @param {Side<N, D>} side
   */
  constructor(settings, side) {
    this.#settings = settings
    this.#side = side
    /** What its user is told. */
    this.reports = new Reports(this, settings.logger)
  }

  get groupId() {
    return this.#settings.groupId
  }

  get namespace() {
    return this.#settings.namespace
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
    this.#warnOfAnybody()
    this.context = openHandle(`RocketMQ ${this.#side.kind} (${this.groupId})`)
    try {
      const native = call(() => this.#side.create(this.#nativeConfig()))
      this.native = native
      this.#watchSignal()
      await new Promise((resolve, reject) => {
        this.#starting = { resolve, reject, answered: (error) => this.#startAnswered(error) }
        this.slots.request(this.#starting, (slot) => this.#enter(native, slot))
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

  /**
   * @param {N} native
   * @param {number} slot
   */
  #enter(native, slot) {
    const bell = new Bell((isFirst) => this.#take(door, isFirst), this.#listener(native))
    const door = this.#side.start(native, slot, { ring: () => bell.ring() })
    this.door = door
  }

  /** @param {string | null} error */
  #startAnswered(error) {
    if (error === null) return this.#starting?.resolve(undefined)
    this.#starting?.reject(errorFrom(error))
    this.#startFailed?.()
  }

  #backToIdle() {
    this.state = 'idle'
    this.context?.close()
    this.reports.ended()
    this.native = null
    this.door = null
    this.#counts = null
    this.#unwatch?.()
    this.slots.clear()
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

  /** Says once that nobody's certificate is looked at: it is written out, and forgotten. */
  #warnOfAnybody() {
    if (this.#settings.tls?.rejectUnauthorized !== false || this.#hasWarned) return
    this.#hasWarned = true
    const text =
      'tls.rejectUnauthorized is false: whoever is between this client and its servers can read and change what is sent. ' +
      'Give tls.ca the certificate of the authority that signs those of the servers'
    this.reports.warn(new RocketMQError('ERR_ROCKETMQ_TLS', text))
  }

  /** Native has none, or none that are good for long. It asks once until it is answered. */
  async renewCredentials() {
    const { native: client, context } = this
    const { credentials: ask } = this.#settings
    if (client === null || context === null || typeof ask !== 'function') return
    try {
      // With nothing of ours for `this`.
      const given = await context.runInAsyncScope(async () => Reflect.apply(ask, undefined, []))
      client.renewed(native(options.credentials(given)))
    } catch (thrown) {
      client.notRenewed(`the function of the option credentials has failed: ${textOf(thrown)}`, keep(thrown))
    }
  }

  /** @returns {NativeConfig} */
  #nativeConfig() {
    const { groupId, namespace, instanceName, requestTimeoutMs, waitForTopics, credentials, tls, logger } =
      this.#settings
    return {
      groupId,
      nameServers: this.#settings.nameServers ?? options.nameServersOfEnvironment(),
      namespace,
      instanceName,
      requestTimeoutMs,
      asksForCredentials: typeof credentials === 'function',
      ...(typeof credentials === 'object' && native(credentials)),
      tls,
      waitForTopics,
      logs: logger !== undefined,
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
    const wasRunning = this.state === 'running'
    this.state = 'closing'
    this.#side.leaving?.()
    this.#unwatch?.()
    this.#starting?.reject(this.#settings.signal?.aborted ? this.#abortedError() : this.closedError())
    const { native } = this
    if (native !== null) {
      this.counts() // native may not count any more once it is closed
      await this.#closeNative(native, timeoutMs, !wasRunning)
      this.#side.ended()
      this.#abandon()
    }
    this.context?.close()
    await null // a listener of `close` may be added behind the call
    this.state = 'closed'
    this.reports.ended()
    this.reports.emit('close')
  }

  /**
   * @param {N} native
   * @param {number} timeoutMs
   * @param {boolean} wasStarting
   * @returns {Promise<void>}
   */
  #closeNative(native, timeoutMs, wasStarting) {
    return new Promise((resolve) => {
      this.#startFailed = resolve
      this.slots
        .ask((slot) => native.close(slot, timeoutMs))
        .then(resolve, (error) => {
          // A start that has failed in this moment leaves nothing to close.
          if (!(wasStarting && error.code === 'ERR_ROCKETMQ_CLOSED')) this.reports.warn(error)
          resolve()
        })
    })
  }

  /** Nothing may be left unsettled, whatever native has done. */
  #abandon() {
    for (const waiting of this.slots.outstanding()) waiting.reject(this.closedError())
    this.slots.clear()
  }

  // ------------------------------------------------------------- what native says

  /**
   * @param {D} door
   * @param {boolean} isFirst
   */
  #take(door, isFirst) {
    try {
      return this.#side.take(door, isFirst)
    } catch (cause) {
      // What it was about is lost, and nothing else.
      this.#failed(cause)
      return undefined
    }
  }

  /**
   * Hears everything that native says. What belongs to an earlier start is over.
   * @param {N} native
   * @returns {(said: import('../native-surface').Said) => void}
   */
  #listener(native) {
    /** @type {((...args: any[]) => void)[]} */
    const heard = [
      (slot, error, json) => this.slots.answered(slot, error, json),
      (json) => this.reports.heard(json),
      ...this.#side.hears(),
    ]
    return ([kind, ...args]) => {
      if (this.native !== native || this.state === 'closed') return
      try {
        heard[kind](...args)
      } catch (cause) {
        this.#failed(cause)
      }
    }
  }

  /** @param {unknown} cause */
  #failed(cause) {
    this.reports.warn(new RocketMQError('ERR_ROCKETMQ_INTERNAL', 'a callback of the native side failed', { cause }))
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
    return problems.map((/** @type {import('../errors').NativeError} */ problem) => errorFrom(problem))
  }
}

module.exports = { Core }
