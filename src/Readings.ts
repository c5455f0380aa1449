/**
 * What is measured by asking: what the database has to say of the cluster's work, and what this runner says of itself. It is
 * asked when somebody reads the metrics, and costs nothing in between.
 */
import { Effect, Layer, Metric, Option, Schedule } from "effect"
import { Limits } from "./Limits.ts"
import type { Member } from "./Member.ts"
import { Members, type Overview } from "./Members.ts"
import * as Metrics from "./Metrics.ts"
import { type Depths, Storage } from "./Storage.ts"

/**
 * Makes what sets the gauges: within `Limits.metricsMs`, whatever the database does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const members = yield* Members
  const storage = yield* Storage
  const limits = yield* Limits
  const within = <A, E>(reading: Effect.Effect<A, E>) => Effect.option(Effect.timeout(reading, limits.metricsMs))
  return Effect.gen(function*() {
    const { ready } = yield* members.readiness
    const [overview, depths] = yield* Effect.all([
      within(members.overview),
      within(storage.depths(limits.metricsCounted))
    ], { concurrency: 2 })
    yield* Metric.update(Metrics.ready, ready ? 1 : 0)
    for (const [gauge, read] of ofOverview) yield* Metric.update(gauge, known(overview, read))
    for (const [gauge, read] of ofDepths) yield* Metric.update(gauge, known(depths, read))
  })
})

/**
 * Layer that reads every `Limits.metricsIntervalMs`, for a collector that is told and does not ask.
 *
 * @category layers
 * @since 0.1.0
 */
export const regularly: Layer.Layer<never, never, Members | Storage> = Layer.effectDiscard(
  Effect.gen(function*() {
    const read = yield* make
    const { metricsIntervalMs } = yield* Limits
    yield* Effect.forkScoped(Effect.repeat(read, Schedule.spaced(metricsIntervalMs)))
  })
)

// --- internal ---

/** A number that nobody can tell now is none. */
const known = <A>(found: Option.Option<A>, read: (found: A) => number): number =>
  Option.match(found, { onNone: () => Number.NaN, onSome: read })

type Gauge = Metric.Gauge<number>

const ofOverview: ReadonlyArray<readonly [Gauge, (found: Overview) => number]> = [
  [Metrics.dispatchers, ({ members, self }) => ownedBy(self, members)],
  [Metrics.runners, ({ members }) => members.filter(({ alive }) => alive).length],
  [Metrics.shards, ({ shards }) => shards.total],
  [Metrics.shardsHeld, ({ shards }) => shards.held],
  [Metrics.codeMissing, ({ codeMissing }) => codeMissing.length],
  [Metrics.dueGroups, ({ due }) => due.groups],
  [Metrics.oldestDueSeconds, ({ due, nowMs }) => ageSeconds(due.oldestAtMs, nowMs)]
]

const ofDepths: ReadonlyArray<readonly [Gauge, (found: Depths) => number]> = [
  [Metrics.inboxMessages, ({ unrouted }) => unrouted],
  [Metrics.messagesSetAside, ({ setAside }) => setAside],
  [Metrics.workWaiting, ({ waiting }) => waiting],
  [Metrics.workClaimed, ({ claimed }) => claimed],
  [Metrics.subscriptionsFailing, ({ failing }) => failing],
  [Metrics.circuitsOpen, ({ open }) => open],
  [Metrics.partitionsAhead, ({ partitionsAheadSeconds }) => partitionsAheadSeconds]
]

const ownedBy = (self: Overview["self"], members: ReadonlyArray<Member>): number =>
  members.find(({ id }) => id === self)?.dispatchers ?? 0

const ageSeconds = (atMs: number | undefined, nowMs: number): number =>
  atMs === undefined ? 0 : Math.max(0, nowMs - atMs) / 1000
