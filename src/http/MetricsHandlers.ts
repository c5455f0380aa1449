/**
 * The endpoint of a runner's measurements.
 */
import { Effect, Metric } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Members } from "../Members.ts"
import * as Metrics from "../Metrics.ts"
import { Api } from "./Api.ts"
import { unavailable } from "./Problem.ts"

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
    return handlers.handle("read", () =>
      Effect.gen(function*() {
        const { ready } = yield* members.readiness
        const { due, members: all, nowMs, self } = yield* Effect.mapError(members.overview, unavailable)
        yield* Metric.update(Metrics.ready, ready ? 1 : 0)
        yield* Metric.update(Metrics.dispatchers, all.find(({ id }) => id === self)?.dispatchers ?? 0)
        yield* Metric.update(Metrics.dueGroups, due.groups)
        yield* Metric.update(
          Metrics.oldestDueSeconds,
          due.oldestAtMs === undefined ? 0 : Math.max(0, nowMs - due.oldestAtMs) / 1000
        )
        return yield* PrometheusMetrics.format()
      }))
  })
)
