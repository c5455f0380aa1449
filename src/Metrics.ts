/**
 * What Hookline measures of itself while it works: counted in the process that did it, since its start, and read by whatever
 * exports effect's metrics. No tenant and no subscription is a label: there may be any number of them.
 */
import { type Context, Metric } from "effect"

/**
 * Messages that were routed, by event. An emit whose transaction rolls back is none.
 *
 * @category metrics
 * @since 0.1.0
 */
export const messagesRouted = Metric.counter("hookline_messages_routed_total", {
  description: "Messages that were matched with the subscriptions",
  incremental: true
})

/**
 * Attempts whose outcome was recorded, by provider and outcome.
 *
 * @category metrics
 * @since 0.1.0
 */
export const attempts = Metric.counter("hookline_attempts_total", {
  description: "Attempts to deliver, recorded",
  incremental: true
})

/**
 * How long those took, in seconds, by provider.
 *
 * @category metrics
 * @since 0.1.0
 */
export const attemptSeconds = Metric.histogram("hookline_attempt_duration_seconds", {
  description: "How long an attempt to deliver took",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
})

/**
 * Deliveries that an attempt has ended, by provider and status.
 *
 * @category metrics
 * @since 0.1.0
 */
export const deliveries = Metric.counter("hookline_deliveries_total", {
  description: "Deliveries that an attempt has ended",
  incremental: true
})

/**
 * Payloads that a local channel dropped because its slowest listener had fallen behind, by event.
 *
 * @category metrics
 * @since 0.1.0
 */
export const channelDropped = Metric.counter("hookline_channel_dropped_total", {
  description: "Payloads dropped by local channels for slow listeners",
  incremental: true
})

/**
 * Whether the runner does what is due, 1 or 0; as of the last reading.
 *
 * @category metrics
 * @since 0.1.0
 */
export const ready = Metric.gauge("hookline_ready", { description: "Whether this runner does what is due" })

/**
 * Worker groups that the runner owns; as of the last reading.
 *
 * @category metrics
 * @since 0.1.0
 */
export const dispatchers = Metric.gauge("hookline_dispatchers", { description: "Worker groups that this runner owns" })

/**
 * Worker groups with due work that is in nobody's hands, in the whole cluster; as of the last reading.
 *
 * @category metrics
 * @since 0.1.0
 */
export const dueGroups = Metric.gauge("hookline_due_worker_groups", {
  description: "Worker groups of the cluster with due work that is in nobody's hands"
})

/**
 * For how long the oldest such work is due, in seconds, 0 where there is none; as of the last reading.
 *
 * @category metrics
 * @since 0.1.0
 */
export const oldestDueSeconds = Metric.gauge("hookline_oldest_due_seconds", {
  description: "For how long the oldest due work of the cluster has been in nobody's hands"
})

/**
 * Counts under labels whose values are few: each set of them is made once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const labelled = <State>(
  metric: Metric.Metric<number, State>,
  context: Context.Context<never>,
  ...names: ReadonlyArray<string>
): (value: number, ...labels: ReadonlyArray<string>) => void => {
  const known = new Map<string, Metric.Metric<number, State>>()
  return (value, ...labels) => {
    const key = labels.join("\n")
    let found = known.get(key)
    if (found === undefined) {
      const attributes = Object.fromEntries(names.map((name, n) => [name, labels[n] ?? ""]))
      found = Metric.withAttributes(metric, attributes)
      known.set(key, found)
    }
    found.updateUnsafe(value, context)
  }
}
