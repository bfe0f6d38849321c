'use strict'
// A subscriber of our channels that makes spans and measurements of what they tell.

const { tracingChannel } = require('node:diagnostics_channel')
const {
  ROOT_CONTEXT: NOBODYS,
  SpanKind,
  SpanStatusCode,
  context,
  diag,
  propagation,
  trace: api,
} = require('@opentelemetry/api')
const { CHANNELS, RUN } = require('../channels.js')
const check = require('../check.js')
const { now } = require('../clock.js')
const attributes = require('./attributes.js')
const { Instruments } = require('./instruments.js')
const { version } = require('../../../package.json')

/**
 * @typedef {import('@opentelemetry/api').Context} Context
 * @typedef {import('@opentelemetry/api').Link} Link
 * @typedef {import('@opentelemetry/api').Span} Span
 * @typedef {import('@opentelemetry/api').TracerProvider} TracerProvider
 * @typedef {import('../../../index').SendTrace} SendTrace
 * @typedef {import('../../../index').ProcessTrace} ProcessTrace
 * @typedef {import('../../../otel').RocketMQInstrumentationConfig} Config
 */

const NAME = 'rocketmq-orderly'

/** Properties without a value cannot be sent. */
const setter = {
  /**
   * @param {Record<string, string>} properties
   * @param {string} name
   * @param {string} value
   */
  set(properties, name, value) {
    if (value !== '') properties[name] = value
  },
}
const getter = {
  /** @param {Record<string, string>} properties */
  keys: (properties) => Object.keys(properties),
  /**
   * @param {Record<string, string>} properties
   * @param {string} name
   */
  get: (properties, name) => properties[name],
}

/** @param {unknown} given */
function checked(given = {}) {
  const { enabled = true, parent = false } = check.record('config', given, ['enabled', 'parent'])
  check.optionalBoolean('config.enabled', enabled)
  check.optionalBoolean('config.parent', parent)
  return /** @type {{ enabled: boolean, parent: boolean }} */ ({ enabled, parent })
}

