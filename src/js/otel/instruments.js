'use strict'
// The metrics, as OpenTelemetry's semantic conventions for messaging name them.

const { metrics } = require('@opentelemetry/api')

/** In seconds; what the conventions ask for. */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/**
 * @param {import('@opentelemetry/api').Meter} meter
 */
function make(meter) {
  const seconds = { unit: 's', advice: { explicitBucketBoundaries: BOUNDARIES } }
  const messages = { unit: '{message}' }
  return {
    sending: meter.createHistogram('messaging.client.operation.duration', {
      ...seconds,
      description: 'Duration of messaging operation initiated by a producer or consumer client.',
    }),
    sent: meter.createCounter('messaging.client.sent.messages', {
      ...messages,
      description: 'Number of messages producer attempted to send to the broker.',
    }),
    processing: meter.createHistogram('messaging.process.duration', {
      ...seconds,
      description: 'Duration of processing operation.',
    }),
    consumed: meter.createCounter('messaging.client.consumed.messages', {
      ...messages,
      description: 'Number of messages that were delivered to the application.',
    }),
  }
}

/** Those of the meter provider that there is: the API gives a global one no proxy, and it may come late. */
class Instruments {
  /** @type {import('@opentelemetry/api').MeterProvider | undefined} */
  #given
  /** @type {import('@opentelemetry/api').MeterProvider | undefined} */
  #of
  /** @type {ReturnType<typeof make> | undefined} */
  #made
  #name
  #version

  /**
   * @param {string} name
   * @param {string} version
   */
  constructor(name, version) {
    this.#name = name
    this.#version = version
  }

  /** @param {import('@opentelemetry/api').MeterProvider} provider */
  use(provider) {
    this.#given = provider
  }

  get now() {
    const provider = this.#given ?? metrics.getMeterProvider()
    if (this.#made === undefined || this.#of !== provider) {
      this.#of = provider
      this.#made = make(provider.getMeter(this.#name, this.#version))
    }
    return this.#made
  }
}

module.exports = { Instruments }
