/**
 * The contract of the catalogue of events.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { defaults } from "../Limits.ts"
import { PayloadProperty } from "../PayloadProperties.ts"
import { told } from "../Told.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed, id, JsonObject } from "./Shapes.ts"

/** @category schemas @since 0.1.0 */
export const EventView = Schema.Struct({
  id: Schema.String.pipe(told("The event's id, which subscriptions name")),
  pluginId: Schema.String.pipe(told("Whose it is")),
  displayName: Schema.String.pipe(told("Its name for people")),
  description: Schema.optionalKey(Schema.String).pipe(told("What it tells of")),
  category: Schema.String.pipe(told("What it is listed under")),
  payloadSchema: JsonObject.pipe(told("JSON Schema of its payload as it is delivered"))
}).annotate({ identifier: "Event" })

/**
 * How many dispatcher partitions the messages of an event are shared out to.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Partitions = Schema.Struct({
  partitions: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: defaults.partitions })).pipe(
    told("How many dispatchers its messages are shared out to")
  )
}).annotate({ identifier: "Partitions" })

/** @category groups @since 0.1.0 */
export class Events extends HttpApiGroup.make("events").add(
  HttpApiEndpoint.get("list", "/events", {
    query: { groupBy: Schema.optionalKey(Schema.Literal("category")) },
    success: Schema.Union([
      Page.whole(EventView),
      Schema.Struct({
        categories: Schema.Array(
          Schema.Struct({
            category: Schema.String.pipe(told("What they are listed under")),
            events: Schema.Array(EventView).pipe(told("The events"))
          })
        ).pipe(told("Events by their category"))
      })
    ])
  }).annotateMerge(
    described({
      summary: "List events",
      description: "All events that can be subscribed to, or grouped by their category.",
      answer: Examples.events
    })
  ),
  HttpApiEndpoint.get("get", "/events/:id", { ...id, success: EventView, error: NotFound }).annotateMerge(
    described({ summary: "Read an event", description: "With the JSON Schema of its payload.", answer: Examples.event })
  ),
  HttpApiEndpoint.get("partitions", "/events/:id/partitions", {
    ...id,
    success: Partitions,
    error: [NotFound, Unavailable]
  }).annotateMerge(
    described({
      summary: "Read the partitions of an event",
      description: "How many dispatcher partitions its messages are shared out to.",
      answer: { partitions: 1 }
    })
  ),
  HttpApiEndpoint.put("setPartitions", "/events/:id/partitions", {
    ...id,
    payload: Partitions,
    success: Partitions,
    error: [NotFound, Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "Change the partitions of an event",
      description: "Shares its messages out to so many dispatcher partitions, while messages flow.",
      request: { partitions: 4 },
      answer: { partitions: 4 }
    })
  ).annotate(HttpApi.PayloadParseOptions, closed).annotate(Needs, { scope: "admin", everybody: true }),
  HttpApiEndpoint.get("schema", "/events/:id/schema", {
    ...id,
    success: Schema.Struct({
      payloadSchema: JsonObject.pipe(told("JSON Schema of the payload as it is delivered")),
      availableProperties: Schema.Array(PayloadProperty).pipe(
        told("Its properties, flattened into the paths that filters and templates use")
      ),
      example: Schema.optionalKey(Schema.Json).pipe(
        told(
          "A payload as it is delivered, made of the schema; left out where the event's transform refuses what the schema makes"
        )
      )
    }).annotate({ identifier: "EventSchema" }),
    error: NotFound
  }).annotateMerge(
    described({
      summary: "Read the schema of a payload",
      description: "As JSON Schema, and flattened into the paths that filters and templates use.",
      answer: Examples.eventSchema
    })
  )
).annotateMerge(OpenApi.annotations({ description: "The catalogue of events." })) {}
