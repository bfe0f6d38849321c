'use strict'
// `PushConsumer`: subscriptions, and one lane per queue that native delivers from.

const { AsyncResource } = require('node:async_hooks')
const { logged, withCause } = require('../cause.js')
const { clients, processing } = require('../channels.js')
const { Client } = require('../client/client.js')
const { Core } = require('../client/core.js')
const { RocketMQError, call, errorFrom, invalid } = require('../errors.js')
const { blockedError, isAbout } = require('./blocked.js')
const { Lane, where } = require('./lane.js')
const { NativeConsumer, consumerSuccess } = require('../addon.js')
const options = require('../options.js')
const { Messages } = require('./messages.js')
const { Pauses, checked, checkedQueue } = require('./pauses.js')
const { Places } = require('./places.js')
const { position, uncommitted } = require('./positions.js')
const { deadLettered, suspended, traced } = require('./traces.js')
const { Unpacker } = require('./unpacker.js')

/**
 * @typedef {import('../errors').Failure} Failure
 * @typedef {import('../native-surface').ConsumerDoor} ConsumerDoor
 * @typedef {import('../message').ReceivedMessage} ReceivedMessage
 * @typedef {import('../native-surface').Subscription} Subscription
 * @typedef {import('./batches').Batching} Batching
 * @typedef {import('../../../index').BatchHandler} BatchHandler
 * @typedef {import('../../../index').ConsumerStats} ConsumerStats
 * @typedef {import('../../../index').FilterExpression} FilterExpression
 * @typedef {import('../../../index').Handler} Handler
 * @typedef {import('../../../index').MessageQueue} MessageQueue
 * @typedef {import('../../../index').QueueState} QueueState
 */

/**
 * A topic's handler; with `batching` it gets several messages at once.
 * @typedef {{ subscription: Subscription } & ({ handler: Handler, batching: undefined } | { handler: BatchHandler, batching: Batching })} Subscribed
 */

/** Beside those of every client. */
const CONSUMER_EVENTS = ['assigned', 'revoked', 'lockLost', 'suspended', 'deadLetter', 'offsetReset', 'undecodable']

/** Before the start. */
const NO_STATS = {
  queues: 0,
  blockedQueues: 0,
  blockedKeys: 0,
  running: 0,
  consumed: 0,
  failed: 0,
  deadLettered: 0,
  undecodable: 0,
  skipped: 0,
  buffered: 0,
  bufferedBytes: 0,
  lag: 0,
}

class PushConsumer extends Client {
  /** @type {Core<NativeConsumer, ConsumerDoor>} */
  #core
  /** @type {ReturnType<typeof options.consumerOptions>} */
  #options
  /** By topic. @type {Map<string, Subscribed>} */
  #subscriptions = new Map()
  /** By the queue's number in native. @type {Map<number, Lane>} */
  #lanes = new Map()
  /** @type {import('./lane').Host | null} */
  #host = null
  #unpacker = new Unpacker()
  #pauses = new Pauses()
  /** The loop, where there is one instead of handlers. @type {Messages | null} */
  #messages = null
  /** Topics whose handler was warned of for what it returns. */
  #junkTopics = new Set()

