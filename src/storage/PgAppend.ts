/**
 * Appending on the caller's client: one statement writes the messages and their places before the router, inside the
 * caller's transaction where there is one.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Option } from "effect"
import type { Deadlines } from "../Deadlines.ts"
import * as Id from "../Id.ts"
import { type Message, slotOf, workerGroup } from "../Message.ts"
import { type Appending, type AppendOnce, OutcomeUnknown, type Placed } from "../Storage.ts"
import { column, uuids } from "./PgArray.ts"
import * as PgBatch from "./PgBatch.ts"
import * as PgErrors from "./PgErrors.ts"

/** Messages as rows, with the next places in the order of all. */
export const rows = (sql: PgClient.PgClient, messages: ReadonlyArray<Message>) =>
  // Numbered in their order, which a join does not keep.
  sql`select u.*, nextval('hookline.message_seq') as seq from (
    select u.id, u.event_id, u.tenant_id, u.ordering_key, u.payload, u.slot, u.deliver_at, u.expires_at, u.traceparent, u.n,
      ${workerGroup("")} || u.event_id || case when p.count > 1 then '#' || (u.slot * p.count / 1024) || '.' || p.count
        else '' end as worker_group
    from unnest(
      ${uuids(messages, (message) => Id.toUuid(message.id))}::uuid[],
      ${column("text", messages, (message) => message.eventId)}::text[],
      ${column("text", messages, (message) => message.tenantId)}::text[],
      ${column("text", messages, (message) => message.orderingKey)}::text[],
      ${column("text", messages, (message) => message.payloadJson)}::text[],
      ${column("int4", messages, slotOf)}::int[],
      ${column("float8", messages, (message) => message.deliverAtMs)}::float8[],
      ${column("float8", messages, (message) => message.expiresAtMs)}::float8[],
      ${column("text", messages, (message) => message.traceparent)}::text[]
    ) with ordinality as u(id, event_id, tenant_id, ordering_key, payload, slot, deliver_at, expires_at,
      traceparent, n)
    left join hookline.partitions p on p.event_id = u.event_id
    order by u.n
  ) u`

/** Stores the rows of a part of the statement, and puts them before the router. */
export const inserts = (sql: PgClient.PgClient, from: string) =>
  sql`stored as (
    insert into hookline.messages (id, seq, event_id, tenant_id, ordering_key, payload, deliver_at, expires_at, traceparent)
    select id, seq, event_id, tenant_id, ordering_key, payload, to_timestamp(deliver_at / 1000.0),
      to_timestamp(expires_at / 1000.0), traceparent from ${sql.literal(from)}
  ), waiting as (
    insert into hookline.inbox (seq, message_id, worker_group, slot, tenant_id, ordering_key, size)
    select seq, id, worker_group, slot, tenant_id, ordering_key, octet_length(payload)
    from ${sql.literal(from)}
  )`

