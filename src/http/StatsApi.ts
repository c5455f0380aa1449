/**
 * The contract of statistics.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { SubscriptionId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import { told } from "../Told.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import { Refused, Unavailable } from "./Problem.ts"
import { Name } from "./Shapes.ts"
import { Time } from "./Time.ts"

const tally = {
  success: Schema.Number.pipe(told("Those that were accepted")),
  failed: Schema.Number.pipe(told("Those that failed for good")),
  cancelled: Schema.Number.pipe(told("Those that were cancelled")),
  attempts: Schema.Number.pipe(told("Attempts that were made"))
}

/** With how many ended in all. */
const volume = { deliveries: Schema.Number.pipe(told("How many ended in all")), ...tally }

/** @category schemas @since 0.1.0 */
export const StatsView = Schema.Struct({
  from: Time.pipe(told("What ended since")),
  to: Time.pipe(told("What ended until")),
  stepMs: Schema.Number.pipe(told("Length of a step of the series, in milliseconds")),
  totals: Schema.Struct({
    ...volume,
    pending: Schema.Number.pipe(told("What waits for its first attempt now")),
    retrying: Schema.Number.pipe(told("What waits for a further attempt now")),
    waitingAtLeast: Schema.Boolean.pipe(told("There may be more that wait: not all were looked at"))
  }).pipe(told("Of what ended since `from`; and, as they are now, what waits")),
  byEvent: Schema.Array(Schema.Struct({ eventId: Schema.String.pipe(told("The event")), ...volume })).pipe(
    told("The events with the most deliveries")
  ),
  byProvider: Schema.Array(Schema.Struct({ providerId: Schema.String.pipe(told("The provider")), ...volume })).pipe(
    told("The providers with the most deliveries")
  ),
  bySubscription: Schema.Array(Schema.Struct({
    subscriptionId: SubscriptionId.pipe(told("The subscription")),
    name: Schema.String.pipe(told("Its name")),
    providerId: Schema.String.pipe(told("Its provider")),
    ...volume
  })).pipe(told("The subscriptions with the most deliveries")),
  series: Schema.Array(Schema.Struct({ at: Time.pipe(told("When the step begins")), ...tally })).pipe(
    told("Every step since `from`, oldest first; the last one is not over")
  )
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
