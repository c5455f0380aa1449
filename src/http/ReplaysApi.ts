/**
 * The contract of replays.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { MessageId, ReplayId, SubscriptionId } from "../Id.ts"
import { ReplayReason, ReplayState, ReplayStatus } from "../Replay.ts"
import { told } from "../Told.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Conflict, NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed, id, Name, Text } from "./Shapes.ts"
import { IsoTime, Time } from "./Time.ts"

const filterFields = {
  subscriptionId: Schema.optionalKey(SubscriptionId).pipe(told("Deliveries of this subscription")),
  eventId: Schema.optionalKey(Name).pipe(told("Of this event")),
  messageId: Schema.optionalKey(MessageId).pipe(told("Of this message")),
  reason: Schema.optionalKey(ReplayReason).pipe(told("That ended for this reason"))
}

/** @category schemas @since 0.1.0 */
export const ReplayView = Schema.Struct({
  id: ReplayId.pipe(told("The replay's id")),
  tenantId: Schema.optionalKey(Schema.String).pipe(
    told("The only tenant whose deliveries are meant; left out where everybody's are")
  ),
  filter: Schema.Struct({
    ...filterFields,
    status: ReplayStatus.pipe(told("How they ended")),
    from: Schema.optionalKey(Time).pipe(told("Made at this time or later")),
    to: Schema.optionalKey(Time).pipe(told("Made at this time or before"))
  }).pipe(told("Which deliveries are meant")),
  freshWebhookId: Schema.Boolean.pipe(
    told("Whether receivers get a webhook-id of the replay's own, and so can't take it for a repetition")
  ),
  state: ReplayState.pipe(told("Whether it goes on")),
  counts: Schema.Struct({
    matched: Schema.Int.pipe(told("Deliveries that were meant")),
    replayed: Schema.Int.pipe(told("Those of them that are due again")),
    skipped: Schema.Int.pipe(told("Those whose subscription is gone, or what they would send")),
    notKept: Schema.Int.pipe(
      told("Of those skipped, the ones whose message is not kept any more, or whose body has expired")
    )
  }).pipe(told("So far")),
  reachedAt: Schema.optionalKey(Time).pipe(told("The time of the last delivery that it has come to")),
  createdAt: Time.pipe(told("When it was made")),
  updatedAt: Time.pipe(told("When it went on last")),
  completedAt: Schema.optionalKey(Time).pipe(told("When it ended"))
}).annotate({ identifier: "Replay" })

/** @category schemas @since 0.1.0 */
export const ReplayInput = Schema.Struct({
  filter: Schema.Struct({
    ...filterFields,
    status: Schema.optionalKey(ReplayStatus).pipe(told("How they ended; `failed` when left out")),
    from: Schema.optionalKey(IsoTime).pipe(told("Made at this time or later")),
    to: Schema.optionalKey(IsoTime).pipe(told("Made at this time or before"))
  }).pipe(told("Which deliveries are meant: at least one of `subscriptionId`, `eventId`, `messageId`, `from`")),
  tenantId: Schema.optionalKey(Text).pipe(told("Those of this tenant")),
  freshWebhookId: Schema.optionalKey(Schema.Boolean).pipe(
    told("Whether receivers get a webhook-id of the replay's own, and so can't take it for a repetition")
  ),
  dryRun: Schema.optionalKey(Schema.Boolean).pipe(told("Counts, and makes nothing"))
}).annotate({ identifier: "ReplayInput" })

/** @category schemas @since 0.1.0 */
export const ReplayCount = Schema.Struct({
  matched: Schema.Int.pipe(told("Deliveries that are meant")),
  isAtLeast: Schema.optionalKey(Schema.Literal(true)).pipe(told("Not all were looked at: there may be more"))
}).annotate({ identifier: "ReplayCount" })

const changing = { ...id, success: ReplayView, error: [NotFound, Conflict, Unavailable] }

/** @category groups @since 0.1.0 */
export class ReplaysGroup extends HttpApiGroup.make("replays").add(
  HttpApiEndpoint.post("create", "/replays", {
    payload: ReplayInput,
    success: [ReplayView.pipe(HttpApiSchema.status(201)), ReplayCount],
    error: [Refused, Conflict, Unavailable]
  }).annotateMerge(described({
    summary: "Replay deliveries",
    description: "Delivers again what has ended, as a job that survives restarts; with dryRun it only counts.",
    request: { filter: { subscriptionId: "sub_0198f3c1a2b37d4e8f90a1b2c3d4e5f6", from: "2026-01-31T12:00:00Z" } },
    answers: { 200: { matched: 512 }, 201: Examples.replay }
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("list", "/replays", {
    query: { ...Page.query, tenantId: Schema.optionalKey(Name), state: Schema.optionalKey(ReplayState) },
    success: Page.of(ReplayView),
    error: [Refused, Unavailable]
  }).annotateMerge(described({
    summary: "List replays",
    description: "Newest first.",
    answer: Examples.replays
  })),
  HttpApiEndpoint.get("get", "/replays/:id", { ...id, success: ReplayView, error: [NotFound, Unavailable] })
    .annotateMerge(described({
      summary: "Read a replay",
      description: "How far it has come.",
      answer: Examples.replay
    })),
  HttpApiEndpoint.post("pause", "/replays/:id/pause", changing).annotateMerge(described({
    summary: "Pause a replay",
    description: "What is due already is delivered; no more is taken.",
    answer: Examples.replay
  })),
  HttpApiEndpoint.post("resume", "/replays/:id/resume", changing).annotateMerge(described({
    summary: "Resume a replay",
    description: "It goes on where it was.",
    answer: Examples.replay
  })),
  HttpApiEndpoint.post("cancel", "/replays/:id/cancel", changing).annotateMerge(described({
    summary: "Cancel a replay",
    description: "For good; what is due already is delivered.",
    answer: Examples.replay
  }))
).annotateMerge(OpenApi.annotations({ description: "Delivering again, by filter and time." })) {}
