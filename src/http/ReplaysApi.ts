/**
 * The contract of replays.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { MessageId, ReplayId, SubscriptionId } from "../Id.ts"
import { ReplayReason, ReplayState, ReplayStatus } from "../Replay.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Conflict, NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed, id, Name, Text } from "./Shapes.ts"
import { IsoTime } from "./Time.ts"

const filterFields = {
  subscriptionId: Schema.optionalKey(SubscriptionId),
  eventId: Schema.optionalKey(Name),
  messageId: Schema.optionalKey(MessageId),
  reason: Schema.optionalKey(ReplayReason)
}

/** @category schemas @since 0.1.0 */
export const ReplayView = Schema.Struct({
  id: ReplayId,
  /** The only tenant whose deliveries are meant; left out where everybody's are. */
  tenantId: Schema.optionalKey(Schema.String),
  filter: Schema.Struct({
    ...filterFields,
    status: ReplayStatus,
    from: Schema.optionalKey(Schema.String),
    to: Schema.optionalKey(Schema.String)
  }),
  freshWebhookId: Schema.Boolean,
  state: ReplayState,
  /** So far: those that are due again, and those whose subscription or message is gone; `matched` are both. */
  counts: Schema.Struct({ matched: Schema.Int, replayed: Schema.Int, skipped: Schema.Int }),
  /** When the last delivery was made that it has come to. */
  reachedAt: Schema.optionalKey(Schema.String),
  createdAt: Schema.String,
  updatedAt: Schema.String,
  completedAt: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "Replay" })

/** @category schemas @since 0.1.0 */
export const ReplayInput = Schema.Struct({
  /** At least one of `subscriptionId`, `eventId`, `messageId`, `from`. */
  filter: Schema.Struct({
    ...filterFields,
    /** `failed` when left out. */
    status: Schema.optionalKey(ReplayStatus),
    /** When deliveries were made, both ends included. */
    from: Schema.optionalKey(IsoTime),
    to: Schema.optionalKey(IsoTime)
  }),
  tenantId: Schema.optionalKey(Text),
  /** Whether receivers get a webhook-id of the replay's own, and so can't take it for a repetition. */
  freshWebhookId: Schema.optionalKey(Schema.Boolean),
  /** Counts, and makes nothing. */
  dryRun: Schema.optionalKey(Schema.Boolean)
}).annotate({ identifier: "ReplayInput" })

/** @category schemas @since 0.1.0 */
export const ReplayCount = Schema.Struct({
  matched: Schema.Int,
  /** Not all were looked at: there may be more. */
  isAtLeast: Schema.optionalKey(Schema.Literal(true))
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
