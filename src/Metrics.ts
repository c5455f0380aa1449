/**
 * What Hookline measures of itself: counted in the process that did it, since its start, or read when somebody asks. Whatever
 * exports effect's metrics reads it. No tenant and no subscription is a label: there may be any number of them.
 * `docs/metrics.md` says what each means.
 */
import { Context, Effect, Metric } from "effect"

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

const gauge = (name: string, description: string) => Metric.gauge(name, { description })

/**
 * What happens to messages and deliveries: counted by the runner that does it.
 *
 * @category metrics
 * @since 0.1.0
 */
export const messagesRouted = counter(
  "hookline_messages_routed_total",
  "Messages that were matched with the subscriptions"
)
/** By provider and outcome. @category metrics @since 0.1.0 */
export const attempts = counter("hookline_attempts_total", "Attempts to deliver, recorded")
/** By provider. @category metrics @since 0.1.0 */
export const attemptSeconds = Metric.histogram("hookline_attempt_duration_seconds", {
  description: "How long an attempt to deliver took",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
})
/** By provider and status. @category metrics @since 0.1.0 */
export const deliveries = counter("hookline_deliveries_total", "Deliveries that an attempt has ended")
/** By event. @category metrics @since 0.1.0 */
export const channelDropped = counter(
  "hookline_channel_dropped_total",
  "Payloads dropped by local channels for slow listeners"
)
/** By method and status. @category metrics @since 0.1.0 */
export const httpRequests = counter("hookline_http_requests_total", "Requests that the HTTP API has answered")

/**
 * The statements of the pump, by the name of each.
 *
 * @category metrics
 * @since 0.1.0
 */
export const statementSeconds = Metric.histogram("hookline_statement_duration_seconds", {
  description: "How long a statement of the pump took, waiting for a connection included",
  boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})
/** @category metrics @since 0.1.0 */
export const statementRows = Metric.histogram("hookline_statement_rows", {
  description: "How many messages or deliveries a statement of the pump was for",
  boundaries: [0, 1, 2, 5, 10, 20, 50, 100, 200, 500]
})
/** @category metrics @since 0.1.0 */
export const statementFailures = counter(
  "hookline_statement_failures_total",
  "Statements of the pump without an answer, which count as lost"
)
/** @category metrics @since 0.1.0 */
export const routesStale = counter(
  "hookline_routes_stale_total",
  "Routings that were made again because a subscription had changed"
)

/**
 * Ownership.
 *
 * @category metrics
 * @since 0.1.0
 */
export const takeOvers = counter("hookline_take_overs_total", "Worker groups that this runner took over")
/** @category metrics @since 0.1.0 */
export const ownershipsLost = counter(
  "hookline_ownerships_lost_total",
  "Worker groups that another runner took over while this one believed to own them"
)
/** @category metrics @since 0.1.0 */
export const outcomesFenced = counter(
  "hookline_outcomes_fenced_total",
  "Outcomes that were not recorded, as another runner owned their group by then"
)

/**
 * What is in this runner's memory, as it is when it is read.
 *
 * @category metrics
 * @since 0.1.0
 */
export const inMemory = gauge(
  "hookline_deliveries_in_memory",
  "Deliveries in this runner's memory, whatever their stage"
)
/** @category metrics @since 0.1.0 */
export const windowBytes = gauge(
  "hookline_window_bytes",
  "Size of the payloads of those deliveries, about: each character counts as one"
)
/** @category metrics @since 0.1.0 */
export const waitingInLanes = gauge(
  "hookline_deliveries_waiting",
  "Of those deliveries, the ones that wait in their lanes"
)
/** @category metrics @since 0.1.0 */
export const messagesExpress = gauge(
  "hookline_messages_express",
  "Messages whose deliveries are attempted before their routing is written"
)
/** @category metrics @since 0.1.0 */
export const messagesHanded = gauge(
  "hookline_messages_handed_over",
  "Messages that this process has stored and not routed yet, and need not read"
)
/** @category metrics @since 0.1.0 */
export const inFlight = gauge("hookline_attempts_in_flight", "Attempts under way")
/** @category metrics @since 0.1.0 */
export const outcomesQueued = gauge("hookline_outcomes_queued", "Outcomes that wait to be recorded")
/** @category metrics @since 0.1.0 */
export const releasesQueued = gauge("hookline_releases_queued", "Claims that wait to be given back")
/** @category metrics @since 0.1.0 */
export const suspects = gauge("hookline_suspects", "Deliveries in memory that were claimed twice without an outcome")
/** @category metrics @since 0.1.0 */
export const emitsQueued = gauge("hookline_emits_queued", "Emits that wait for the next shared commit")
/** @category metrics @since 0.1.0 */
export const lanes = gauge("hookline_lanes", "Subscriptions that this runner has something in memory of")
/** @category metrics @since 0.1.0 */
export const lanesSlow = gauge("hookline_lanes_slow", "Lanes whose endpoint hangs")
/** @category metrics @since 0.1.0 */
export const lanesBacklog = gauge("hookline_lanes_backlog", "Lanes that have more in the database")
/** @category metrics @since 0.1.0 */
export const lanesOpen = gauge("hookline_lanes_open", "Lanes whose circuit is open")
/** @category metrics @since 0.1.0 */
export const lanesHalfOpen = gauge("hookline_lanes_half_open", "Lanes whose circuit lets one attempt through")
/** @category metrics @since 0.1.0 */
export const groupsAttached = gauge("hookline_groups_attached", "Worker groups in this runner's hands")
/** @category metrics @since 0.1.0 */
export const groupsUnrouted = gauge(
  "hookline_groups_unrouted",
  "Worker groups in this runner's hands with messages to route"
)
/** @category metrics @since 0.1.0 */
export const leaseSeconds = gauge("hookline_lease_remaining_seconds", "For how long this runner may begin attempts")
/** @category metrics @since 0.1.0 */
export const egressPools = gauge("hookline_egress_pools", "Origins that this runner keeps connections for")
/** @category metrics @since 0.1.0 */
export const egressConnections = gauge("hookline_egress_connections", "Connections to them")
/** @category metrics @since 0.1.0 */
export const egressQueued = gauge(
  "hookline_egress_requests_queued",
  "Requests that wait for a connection to their origin"
)

