/**
 * The contract of retention: how long history is kept, what is stored of it, and what goes.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { maxDays } from "../Retention.ts"
import { told } from "../Told.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Conflict, NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed } from "./Shapes.ts"

const Day = Schema.String.annotate({ format: "date" })

const keptDays = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxDays })).pipe(
  told("After how many days the bodies of its messages are emptied")
)

/** @category schemas @since 0.1.0 */
export const TenantTermView = Schema.Struct({
  tenantId: Schema.String.pipe(told("Whose messages are meant")),
  keptDays
}).annotate({ identifier: "TenantTerm" })

/** @category schemas @since 0.1.0 */
export const TenantTermInput = Schema.Struct({ keptDays }).annotate({ identifier: "TenantTermInput" })

const Part = Schema.Literals(["history", "attempts"]).pipe(
  told("What goes of the day: all of its history, or the attempts alone")
)

/** @category schemas @since 0.1.0 */
export const RetentionView = Schema.Struct({
  historyKeptMs: Schema.Int.pipe(told("For how long history is kept, in milliseconds")),
  attemptsKeptMs: Schema.Int.pipe(told("For how long attempts are, in milliseconds")),
  tables: Schema.Array(
    Schema.Struct({
      table: Schema.Literals(["messages", "routings", "deliveries", "attempts"]).pipe(told("The table")),
      partitions: Schema.Int.pipe(told("Days that it has a partition for, those made ahead too")),
      oldestDay: Schema.optionalKey(Day).pipe(told("The first of them")),
      bytes: Schema.Int.pipe(told("What it takes on the disk, with its indexes")),
      rows: Schema.Int.pipe(told("How many rows it has, as the database estimates"))
    }).annotate({ identifier: "HistoryTable" })
  ).pipe(told("The tables of history")),
  expired: Schema.Array(
    Schema.Struct({
      day: Day.pipe(told("The day")),
      of: Part,
      heldBy: Schema.Array(
        Schema.Struct({
          holder: Schema.Literals(["unfinished", "unrouted", "set-aside", "broadcast"]).pipe(
            told(
              "Unfinished deliveries, messages that are not routed yet or were set aside, or those broadcast within the hour"
            )
          ),
          count: Schema.Int.pipe(told("How many, counted to 1,000"))
        }).annotate({ identifier: "Holder" })
      ).pipe(told("What needs it still; where nothing does, it goes within a minute")),
      isDropping: Schema.Boolean.pipe(told("Whether it is being dropped, and waits for a long transaction"))
    }).annotate({ identifier: "ExpiredDay" })
  ).pipe(told("Days that have expired and are still there, oldest first")),
  tenants: Schema.Array(TenantTermView).pipe(told("Tenants whose bodies are emptied sooner"))
}).annotate({ identifier: "Retention" })

/** @category schemas @since 0.1.0 */
export const RetentionApplied = Schema.Struct({
  dropped: Schema.Array(
    Schema.Struct({ day: Day.pipe(told("The day")), of: Part }).annotate({ identifier: "DroppedDay" })
  ).pipe(told("The days that were dropped")),
  waitingDay: Schema.optionalKey(Day).pipe(
    told("The day that waits for a long transaction, with those after it: housekeeping goes on with it")
  ),
  bodiesEmptied: Schema.Int.pipe(told("Messages whose bodies were emptied")),
  more: Schema.Boolean.pipe(told("Whether there are more to be emptied, which housekeeping does"))
}).annotate({ identifier: "RetentionApplied" })

const admin = { scope: "admin", everybody: true } as const

const tenant = { params: { tenantId: Schema.String } }

/** @category groups @since 0.1.0 */
export class RetentionGroup extends HttpApiGroup.make("retention").add(
  HttpApiEndpoint.get("get", "/retention", { success: RetentionView, error: Unavailable }).annotateMerge(
    described({
      summary: "Read what is kept",
      description: "The terms, what the tables of history take, and which days have expired and what holds them back.",
      answer: Examples.retention
    })
  ).annotate(Needs, admin),
  HttpApiEndpoint.post("apply", "/retention/apply", {
    success: RetentionApplied,
    error: [Conflict, Unavailable]
  }).annotateMerge(
    described({
      summary: "Apply the terms now",
      description:
        "Drops the expired days that nothing needs, and empties bodies for some seconds; what housekeeping does " +
        "each minute. 409 while another runner does it, or the database is migrated.",
      answer: Examples.retentionApplied
    })
  ).annotate(Needs, admin),
  HttpApiEndpoint.get("tenants", "/retention/tenants", {
    success: Page.whole(TenantTermView),
    error: Unavailable
  }).annotateMerge(
    described({
      summary: "List tenants' terms",
      description: "Those whose bodies are emptied sooner than history is dropped, by their names.",
      answer: { items: [Examples.tenantTerm], nextCursor: null }
    })
  ).annotate(Needs, admin),
  HttpApiEndpoint.put("setTenant", "/retention/tenants/:tenantId", {
    ...tenant,
    payload: TenantTermInput,
    success: TenantTermView,
    error: [NotFound, Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "Set a tenant's term",
      description:
        "Empties the bodies of its messages after so many days: payloads, and what was sent and answered. A term " +
        "that is not shorter than that of history has no effect.",
      request: { keptDays: 7 },
      answer: Examples.tenantTerm
    })
  ).annotate(HttpApi.PayloadParseOptions, closed).annotate(Needs, admin),
  HttpApiEndpoint.delete("unsetTenant", "/retention/tenants/:tenantId", {
    ...tenant,
    success: HttpApiSchema.NoContent,
    error: [NotFound, Unavailable]
  }).annotateMerge(
    described({
      summary: "End a tenant's term",
      description: "Its bodies are kept as long as history from now on; what was emptied stays so."
    })
  ).annotate(Needs, admin)
).annotateMerge(OpenApi.annotations({ description: "How long history is kept, and what goes." })) {}
