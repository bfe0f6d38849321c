// rocketmq-orderly/otel: spans and metrics for OpenTelemetry. It needs `@opentelemetry/api`, which is yours.
import type { MeterProvider, TracerProvider } from '@opentelemetry/api'

/** How {@link RocketMQInstrumentation} is to be. */
export interface RocketMQInstrumentationConfig {
  /** Whether it begins at once. Default: true. */
  enabled?: boolean | undefined
  /**
   * Whether the span of a handler call is a child of the span of the message's sender, in the same trace. Default: false, it begins a trace of its own.
   * Either way it has a link to that span. That of a batch has links alone.
   */
  parent?: boolean | undefined
}

/**
 * Makes spans and metrics of the channels of `rocketmq-orderly` (`CHANNELS`), for all clients of the process, by OpenTelemetry's semantic conventions for
 * messaging. Sends carry the context of their span as properties (`traceparent`, `tracestate`, and what else your propagator writes), and handlers
 * run in the context of theirs. It is an `Instrumentation` as `registerInstrumentations()` and `NodeSDK` take them; where it is made without them, it
 * uses the global providers, also those that are registered later.
 *
 * @example
 * ```ts
 * import { RocketMQInstrumentation } from 'rocketmq-orderly/otel'
 *
 * const instrumentation = new RocketMQInstrumentation({ parent: true }) // from here on
 * instrumentation.disable() // no longer
 * ```
 */
export class RocketMQInstrumentation {
  /** Begins at once, unless `enabled` is false. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT`. */
  constructor(config?: RocketMQInstrumentationConfig)
  /** `'rocketmq-orderly'`: the name of its tracer and its meter. */
  readonly instrumentationName: string
  /** The version of this package. */
  readonly instrumentationVersion: string
  /** Begins. */
  enable(): void
  /** Ends; what is under way is no longer told. */
  disable(): void
  /** Whose tracer to use, instead of the global one. */
  setTracerProvider(provider: TracerProvider): void
  /** Whose meter to use, instead of the global one. */
  setMeterProvider(provider: MeterProvider): void
  /** Replaces what the constructor was given; it neither begins nor ends. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT`. */
  setConfig(config?: RocketMQInstrumentationConfig): void
  /** What it was given, with the defaults. */
  getConfig(): RocketMQInstrumentationConfig
}