/** Makes the verbs of emission; `now` comes from the engine. */
export const make = (
  sql: PgClient.PgClient,
  now: Effect.Effect<number>,
  deadlines: Deadlines,
  timeoutMs: number
): Appending => {
  const inTransaction = Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)

  /** A transaction ends as its caller says; what commits by itself is given up when no answer comes. */
  const failing = <A>(effect: Effect.Effect<A, Parameters<typeof PgErrors.append>[0]>) =>
    Effect.flatMap(inTransaction, (joined) => {
      const appended = Effect.mapError(effect, (error) => PgErrors.append(error, joined))
      return joined ? appended : PgErrors.giveUp(deadlines, appended, timeoutMs, () =>
        new OutcomeUnknown({
          message: `The database did not answer within ${timeoutMs} ms: the message may or may not be stored. ` +
            "Repeat it with the same idempotency key."
        }))
    })

  const append = (messages: ReadonlyArray<Message>, runnerId?: Id.RunnerId) =>
    Effect.map(
      sql<PlacedRow>`with m as (${rows(sql, messages)}), ${inserts(sql, "m")}, owned as materialized (${
        runnerId === undefined
          ? sql.literal("select null::text as worker_group, null::bigint as epoch where false")
          // Locked until the commit, so that nobody owns the group meanwhile who reads it then. A take-over under way is not waited for.
          // Of a snapshot that lasts longer a row that has changed since would be an error.
          : sql`select * from hookline.owned(${Id.toUuid(runnerId)}::uuid, case
              when current_setting('transaction_isolation') = 'read committed' then array(select distinct worker_group from m) end)`
      })
        select m.worker_group, m.seq::float8 as seq,
          (select v.version from hookline.subscription_version v)::float8 as version,
          (select exists (select 1 from hookline.listened))
            and exists (select 1 from hookline.listened l where l.worker_group = split_part(m.worker_group, '#', 1)) as listened,
          o.epoch::float8 as epoch
        from m left join owned o on o.worker_group = m.worker_group order by m.n`,
      (found) =>
        found.map(({ epoch, listened, seq, version, worker_group }): Placed => ({
          workerGroup: worker_group,
          seq,
          version,
          isListened: listened,
          epoch: epoch ?? undefined
        }))
    )

  const once = (
    message: Message,
    options: { readonly key: string; readonly contentHash: string; readonly ttlMs: number }
  ) =>
    sql<{ readonly worker_group: string | null }>`with k as (
      insert into hookline.idempotency (tenant_id, key, message_id, content_hash, expires_at)
      values (${message.tenantId}, ${options.key}, ${Id.toUuid(message.id)}::uuid, ${options.contentHash},
        clock_timestamp() + make_interval(secs => ${options.ttlMs / 1000}))
      on conflict (tenant_id, key) do update
        set message_id = excluded.message_id, content_hash = excluded.content_hash, expires_at = excluded.expires_at
        where idempotency.expires_at <= clock_timestamp()
      returning message_id
    ), m as (${rows(sql, [message])} where exists (select 1 from k)), ${inserts(sql, "m")}
    select worker_group from m`

  const known = (message: Message, key: string) =>
    sql<{ readonly message_id: string; readonly content_hash: string }>`
      select message_id::text, content_hash from hookline.idempotency
      where tenant_id = ${message.tenantId} and key = ${key} and expires_at > clock_timestamp()`

  const appendOnce: Appending["appendOnce"] = (message, options) =>
    failing(Effect.gen(function*() {
      while (true) {
        const [taken] = yield* once(message, options)
        if (taken?.worker_group) return { _tag: "Appended", workerGroup: taken.worker_group } satisfies AppendOnce
        const [first] = yield* known(message, options.key)
        // The key expired in between: it is free now.
        if (!first) continue
        const messageId = Id.MessageId.make(`msg_${Id.fromUuid(first.message_id)}`)
        return first.content_hash === options.contentHash
          ? { _tag: "Repeated", messageId } satisfies AppendOnce
          : { _tag: "Conflict", messageId } satisfies AppendOnce
      }
    }))

  const usedKeys: Appending["usedKeys"] = (keys) =>
    failing(Effect.map(
      sql<{ readonly used: boolean }>`select exists (
          select 1 from hookline.idempotency i
          where i.tenant_id = g.tenant_id and i.key = g.key and i.expires_at > clock_timestamp()
        ) as used
        from unnest(
          ${column("text", keys, ({ tenantId }) => tenantId)}::text[], ${column("text", keys, ({ key }) => key)}::text[]
        ) with ordinality as g(tenant_id, key, n) order by g.n`,
      (found) => found.map(({ used }) => used)
    ))

  return {
    now,
    inTransaction,
    append: (messages, runnerId) =>
      // A transaction of the caller's may last, and take-overs must not wait for it.
      failing(Effect.flatMap(inTransaction, (joined) => append(messages, joined ? undefined : runnerId))),
    appendOnce,
    usedKeys,
    appendBatch: (items) => failing(PgBatch.make(sql, append)(items)),
    afterCommit: (effect) => sql.afterCommit(effect)
  }
}

// --- internal ---

interface PlacedRow {
  readonly worker_group: string
  readonly seq: number
  readonly version: number
  readonly listened: boolean
  readonly epoch: number | null
}
