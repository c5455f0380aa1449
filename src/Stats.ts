/**
 * Statistics for people: how deliveries ended within the last hours, by event, provider and subscription and as a series, and
 * how many wait now. They are sums that were kept when outcomes were recorded: no history is read for them.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { Limits } from "./Limits.ts"
import { type CountFilter, type Counts, Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"
import { none, type Tally } from "./Tally.ts"

// -- models

/** @category models @since 0.1.0 */
export interface StatsReport extends Counts {
  /** When the first step of the series begins: at least so many hours ago as were asked for. */
  readonly fromMs: number
  readonly toMs: number
  /** The length of the series' steps; each of them is there, the last of them not over. */
  readonly stepMs: number
  readonly series: ReadonlyArray<Tally & { readonly atMs: number }>
}

// -- errors

/**
 * The question is refused: the caller's fault, at a field.
 *
 * @category errors
 * @since 0.1.0
 */
export class StatsRefused extends Schema.TaggedError<StatsRefused>()("StatsRefused", {
  path: Schema.String,
  message: Schema.String
}) {}

// -- service

/**
 * Statistics.
 *
 * @category services
 * @since 0.1.0
 */
export class Stats extends Context.Service<Stats, {
  /** What is counted of the last hours, `Limits.statsHoursDefault` when left out. */
  readonly get: (
    filter: CountFilter,
    hours?: number
  ) => Effect.Effect<StatsReport, StatsRefused | StorageUnavailable>
}>()("hookline/Stats") {}

// -- layers

/**
 * Layer of the statistics.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Stats, never, Storage> = Layer.effect(
  Stats,
  Effect.gen(function*() {
    const storage = yield* Storage
    const limits = yield* Limits
    return Stats.of({
      get: Effect.fn("Stats.get")(function*(filter, hours = limits.statsHoursDefault) {
        if (!Number.isInteger(hours) || hours < 1 || hours > limits.statsHours) {
          return yield* new StatsRefused({
            path: "hours",
            message: `Expected a whole number of hours from 1 to ${limits.statsHours}`
          })
        }
        const toMs = yield* storage.now
        const fine = hours <= limits.statsFineHours
        const stepMs = fine ? limits.statsFineStepMs : limits.statsStepMs
        const begin = (ms: number) => Math.floor(ms / stepMs) * stepMs
        const fromMs = begin(toMs - hours * 60 * 60 * 1000)
        const counts = yield* storage.count(filter, {
          fromMs,
          fine,
          top: limits.statsTop,
          counted: limits.statsCounted
        })
        const known = new Map(counts.series.map((one) => [one.atMs, one]))
        // What was recorded since the clock was read may be of a later step.
        const lastMs = Math.max(begin(toMs), counts.series.at(-1)?.atMs ?? 0)
        const series = Array.from({ length: (lastMs - fromMs) / stepMs + 1 }, (_, i) => {
          const atMs = fromMs + i * stepMs
          return known.get(atMs) ?? { atMs, ...none }
        })
        return { ...counts, fromMs, toMs, stepMs, series }
      })
    })
  })
)
