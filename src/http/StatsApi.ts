/**
 * The contract of statistics.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { SubscriptionId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import { Refused, Unavailable } from "./Problem.ts"
import { Name } from "./Shapes.ts"

const tally = {
  success: Schema.Number,
  failed: Schema.Number,
  cancelled: Schema.Number,
  attempts: Schema.Number
}

/** With how many ended in all. */
const volume = { deliveries: Schema.Number, ...tally }

/** @category schemas @since 0.1.0 */
export const StatsView = Schema.Struct({
  from: Schema.String,
  to: Schema.String,
  /** Length of a step of the series. */
  stepMs: Schema.Number,
  /** Of what ended since `from`; and, as they are now, what waits. */
  totals: Schema.Struct({
    ...volume,
    pending: Schema.Number,
    retrying: Schema.Number,
    /** There may be more that wait: not all were looked at. */
    waitingAtLeast: Schema.Boolean
  }),
  byEvent: Schema.Array(Schema.Struct({ eventId: Schema.String, ...volume })),
  byProvider: Schema.Array(Schema.Struct({ providerId: Schema.String, ...volume })),
  bySubscription: Schema.Array(Schema.Struct({
    subscriptionId: SubscriptionId,
    name: Schema.String,
    providerId: Schema.String,
    ...volume
  })),
  /** Every step since `from`, oldest first; the last one is not over. */
  series: Schema.Array(Schema.Struct({ at: Schema.String, ...tally }))
}).annotate({ identifier: "Stats" })

/**
 * Statistics.
 *
 * @category groups
 * @since 0.1.0
 */
export class StatsGroup extends HttpApiGroup.make("stats").add(
  HttpApiEndpoint.get("get", "/stats", {
    query: {
      hours: Schema.optionalKey(
        Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: defaults.statsHours }))
      ),
      tenantId: Schema.optionalKey(Name),
      eventId: Schema.optionalKey(Name),
      providerId: Schema.optionalKey(Name),
      subscriptionId: Schema.optionalKey(SubscriptionId)
    },
    success: StatsView,
    error: [Refused, Unavailable]
  }).annotateMerge(described({
    summary: "Read statistics",
    description:
      "How deliveries ended within some hours, and what waits now: in all, by event, provider and subscription, and " +
      "step by step. Kept when outcomes are recorded, so that they outlive the deliveries.",
    answer: Examples.stats
  }))
).annotateMerge(OpenApi.annotations({ description: "How deliveries end." })) {}
