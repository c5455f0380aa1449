/**
 * The endpoints of the catalogue of events.
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Audit from "../Audit.ts"
import { allTenants } from "../Message.ts"
import * as Nearest from "../Nearest.ts"
import { Registry } from "../Registry.ts"
import { Storage } from "../Storage.ts"
import { stored } from "./Answers.ts"
import { Api } from "./Api.ts"
import { NotFound } from "./Problem.ts"
import * as Views from "./Views.ts"

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "events",
  Effect.fnUntraced(function*(handlers) {
    const registry = yield* Registry
    const storage = yield* Storage
    const audit = Audit.writer(storage)
    const find = Effect.fnUntraced(function*(id: string) {
      const found = yield* registry.event(id)
      if (found) return found
      const known = (yield* registry.events).map((event) => event.eventId)
      return yield* new NotFound({ detail: `There is no event "${id}"${Nearest.suggestion(id, known)}` })
    })
    return handlers
      .handle("list", ({ query }) =>
        query.groupBy === "category"
          ? Effect.map(registry.eventsByCategory, (categories) => ({
            categories: [...categories].map(([category, items]) => ({ category, events: items.map(Views.event) }))
          }))
          : Effect.map(registry.events, (items) => ({ items: items.map(Views.event), nextCursor: null })))
      .handle("get", ({ params }) => Effect.map(find(params.id), Views.event))
      .handle("schema", ({ params }) =>
        Effect.gen(function*() {
          const event = yield* find(params.id)
          const example = yield* Effect.option(event.example)
          return Views.schema(event, Option.getOrUndefined(example))
        }))
      .handle("partitions", ({ params }) =>
        Effect.gen(function*() {
          const { eventId } = yield* find(params.id)
          const partitions = yield* stored(storage.partitions)
          return { partitions: partitions.get(eventId) ?? 1 }
        }))
      .handle("setPartitions", ({ params, payload }) =>
        Effect.gen(function*() {
          const { eventId } = yield* find(params.id)
          const before = { partitions: (yield* stored(storage.partitions)).get(eventId) ?? 1 }
          const change = { action: "event.set-partitions", resourceId: eventId, tenantId: allTenants }
          yield* stored(storage.atomically(Effect.andThen(
            storage.setPartitions(eventId, payload.partitions),
            audit({ ...change, before, after: payload })
          )))
          return payload
        }))
  })
)
