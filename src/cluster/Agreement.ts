/**
 * The settings that every process of a cluster must share. The database holds those in force: whoever comes with others is
 * refused while a runner is alive, since two rules for who owns a shard would be two owners.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Schema } from "effect"
import { Limits } from "../Limits.ts"
import type { StorageUnavailable } from "../Storage.ts"
import * as PgErrors from "../storage/PgErrors.ts"

/**
 * The process can't join the cluster as it is set; the message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class ClusterRefused extends Schema.TaggedError<ClusterRefused>()("ClusterRefused", {
  message: Schema.String
}) {}

interface Settings {
  readonly shards: number
  readonly lock_expiry_ms: number
}

/**
 * Agrees on the settings, or fails; those of a cluster without runners give way.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (sql: PgClient.PgClient): Effect.Effect<void, ClusterRefused | StorageUnavailable> =>
  Effect.gen(function*() {
    const { lockExpiryMs, shards } = yield* Limits
    yield* PgErrors.engine(sql`
      insert into hookline.cluster_settings (shards, lock_expiry_ms) values (${shards}, ${lockExpiryMs})
      on conflict (singleton) do update set shards = excluded.shards, lock_expiry_ms = excluded.lock_expiry_ms
      where not exists (
        select from hookline.members m where m.registered
        and m.heartbeat_at > clock_timestamp() - make_interval(secs => hookline.cluster_settings.lock_expiry_ms / 1000.0)
      )`)
    yield* check(sql)
  })

/**
 * Fails where other settings are in force.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = (sql: PgClient.PgClient): Effect.Effect<void, ClusterRefused | StorageUnavailable> =>
  Effect.gen(function*() {
    const { lockExpiryMs, shards } = yield* Limits
    const [found] = yield* PgErrors.engine(sql<Settings>`select shards, lock_expiry_ms from hookline.cluster_settings`)
    if (!found || (found.shards === shards && found.lock_expiry_ms === lockExpiryMs)) return
    return yield* new ClusterRefused({
      message:
        `The cluster of this database has ${found.shards} shards and a lock expiry of ${found.lock_expiry_ms} ms, ` +
        `this process ${shards} and ${lockExpiryMs} ms: give all its processes the same limits \`shards\` and ` +
        "`lockExpiryMs`, or stop all runners before they are changed."
    })
  })
