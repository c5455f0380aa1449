/**
 * Connections in memory.
 */
import { Effect, Option } from "effect"
import type { ConnectionId } from "./Id.ts"
import type { Connecting } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * Makes the verbs of keeping connections.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Connecting => {
  const get = (id: ConnectionId) => Effect.sync(() => Option.fromUndefinedOr(tables.connections.get(id)))
  return {
    createConnection: (connection) => Effect.sync(() => void tables.connections.set(connection.id, connection)),
    getConnection: get,
    holdConnection: get,
    listConnections: ({ providerId, tenantId }, { cursor, limit }) =>
      Effect.sync(() =>
        [...tables.connections.values()]
          .filter((one) =>
            (tenantId ?? one.tenantId) === one.tenantId && (providerId ?? one.providerId) === one.providerId
          )
          .filter((one) => cursor === undefined || one.id < cursor)
          .sort((a, b) => a.id < b.id ? 1 : -1)
          .slice(0, limit)
      ),
    updateConnection: (id, change) =>
      Effect.sync(() => {
        const current = tables.connections.get(id)
        if (!current) return Option.none()
        const wanted = change(current)
        if (wanted === current) return Option.some({ connection: current, subscriptions: [] })
        const connection = { ...wanted, version: current.version + 1 }
        tables.connections.set(id, connection)
        const bound = connection.config === current.config ? [] : tables.usersOf(id)
        if (bound.length > 0) tables.version++
        const { version } = tables
        for (const subscription of bound) {
          tables.subscriptions.set(subscription.id, { ...subscription, version })
          tables.healths.forget(subscription.id)
        }
        return Option.some({
          connection,
          subscriptions: bound.map((subscription) => ({ id: subscription.id, version }))
        })
      }),
    deleteConnection: (id) =>
      Effect.sync(() => {
        if (!tables.connections.has(id)) return Option.none()
        const used = tables.usersOf(id).length
        if (used === 0) tables.connections.delete(id)
        return Option.some(used)
      })
  }
}
