/**
 * The endpoints of connections.
 */
import { Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Connection } from "../Connection.ts"
import {
  type ConnectionChanged,
  type ConnectionNotFound,
  type ConnectionRefused,
  Connections,
  type ConnectionUsed,
  type ProbeFailed
} from "../Connections.ts"
import { ConnectionId } from "../Id.ts"
import type { NoPlace } from "../NoPlace.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { connectionIdOf, crowded, notFound, stored } from "./Answers.ts"
import { Api } from "./Api.ts"
import * as ETag from "./ETag.ts"
import { Conflict, ProviderFailed, Refused, unavailable } from "./Problem.ts"
import { filterOf, own } from "./Tenancy.ts"
import * as Views from "./Views.ts"

const missing = (error: ConnectionNotFound | StorageUnavailable) =>
  error._tag === "ConnectionNotFound" ? notFound("connection", error.id) : unavailable(error)

const refused = (error: ConnectionRefused | StorageUnavailable) =>
  error._tag === "ConnectionRefused"
    ? new Refused({ path: error.path, detail: `${error.path}: ${error.message}` })
    : unavailable(error)

const tried = (error: ConnectionNotFound | ConnectionRefused | StorageUnavailable) =>
  error._tag === "ConnectionNotFound" ? notFound("connection", error.id) : refused(error)

const tested = Effect.fnUntraced(
  function*(error: ConnectionNotFound | ConnectionRefused | NoPlace | StorageUnavailable) {
    return yield* error._tag === "NoPlace" ? crowded(error) : tried(error)
  }
)

const resolved = Effect.fnUntraced(
  function*(error: ConnectionNotFound | ConnectionRefused | ProbeFailed | NoPlace | StorageUnavailable) {
    if (error._tag === "ProbeFailed") return yield* new ProviderFailed({ detail: error.message })
    return yield* tested(error)
  }
)

const changed = Effect.fnUntraced(
  function*(error: ConnectionNotFound | ConnectionRefused | ConnectionChanged | StorageUnavailable) {
    if (error._tag === "ConnectionChanged") return yield* ETag.stale(error.version)
    return yield* tried(error)
  }
)

const removed = Effect.fnUntraced(
  function*(error: ConnectionNotFound | ConnectionUsed | ConnectionChanged | StorageUnavailable) {
    if (error._tag === "ConnectionChanged") return yield* ETag.stale(error.version)
    if (error._tag !== "ConnectionUsed") return yield* missing(error)
    return yield* new Conflict({
      detail: `Subscriptions use it (${error.subscriptions}): give them another connection, or delete them first.`,
      subscriptions: error.subscriptions
    })
  }
)

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "connections",
  Effect.fnUntraced(function*(handlers) {
    const connections = yield* Connections
    const find = (text: string) =>
      Effect.gen(function*() {
        const id = yield* connectionIdOf(text)
        return yield* Effect.flatMap(Effect.mapError(connections.get(id), missing), own<Connection>("connection", text))
      })
    const shown = (connection: Connection) => Effect.as(ETag.tell(connection.version), Views.connection(connection))
    return handlers
      .handle("create", ({ payload }) =>
        Effect.gen(function*() {
          const input = { ...payload, ...(yield* filterOf(payload.tenantId)) }
          return yield* shown(yield* Effect.mapError(connections.create(input), refused))
        }))
      .handle("list", ({ query }) =>
        Views.list(query, {
          isId: Schema.is(ConnectionId),
          read: Views.oneMore((page) =>
            Effect.flatMap(filterOf(query.tenantId), (tenant) =>
              stored(connections.list({
                ...tenant,
                ...(query.providerId === undefined ? {} : { providerId: query.providerId })
              }, page)))
          ),
          view: Views.connection
        }))
      .handle("get", ({ params }) => Effect.flatMap(find(params.id), shown))
      .handle("update", ({ params, payload }) =>
        Effect.gen(function*() {
          const found = yield* find(params.id)
          const { id } = found
          const version = yield* ETag.asked(found)
          return yield* shown(yield* Effect.catch(connections.update(id, payload, { version }), changed))
        }))
      .handle("remove", ({ params }) =>
        Effect.gen(function*() {
          const found = yield* find(params.id)
          const { id } = found
          const version = yield* ETag.asked(found)
          yield* Effect.catch(connections.remove(id, { version }), removed)
        }))
      .handle("test", ({ params }) =>
        Effect.gen(function*() {
          const { id } = yield* find(params.id)
          return Views.connectionTest(yield* Effect.catch(connections.test(id), tested))
        }))
      .handle("options", ({ params, payload: { context = {}, resolver } }) =>
        Effect.gen(function*() {
          const { id } = yield* find(params.id)
          const items = yield* Effect.catch(connections.options(id, { resolver, context }), resolved)
          return { items, nextCursor: null }
        }))
  })
)
