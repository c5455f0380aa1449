/**
 * The endpoint of a runner's measurements.
 */
import { Effect, Metric, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Limits } from "../Limits.ts"
import type { Member } from "../Member.ts"
import { Members, type Overview } from "../Members.ts"
import * as Metrics from "../Metrics.ts"
import { Api } from "./Api.ts"

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "metrics",
  Effect.fnUntraced(function*(handlers) {
    const members = yield* Members
    const limits = yield* Limits
    return handlers.handle("read", () =>
      Effect.gen(function*() {
        const { ready } = yield* members.readiness
        // What this process has counted is told whatever the database does, and within the time of a scrape.
        const found = yield* Effect.option(Effect.timeout(members.overview, limits.metricsMs))
        yield* Metric.update(Metrics.ready, ready ? 1 : 0)
        yield* Metric.update(Metrics.dispatchers, known(found, (all) => ownedBy(all.self, all.members)))
        yield* Metric.update(Metrics.dueGroups, known(found, ({ due }) => due.groups))
        yield* Metric.update(Metrics.oldestDueSeconds, known(found, ageSeconds))
        return yield* PrometheusMetrics.format()
      }))
  })
)

// --- internal ---

/** A number that nobody can tell now is none. */
const known = <A>(found: Option.Option<A>, read: (found: A) => number): number =>
  Option.match(found, { onNone: () => Number.NaN, onSome: read })

const ownedBy = (self: Overview["self"], members: ReadonlyArray<Member>): number =>
  members.find(({ id }) => id === self)?.dispatchers ?? 0

const ageSeconds = ({ due, nowMs }: Overview): number =>
  due.oldestAtMs === undefined ? 0 : Math.max(0, nowMs - due.oldestAtMs) / 1000
