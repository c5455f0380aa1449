/**
 * Which connection a subscription may name: one of its tenant and of its provider, where its provider has connections.
 */
import { Effect, Option, Schema } from "effect"
import { ConnectionId } from "./Id.ts"
import type { RegisteredProvider } from "./Registry.ts"
import * as SealedConfig from "./SealedConfig.ts"
import type { Secrets } from "./Secrets.ts"
import type { Storage } from "./Storage.ts"
import { SubscriptionRefused } from "./SubscriptionChecks.ts"

/**
 * Makes the checks.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (storage: Storage["Service"], secrets: Secrets["Service"]) => ({
  /** The connection that is named, opened; undefined where the provider has none. */
  connectionOf: Effect.fnUntraced(function*(
    { connection: kind, providerId }: RegisteredProvider,
    { connectionId, tenantId }: { readonly tenantId: string; readonly connectionId: string | undefined }
  ) {
    if (!kind) {
      return connectionId === undefined
        ? undefined
        : yield* refuse(`The provider "${providerId}" has no connections: leave it out`)
    }
    if (connectionId === undefined) {
      return yield* refuse(`Expected the id of a connection, con_…: "${providerId}" delivers through one`)
    }
    const id = decodeId(connectionId)
    const found = Option.isSome(id) ? yield* storage.getConnection(id.value) : Option.none()
    if (Option.isNone(found) || found.value.tenantId !== tenantId) return yield* missing(connectionId, tenantId)
    if (found.value.providerId !== providerId) {
      return yield* refuse(`The connection is of the provider "${found.value.providerId}", not of "${providerId}"`)
    }
    const config = yield* Effect.mapError(
      SealedConfig.open(secrets, kind.schema, found.value),
      (error) => refuse(error.message)
    )
    return { id: found.value.id, tenantId, config }
  }),
  /** Keeps a connection from being deleted until the transaction ends that names it. */
  hold: Effect.fnUntraced(function*(connection: { readonly id: ConnectionId; readonly tenantId: string } | undefined) {
    if (connection === undefined) return
    const { id, tenantId } = connection
    if (Option.isNone(yield* storage.holdConnection(id))) return yield* missing(id, tenantId)
  })
})

// --- internal ---

const decodeId = Schema.decodeUnknownOption(ConnectionId)

const refuse = (message: string) => new SubscriptionRefused({ path: "connectionId", message })

const missing = (id: string, tenantId: string) => refuse(`There is no connection "${id}" of the tenant "${tenantId}"`)