/** What OpenTelemetry calls an instrumentation, as its `registerInstrumentations` takes them. */
class RocketMQInstrumentation {
  instrumentationName = NAME
  instrumentationVersion = version
  #config
  #isEnabled = false
  /** @type {TracerProvider | undefined} */
  #tracerProvider
  #instruments = new Instruments(NAME, version)
  /** Operations under way. @type {WeakMap<object, { span: Span, began: number }>} */
  #underWay = new WeakMap()
  #sends = this.#subscriber(
    (/** @type {SendTrace} */ trace) => this.#sending(trace),
    (/** @type {SendTrace} */ trace) => this.#sent(trace),
  )
  #calls = this.#subscriber(
    (/** @type {ProcessTrace} */ trace) => this.#processing(trace),
    (/** @type {ProcessTrace} */ trace) => this.#processed(trace),
  )

  /** @param {Config} [config] */
  constructor(config) {
    this.#config = checked(config)
    if (this.#config.enabled) this.enable()
  }

  enable() {
    if (this.#isEnabled) return
    this.#isEnabled = true
    tracingChannel(CHANNELS.send).subscribe(/** @type {any} */ (this.#sends))
    tracingChannel(CHANNELS.process).subscribe(/** @type {any} */ (this.#calls))
  }

  disable() {
    if (!this.#isEnabled) return
    this.#isEnabled = false
    tracingChannel(CHANNELS.send).unsubscribe(/** @type {any} */ (this.#sends))
    tracingChannel(CHANNELS.process).unsubscribe(/** @type {any} */ (this.#calls))
  }

  /** @param {TracerProvider} provider */
  setTracerProvider(provider) {
    this.#tracerProvider = provider
  }

  /** @param {import('@opentelemetry/api').MeterProvider} provider */
  setMeterProvider(provider) {
    this.#instruments.use(provider)
  }

  /** @param {Config} [config] */
  setConfig(config) {
    this.#config = checked(config)
  }

  getConfig() {
    return { ...this.#config }
  }

  get #tracer() {
    return (this.#tracerProvider ?? api).getTracer(NAME, version)
  }

  /**
   * Subscribers that disturb nobody: what they throw is OpenTelemetry's business.
   * @template T
   * @param {(trace: T) => void} start
   * @param {(trace: T) => void} asyncEnd
   */
  #subscriber(start, asyncEnd) {
    return { start: guarded(start), asyncEnd: guarded(asyncEnd) }
  }

  // ------------------------------------------------------------- sends

  /** @param {SendTrace} trace */
  #sending(trace) {
    const messages = trace.messages ?? [trace.message]
    // One who has made a context of their own for a message, or forwards one, finds it behind the send.
    const links = linksOf(messages)
    const options = { kind: SpanKind.PRODUCER, links, attributes: attributes.ofSpan('send', trace) }
    const span = this.#tracer.startSpan(`send ${trace.topic}`, options, context.active())
    this.#underWay.set(trace, { span, began: now() })
    const creation = api.setSpan(context.active(), span)
    for (const { properties } of messages) propagation.inject(creation, properties, setter)
  }

  /** @param {SendTrace} trace */
  #sent(trace) {
    this.#over('send', trace, 'sending', 'sent')
  }

  // ------------------------------------------------------------- handler calls

  /** @param {ProcessTrace} trace */
  #processing(trace) {
    const messages = trace.messages ?? [trace.message]
    const links = linksOf(messages)
    const options = { kind: SpanKind.CONSUMER, links, attributes: attributes.ofSpan('process', trace) }
    const parent = links.length === 0 ? undefined : this.#parentOf(messages)
    const span = this.#tracer.startSpan(`process ${trace.topic}`, { ...options, root: parent === undefined }, parent)
    this.#underWay.set(trace, { span, began: now() })
    const within = api.setSpan(withBaggage(parent ?? context.active(), messages), span)
    const own = /** @type {{ [RUN]?: (handle: () => unknown) => unknown }} */ (trace)
    const outer = own[RUN]
    own[RUN] = (handle) => context.with(within, outer === undefined ? handle : () => outer(handle))
  }

  /**
   * The context of the message's creator, which there is, if it is to be the parent; else none: handlers begin in the context of `start()`, whose span
   * is over long since.
   * @param {readonly { properties: Readonly<Record<string, string>> }[]} messages
   */
  #parentOf(messages) {
    if (!this.#config.parent || messages.length > 1) return undefined
    return propagation.extract(context.active(), messages[0].properties, getter)
  }

  /** @param {ProcessTrace} trace */
  #processed(trace) {
    this.#over('process', trace, 'processing', 'consumed')
  }

  // ------------------------------------------------------------- both

  /**
   * Ends the span, and measures, of an operation whose beginning we have seen.
   * @param {'send' | 'process'} operation
   * @param {SendTrace | ProcessTrace} trace
   * @param {'sending' | 'processing'} duration
   * @param {'sent' | 'consumed'} count
   */
  #over(operation, trace, duration, count) {
    const began = this.#end(trace)
    if (began === undefined) return
    const instruments = this.#instruments.now
    const measured = attributes.ofMetric(operation, trace)
    instruments[duration].record((now() - began) / 1000, measured)
    const { 'messaging.operation.type': _type, ...counted } = measured
    instruments[count].add(trace.messages?.length ?? 1, counted)
  }

  /**
   * @param {SendTrace | ProcessTrace} trace
   * @returns {number | undefined} when it began, if we have seen that
   */
  #end(trace) {
    const known = this.#underWay.get(trace)
    if (known === undefined) return undefined
    const { span, began } = known
    this.#underWay.delete(trace)
    span.setAttributes(attributes.ofEnd(trace))
    const type = attributes.errorType(trace)
    if (type !== undefined) {
      const { error } = trace
      if (error instanceof Error) span.recordException(error)
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : type })
    }
    span.end()
    return began
  }
}

/**
 * To those who have created the messages.
 * @param {readonly { properties: Readonly<Record<string, string>> }[]} messages
 * @returns {Link[]}
 */
function linksOf(messages) {
  return messages.flatMap(({ properties }) => {
    const creator = api.getSpanContext(propagation.extract(NOBODYS, properties, getter))
    return creator === undefined ? [] : [{ context: creator }]
  })
}

/**
 * @param {Context} within
 * @param {readonly { properties: Readonly<Record<string, string>> }[]} messages
 */
function withBaggage(within, messages) {
  if (messages.length > 1) return within
  const baggage = propagation.getBaggage(propagation.extract(NOBODYS, messages[0].properties, getter))
  return baggage === undefined ? within : propagation.setBaggage(within, baggage)
}

/**
 * @template T
 * @param {(trace: T) => void} observe
 * @returns {(trace: T) => void}
 */
function guarded(observe) {
  return (trace) => {
    try {
      observe(trace)
    } catch (error) {
      diag.error(`${NAME}: an observer has failed`, error)
    }
  }
}

module.exports = { RocketMQInstrumentation }
