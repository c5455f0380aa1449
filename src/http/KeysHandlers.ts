/**
 * The endpoints of API keys.
 */
import { DateTime, Effect, Redacted, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { KeyId } from "../Id.ts"
import type { Key } from "../Key.ts"
import { type KeyNotFound, type KeyRefused, Keys } from "../Keys.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { idOf, notFound, stored } from "./Answers.ts"
import { Api } from "./Api.ts"
import { Refused, unavailable } from "./Problem.ts"
import { filterOf, own, tenantOf } from "./Tenancy.ts"
import * as Views from "./Views.ts"

const keyIdOf = idOf(KeyId, "key")

const refused = (error: KeyRefused | StorageUnavailable) =>
  error._tag === "KeyRefused"
    ? new Refused({ path: error.path, detail: `${error.path}: ${error.message}` })
    : unavailable(error)

const missing = (error: KeyNotFound | StorageUnavailable) =>
  error._tag === "KeyNotFound" ? notFound("key", error.id) : unavailable(error)

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "keys",
  Effect.fnUntraced(function*(handlers) {
    const keys = yield* Keys
    const find = (text: string) =>
      Effect.gen(function*() {
        const id = yield* keyIdOf(text)
        return yield* Effect.flatMap(Effect.mapError(keys.get(id), missing), own<Key>("key", text))
      })
    return handlers
      .handle("create", ({ payload: { expiresAt, name, scopes, tenantId } }) =>
        Effect.gen(function*() {
          const input = {
            name,
            scopes,
            tenantId: yield* tenantOf(tenantId),
            expiresAt: expiresAt === undefined ? undefined : DateTime.makeUnsafe(expiresAt)
          }
          const { key, secret } = yield* Effect.mapError(keys.create(input), refused)
          return { ...Views.key(key), key: Redacted.value(secret) }
        }))
      .handle("list", ({ query }) =>
        Views.list(query, {
          isId: Schema.is(KeyId),
          read: Views.oneMore((page) =>
            Effect.flatMap(filterOf(query.tenantId), (tenant) => stored(keys.list(tenant, page)))
          ),
          view: Views.key
        }))
      .handle("get", ({ params }) => Effect.map(find(params.id), Views.key))
      .handle("revoke", ({ params }) =>
        Effect.gen(function*() {
          const { id } = yield* find(params.id)
          yield* Effect.mapError(keys.revoke(id), missing)
        }))
  })
)