/**
 * What this runner says of itself, and the database of the cluster, as of the last reading; see `Readings`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const ready = gauge("hookline_ready", "Whether this runner does what is due")
/** @category metrics @since 0.1.0 */
export const dispatchers = gauge("hookline_dispatchers", "Worker groups that this runner owns")
/** @category metrics @since 0.1.0 */
export const runners = gauge("hookline_runners", "Runners of the cluster that are alive")
/** @category metrics @since 0.1.0 */
export const shards = gauge("hookline_shards", "Shards of the cluster")
/** @category metrics @since 0.1.0 */
export const shardsHeld = gauge("hookline_shards_held", "Shards that runners which are alive hold")
/** @category metrics @since 0.1.0 */
export const codeMissing = gauge(
  "hookline_code_missing",
  "Events and providers that are needed and that some runner lacks"
)
/** @category metrics @since 0.1.0 */
export const dueGroups = gauge(
  "hookline_due_worker_groups",
  "Worker groups of the cluster with due work that is in nobody's hands"
)
/** @category metrics @since 0.1.0 */
export const oldestDueSeconds = gauge(
  "hookline_oldest_due_seconds",
  "For how long the oldest due work of the cluster has been in nobody's hands"
)
/** @category metrics @since 0.1.0 */
export const inboxMessages = gauge("hookline_inbox_messages", "Messages that wait to be routed")
/** @category metrics @since 0.1.0 */
export const messagesSetAside = gauge("hookline_messages_set_aside", "Messages whose routing failed")
/** @category metrics @since 0.1.0 */
export const workWaiting = gauge(
  "hookline_work_waiting",
  "Unfinished deliveries that no runner has claimed, due or not"
)
/** @category metrics @since 0.1.0 */
export const workClaimed = gauge("hookline_work_claimed", "Deliveries that runners have claimed")
/** @category metrics @since 0.1.0 */
export const subscriptionsFailing = gauge(
  "hookline_subscriptions_failing",
  "Subscriptions whose last attempt was not accepted"
)
/** @category metrics @since 0.1.0 */
export const circuitsOpen = gauge("hookline_circuits_open", "Subscriptions whose circuit is open")
/** @category metrics @since 0.1.0 */
export const partitionsAhead = gauge(
  "hookline_partitions_ahead_seconds",
  "For how long the database has partitions that take what comes"
)

/**
 * Reads a gauge from where its value is, whenever somebody asks for it, while the scope is open. Where a process has several
 * of a kind, the last one is read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const watch = Effect.fnUntraced(function*(gauge: Metric.Gauge<number>, read: () => number) {
  const context = yield* Effect.context<never>()
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      Metric.registerUnsafe(gauge, context, { get: () => ({ value: read() }), update: () => {}, modify: () => {} })
    ),
    (registration) => Effect.sync(() => registration.remove())
  )
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
  const common = Context.get(context, Metric.CurrentMetricAttributes)
  const known = new Map<string, Context.Context<never>>()
  return (value, ...labels) => {
    const key = labels.join("\n")
    let found = known.get(key)
    if (found === undefined) {
      const attributes = Object.fromEntries(names.map((name, n) => [name, labels[n] ?? ""]))
      // Kept, as a metric makes the name of a series anew for attributes that are not those of its last update.
      found = Context.add(context, Metric.CurrentMetricAttributes, { ...common, ...attributes })
      known.set(key, found)
    }
    metric.updateUnsafe(value, found)
  }
}
