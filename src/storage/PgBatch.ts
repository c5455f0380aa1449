/**
 * Appending a batch on the caller's client: one transaction, or a savepoint of the caller's, takes the keys and writes the
 * messages in their order; the key of one that belongs to another message undoes all of it.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { SqlError } from "effect/sql"
import * as Id from "../Id.ts"
import { letGo } from "../LetGo.ts"
import type { Message } from "../Message.ts"
import type { AppendBatch, BatchItem, Placed } from "../Storage.ts"
import { array } from "./PgArray.ts"
import * as PgRows from "./PgRows.ts"

/** Makes what appends a batch; `append` stores messages in the transaction, and tells where they were put, in order. */
export const make = (
  sql: PgClient.PgClient,
  append: (messages: ReadonlyArray<Message>) => Effect.Effect<ReadonlyArray<Placed>, SqlError.SqlError>
) =>
(items: ReadonlyArray<BatchItem>) =>
  sql.withTransaction(Effect.gen(function*() {
    const { conflict, repeated } = yield* letGo(keys(sql, items))
    if (conflict) return yield* Effect.fail(conflict)
    const added = items.flatMap(({ message }, index) => repeated.has(index) ? [] : [message])
    const stored = added.length === 0 ? [] : yield* letGo(append(added))
    const groups = new Map(added.map(({ id }, n) => [id, stored[n]?.workerGroup]))
    return {
      _tag: "Appended",
      items: items.map(({ message }, index) => {
        const messageId = repeated.get(index)
        return messageId === undefined
          ? { messageId: message.id, workerGroup: groups.get(message.id) }
          : { messageId, workerGroup: undefined }
      })
    } satisfies AppendBatch
  })).pipe(
    // A rollback is a defect where its session is gone.
    Effect.catchDefect((defect) => SqlError.isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)),
    Effect.catchTag("Contradicted", ({ index, messageId }) =>
      Effect.succeed<AppendBatch>({ _tag: "Conflict", index, messageId }))
  )

// --- internal ---

/** Ends the transaction without a trace. */
const contradicted = (index: number, messageId: Id.MessageId) => ({ _tag: "Contradicted", index, messageId } as const)

interface Keyed {
  readonly index: number
  readonly id: string
  readonly tenantId: string
  readonly key: string
  readonly contentHash: string
  readonly ttlMs: number
}

/** Takes the keys that are free; tells which items repeat a message, and the first that contradicts one. */
const keys = Effect.fnUntraced(function*(sql: PgClient.PgClient, items: ReadonlyArray<BatchItem>) {
  const repeated = new Map<number, Id.MessageId>()
  const all = items.flatMap(({ message: { id, tenantId }, once }, index): ReadonlyArray<Keyed> =>
    once ? [{ index, id, tenantId, ...once }] : []
  )
  const owners = new Map<string, { readonly messageId: Id.MessageId; readonly contentHash: string }>()
  // The first of each key in the batch stands for the others.
  let left = [...new Map(all.toReversed().map((one) => [keyOf(one), one])).values()]
  while (left.length > 0) {
    for (const row of yield* take(sql, left)) {
      owners.set(keyOf({ tenantId: row.tenant_id, key: row.key }), {
        messageId: PgRows.messageId(row.message_id),
        contentHash: row.content_hash
      })
    }
    // A key that expired in between is free now.
    left = left.filter((one) => !owners.has(keyOf(one)))
  }
  for (const one of all) {
    const owner = owners.get(keyOf(one))
    if (!owner) continue
    if (owner.contentHash !== one.contentHash) {
      return { repeated, conflict: contradicted(one.index, owner.messageId) }
    }
    if (owner.messageId !== one.id) repeated.set(one.index, owner.messageId)
  }
  return { repeated, conflict: undefined }
})

const keyOf = ({ key, tenantId }: Pick<Keyed, "key" | "tenantId">): string => `${tenantId}\0${key}`

/** In one order, so that batches that share keys take turns; what another transaction took meanwhile is read afterwards. */
const take = Effect.fnUntraced(function*(sql: PgClient.PgClient, wanted: ReadonlyArray<Keyed>) {
  const given = sql`unnest(
      ${array(wanted.map(({ tenantId }) => tenantId))}::text[], ${array(wanted.map(({ key }) => key))}::text[],
      ${array(wanted.map(({ id }) => Id.toUuid(id)))}::uuid[],
      ${array(wanted.map(({ contentHash }) => contentHash))}::text[],
      ${array(wanted.map(({ ttlMs }) => ttlMs))}::float8[]
    ) as g(tenant_id, key, message_id, content_hash, ttl_ms)`
  yield* sql`insert into hookline.idempotency (tenant_id, key, message_id, content_hash, expires_at)
    select g.tenant_id, g.key, g.message_id, g.content_hash, clock_timestamp() + make_interval(secs => g.ttl_ms / 1000)
    from ${given} order by g.tenant_id collate "C", g.key collate "C"
    on conflict (tenant_id, key) do update
      set message_id = excluded.message_id, content_hash = excluded.content_hash, expires_at = excluded.expires_at
      where idempotency.expires_at <= clock_timestamp()`
  return yield* sql<{
    readonly tenant_id: string
    readonly key: string
    readonly message_id: string
    readonly content_hash: string
  }>`select i.tenant_id, i.key, i.message_id::text, i.content_hash from ${given}
    join hookline.idempotency i on i.tenant_id = g.tenant_id and i.key = g.key and i.expires_at > clock_timestamp()`
})