  /**
   * @param {import('../../../index').PushConsumerOptions | string} given
   * @param {true} [orderly]
   */
  constructor(given, orderly) {
    const parsed = options.consumerOptions(given, orderly)
    /** @type {Core<NativeConsumer, ConsumerDoor>} */
    const core = new Core(parsed.client, {
      kind: 'PushConsumer',
      create: (config) => new NativeConsumer(config, this.#settings()),
      start: (native, slot, calls) => {
        this.#lanes.clear()
        const door = native.start(slot, parsed.client.startTimeoutMs, calls)
        this.#host = this.#makeHost(door)
        this.#pauses.tell(native)
        return door
      },
      take: (door) => this.#unpacker.take(door),
      hears: () => [
        (queue) => this.#lane(queue).wake(),
        (queue, generation, error) => this.#lanes.get(queue)?.abort(errorFrom(error), generation),
        (queue) => this.#deadLettered(this.#unpacker.single(this.#lane(queue).queue), queue),
      ],
      leaving: () => this.#leave(),
      ended: () => {},
    })
    super(core, CONSUMER_EVENTS)
    this.#core = core
    this.#options = parsed
    if (clients.hasSubscribers) clients.publish({ client: this, groupId: this.groupId })
  }

  /**
   * @param {string} topic
   * @param {Handler} handler
   * @param {FilterExpression} [expression]
   */
  subscribe(topic, handler, expression) {
    this.#mayBeSubscribed('subscribe')
    if (typeof handler !== 'function') {
      throw invalid('handler', 'must be a function: subscribe(topic, handler, expression)')
    }
    return this.#subscribe({ handler, subscription: options.subscription(topic, expression), batching: undefined })
  }

  /**
   * @param {string} topic
   * @param {BatchHandler} handler
   * @param {{ expression?: FilterExpression, maxMessages?: number, groupBy?: 'queue' | 'key' }} [batchOptions]
   */
  subscribeBatch(topic, handler, batchOptions) {
    this.#mayBeSubscribed('subscribeBatch')
    if (typeof handler !== 'function') {
      throw invalid('handler', 'must be a function: subscribeBatch(topic, handler, options)')
    }
    const { expression, batching } = options.batching(batchOptions)
    return this.#subscribe({ handler, subscription: options.subscription(topic, expression), batching })
  }

  /** @param {string} call */
  #mayBeSubscribed(call) {
    this.#core.mustBeIdle(call)
    if (this.#messages !== null) throw eitherOr()
  }

  /** @param {Subscribed} subscribed */
  #subscribe(subscribed) {
    const { topic } = subscribed.subscription
    if (this.#subscriptions.has(topic)) throw invalid('topic', `${topic} is subscribed already`)
    this.#subscriptions.set(topic, subscribed)
    return this
  }

  /**
   * @param {string} topic
   * @param {{ expression?: FilterExpression | undefined, signal?: AbortSignal | undefined }} [given]
   * @returns {AsyncIterableIterator<import('../../../index').ReceivedMessage>}
   */
  messages(topic, given) {
    this.#core.mustBeIdle('messages')
    if (this.#messages !== null || this.#subscriptions.size > 0) throw eitherOr()
    const { subscription, signal } = options.messagesOptions(topic, given)
    if (this.#options.isConcurrent) {
      throw invalid('concurrency', 'a loop over messages() has one message at a time: leave it out')
    }
    const messages = new Messages({ start: () => this.start(), close: () => this.close() }, signal)
    this.#messages = messages
    /** @type {Handler} */
    const handler = (message) => /** @type {any} */ (messages.offer(message))
    this.#subscribe({ handler, subscription, batching: undefined })
    return messages
  }

  /** Nobody takes messages from here on. */
  #leave() {
    if (this.#messages === null) return
    const { native } = this.#core
    if (native !== null) call(() => native.pause(true, [], [], [], []))
    this.#messages.end()
  }

  /**
   * @param {MessageQueue} queue
   * @param {number | 'first' | 'last' | Date} target
   */
  async seek(queue, target) {
    const error = this.#core.notRunning()
    if (error !== null) throw error
    const { topic, brokerName, queueId } = checkedQueue('queue', queue, (topic) => this.#subscriptions.has(topic))
    const { to, value } = position(target)
    const native = /** @type {NativeConsumer} */ (this.#core.native)
    await this.#core.slots.ask((slot) => native.seek(slot, topic, brokerName, queueId, to, value))
  }

  async commit() {
    const error = this.#core.notRunning()
    if (error !== null) throw error
    const native = /** @type {NativeConsumer} */ (this.#core.native)
    const failures = await this.#core.slots.ask((slot) => native.commit(slot))
    if (failures.length > 0) throw uncommitted(failures)
  }

  /** @param {string | MessageQueue} [target] */
  pause(target) {
    this.#flow(target, (pauses, target) => pauses.pause(target))
  }

  /** @param {string | MessageQueue} [target] */
  resume(target) {
    this.#flow(target, (pauses, target) => pauses.resume(target))
  }

  /**
   * @param {unknown} given
   * @param {(pauses: Pauses, target: string | MessageQueue | undefined) => void} change
   */
  #flow(given, change) {
    if (this.#core.isOver()) throw this.#core.closedError()
    const target = checked(given, (topic) => this.#subscriptions.has(topic))
    change(this.#pauses, target)
    const { native } = this.#core
    if (native !== null) call(() => this.#pauses.tell(native))
  }

  /** @returns {readonly QueueState[]} */
  assignment() {
    const { native } = this.#core
    if (native === null || this.state === 'closed') return []
    /** @type {QueueState[]} */
    const queues = JSON.parse(call(() => native.assignment())).map(known)
    return queues.map((queue) => {
      if (!queue.blockedBy) return queue
      const cause = this.#laneOf(queue)?.causeOf(queue.blockedBy.queueOffset)
      return { ...queue, blockedBy: withCause(queue.blockedBy, cause) }
    })
  }

  /** @returns {ConsumerStats} */
  stats() {
    let running = 0
    for (const lane of this.#lanes.values()) running += lane.running
    return { ...(this.#core.counts() ?? NO_STATS), running }
  }

  /** @returns {import('../../../index').Health} */
  health() {
    const { problems } = super.health()
    if (this.state !== 'running') return { ok: false, problems }
    const blocked = this.assignment().flatMap((queue) =>
      queue.blockedBy ? [blockedError(queue, queue.blockedBy)] : [],
    )
    // Native knows of them, too, but not what was thrown.
    const others = problems.filter((problem) => !blocked.some((error) => isAbout(problem, error)))
    return { ok: blocked.length + others.length === 0, problems: [...others, ...blocked] }
  }

  #settings() {
    const subscriptions = [...this.#subscriptions.values()].map(({ subscription }) => subscription)
    if (subscriptions.length === 0) {
      throw new RocketMQError('ERR_ROCKETMQ_INVALID_STATE', 'no topic: call subscribe() before start(), or messages()')
    }
    const most = [...this.#subscriptions.values()].map(({ batching }) => batching?.maxMessages ?? 1)
    return {
      ...this.#options.consumer,
      handlerTimeoutMs: this.#options.handlerTimeoutMs ?? -1,
      maxBatchMessages: Math.max(...most),
      subscriptions,
    }
  }

  /**
   * @param {ConsumerDoor} door
   * @returns {import('./lane').Host}
   */
  #makeHost(door) {
    const context = /** @type {AsyncResource} */ (this.#core.context)
    return {
      door,
      success: consumerSuccess(door),
      unpacker: this.#unpacker,
      places: new Places(this.#messages === null ? this.#options.concurrency : 1),
      isByKey: this.#options.consumer.orderedBy === 'key',
      handlerTimeoutMs: this.#options.handlerTimeoutMs,
      batching: this.#batching(),
      // Each call begins in the context of `start()`, in a copy of its own: nothing leaks from one message into the next.
      handle: (message, consumeContext, messages) => {
        const own = context.runInAsyncScope(() => new AsyncResource('RocketMQHandler', { requireManualDestroy: true }))
        const handle = processing.isObserved ? this.#traced : this.#handle
        try {
          return own.runInAsyncScope(handle, this, message, consumeContext, messages)
        } finally {
          // What the handler awaits has the context already; left to the garbage collector, it would be an open handle for a while.
          own.emitDestroy()
        }
      },
      warn: (error) => this.#core.reports.warn(error),
      junk: (message) => this.#junk(message),
      suspended: (message, delayMs, cause) => this.#suspended(message, delayMs, cause),
    }
  }

  /** How messages are handed over together, unless no handler wants that. */
  #batching() {
    const wanted = [...this.#subscriptions.values()].some(({ batching }) => batching !== undefined)
    return wanted ? (/** @type {string} */ topic) => this.#subscriptions.get(topic)?.batching : null
  }

  /**
   * @param {ReceivedMessage} message
   * @param {import('./context').Context} consumeContext
   * @param {ReceivedMessage[]} [messages] of a batch, whose first it is
   */
  #handle(message, consumeContext, messages) {
    const subscribed = this.#subscriptions.get(message.topic)
    if (subscribed === undefined)
      throw new RocketMQError('ERR_ROCKETMQ_HANDLER', `no handler for topic ${message.topic}`)
    const handler = /** @type {(messages: unknown, context: unknown) => unknown} */ (subscribed.handler)
    return handler(messages ?? message, consumeContext)
  }

  /**
   * @param {ReceivedMessage} message
   * @param {import('./context').Context} consumeContext
   * @param {ReceivedMessage[]} [messages]
   */
  #traced(message, consumeContext, messages) {
    /** @type {import('./traces').Handling} */
    const who = {
      client: /** @type {any} */ (this),
      namespace: this.#core.namespace,
      messageModel: this.#options.consumer.broadcasting ? 'broadcasting' : 'clustering',
    }
    return traced(who, messages ?? message, consumeContext, () => this.#handle(message, consumeContext, messages))
  }

  // ------------------------------------------------------------- callbacks of native

  /**
   * @param {number} index
   * @returns {Lane}
   */
  #lane(index) {
    let lane = this.#lanes.get(index)
    if (lane === undefined) {
      const host = /** @type {import('./lane').Host} */ (this.#host)
      const { native } = this.#core
      const [topic, brokerName, queueId] = native?.queue(index) ?? ['', '', -1] // never absent while it delivers
      lane = new Lane(host, index, Object.freeze({ topic, brokerName, queueId }))
      this.#lanes.set(index, lane)
    }
    return lane
  }

  /** @param {MessageQueue} queue */
  #laneOf({ topic, brokerName, queueId }) {
    for (const lane of this.#lanes.values()) {
      const { queue } = lane
      if (queue.queueId === queueId && queue.brokerName === brokerName && queue.topic === topic) return lane
    }
    return undefined
  }

  /**
   * @param {ReceivedMessage} message
   * @param {number} index
   */
  #deadLettered(message, index) {
    const lane = this.#lanes.get(index)
    const cause = lane?.causeOf(message.queueOffset)
    lane?.forget(message.queueOffset)
    const { topic, queue, queueOffset, msgId } = message
    this.#core.reports.log(
      'warn',
      { topic, queue, queueOffset, msgId, ...logged(cause) },
      'a message went to the dead-letter queue',
    )
    deadLettered(/** @type {any} */ (this), message, cause)
    this.#core.reports.emit('deadLetter', message, withCause({}, cause))
  }

  // ------------------------------------------------------------- what handlers do

  /** @param {ReceivedMessage} message */
  #junk({ topic, queue, queueOffset, msgId }) {
    const text =
      `the handler of topic ${topic} returned something that is no outcome (${where(queue, queueOffset)}): it counts as ` +
      'RECONSUME_LATER. Return nothing, a ConsumeStatus, suspend(ms) or deadLetter(reason)'
    const error = new RocketMQError('ERR_ROCKETMQ_HANDLER', text, { topic, queue, msgId })
    if (!this.#junkTopics.has(topic)) {
      this.#junkTopics.add(topic)
      this.#core.reports.warn(error)
    }
    return error
  }

  /**
   * @param {ReceivedMessage} message
   * @param {number} delayMs
   * @param {unknown} cause
   */
  #suspended(message, delayMs, cause) {
    const { topic, queue, queueOffset, msgId, reconsumeTimes } = message
    const attempt = reconsumeTimes + 1
    const held = this.#options.consumer.orderedBy
    const text = `a handler failed; its ${held} is held for ${delayMs} ms, then the message comes again (${where(queue, queueOffset)}, attempt ${attempt})`
    const fields = { topic, queue, queueOffset, msgId, attempt, delayMs, ...logged(cause) }
    this.#core.reports.show('suspended', 'warn', 'ERR_ROCKETMQ_HANDLER', topic, text, fields, cause)
    suspended(/** @type {any} */ (this), message, delayMs, cause)
    this.#core.reports.emit('suspended', message, withCause({ delayMs }, cause))
  }
}

function eitherOr() {
  const text = 'a consumer has handlers, or one loop over messages(): not both, and not two loops'
  return new RocketMQError('ERR_ROCKETMQ_INVALID_STATE', text)
}

/**
 * What native does not know is null in its JSON.
 * @param {{ [name in keyof QueueState]: QueueState[name] | null }} queue
 */
function known(queue) {
  return {
    ...queue,
    committedOffset: queue.committedOffset ?? undefined,
    nextOffset: queue.nextOffset ?? undefined,
    lag: queue.lag ?? undefined,
  }
}

module.exports = { PushConsumer }
