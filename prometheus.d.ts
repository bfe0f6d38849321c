// rocketmq-orderly/prometheus: metrics of producers and consumers in a registry of `prom-client`, which is yours.
import type { Producer, PushConsumer } from './index.js'

/** What is used of a `Registry` of `prom-client`. */
export interface MetricRegistry {
  /** Takes a metric in. */
  registerMetric(metric: any): void
  /** A metric by its name. */
  getSingleMetric(name: string): unknown
}

/** Where metrics go. */
export interface RegisterOptions {
  /** A `Registry` of `prom-client`, such as its `register`. */
  registry: MetricRegistry
  /** More labels for all metrics of this client, such as `{ service: 'billing' }`. `group` and `topic` are there by themselves. Default: none. */
  labels?: Readonly<Record<string, string>> | undefined
}

/**
 * Adds the metrics of a client to a registry: what has happened is counted from now on, what is so is asked for on each scrape. They are the
 * metrics `rocketmq_orderly_…` of docs/observing.md; none has a sharding key as a label. Clients of the same labels share them. When the client is closed, or
 * the function that this returns is called, its gauges are gone, and its counters stay. Throws `ERR_ROCKETMQ_INVALID_ARGUMENT`, also for a client that is in
 * this registry already.
 *
 * @example
 * ```ts
 * import { register as registry } from 'prom-client'
 * import { register } from 'rocketmq-orderly/prometheus'
 *
 * register(consumer, { registry, labels: { service: 'billing' } })
 * register(producer, { registry })
 * console.log(await registry.metrics())
 * ```
 */
export function register(client: Producer | PushConsumer, options: RegisterOptions): () => void
