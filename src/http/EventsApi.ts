/**
 * The contract of the catalogue of events.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { defaults } from "../Limits.ts"
import { PayloadProperty } from "../PayloadProperties.ts"
import { Needs } from "./Bearer.ts"
import * as Page from "./Page.ts"
import { NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed, id, JsonObject } from "./Shapes.ts"

/** @category schemas @since 0.1.0 */
export const EventView = Schema.Struct({
  id: Schema.String,
  pluginId: Schema.String,
  displayName: Schema.String,
  description: Schema.optionalKey(Schema.String),
  category: Schema.String,
  payloadSchema: JsonObject
}).annotate({ identifier: "Event" })

/**
 * How many dispatcher partitions the messages of an event are shared out to.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Partitions = Schema.Struct({
  partitions: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: defaults.partitions }))
}).annotate({ identifier: "Partitions" })

/** @category groups @since 0.1.0 */
export class Events extends HttpApiGroup.make("events").add(
  HttpApiEndpoint.get("list", "/events", {
    query: { groupBy: Schema.optionalKey(Schema.Literal("category")) },
    success: Schema.Union([
      Page.whole(EventView),
      Schema.Struct({
        categories: Schema.Array(Schema.Struct({ category: Schema.String, events: Schema.Array(EventView) }))
      })
    ])
  }),
  HttpApiEndpoint.get("get", "/events/:id", { ...id, success: EventView, error: NotFound }),
  HttpApiEndpoint.get("partitions", "/events/:id/partitions", {
    ...id,
    success: Partitions,
    error: [NotFound, Unavailable]
  }),
  HttpApiEndpoint.put("setPartitions", "/events/:id/partitions", {
    ...id,
    payload: Partitions,
    success: Partitions,
    error: [NotFound, Refused, Unavailable]
  }).annotate(HttpApi.PayloadParseOptions, closed).annotate(Needs, { scope: "admin", everybody: true }),
  HttpApiEndpoint.get("schema", "/events/:id/schema", {
    ...id,
    success: Schema.Struct({
      payloadSchema: JsonObject,
      availableProperties: Schema.Array(PayloadProperty),
      /** A payload as it is delivered, made of the schema; left out where the event's transform refuses what the schema makes. */
      example: Schema.optionalKey(Schema.Json)
    }).annotate({ identifier: "EventSchema" }),
    error: NotFound
  })
) {}
