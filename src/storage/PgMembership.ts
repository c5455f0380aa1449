/**
 * Who is there, on PostgreSQL.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Option, Schema } from "effect"
import * as Id from "../Id.ts"
import { Announcement, type Member } from "../Member.ts"
import type { Membership } from "../Storage.ts"
import type * as PgErrors from "./PgErrors.ts"
import { ms } from "./PgRows.ts"

interface MemberRow {
  readonly id: string
  readonly alive: boolean
  readonly lease_until: number
  readonly dispatchers: number
  readonly announced: unknown
}

interface OwnershipRow {
  readonly worker_group: string
  readonly partition: number
  readonly epoch: number
  readonly runner_id: string | null
}

const runnerId = (uuid: string) => Id.RunnerId.make(`run_${Id.fromUuid(uuid)}`)

// Written by another version perhaps: what can't be read is as good as not said.
const announced = Schema.decodeUnknownOption(Announcement)

/**
 * Makes the verbs of membership.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Membership => ({
  announce: (id, announcement) =>
    engine(Effect.asVoid(sql`update hookline.runners set announced = ${JSON.stringify(announcement)}::text::jsonb
      where id = ${Id.toUuid(id)}::uuid`)),
  members: engine(Effect.map(
    sql<MemberRow>`select r.id::text, r.lease_until > clock_timestamp() as alive,
        ${sql.literal(ms("r.lease_until"))} as lease_until, coalesce(o.n, 0)::int as dispatchers, r.announced
      from hookline.runners r
      left join (select runner_id, count(*) as n from hookline.owners group by runner_id) o on o.runner_id = r.id
      order by r.id`,
    (rows) =>
      rows.map((row): Member => ({
        id: runnerId(row.id),
        alive: row.alive,
        leaseUntilMs: row.lease_until,
        dispatchers: row.dispatchers,
        announced: Option.getOrUndefined(announced(row.announced))
      }))
  )),
  owners: (filter, { cursor, limit }) =>
    engine(Effect.map(
      sql<OwnershipRow>`select worker_group, partition, epoch::float8 as epoch, runner_id::text from hookline.owners
        where ${
        sql.and([
          sql`true`,
          ...(cursor === undefined ? [] : [sql`worker_group > ${cursor}`]),
          ...(filter.runnerId === undefined ? [] : [sql`runner_id = ${Id.toUuid(filter.runnerId)}::uuid`])
        ])
      } order by worker_group, partition limit ${limit}::int`,
      (rows) =>
        rows.map((row) => ({
          workerGroup: row.worker_group,
          partition: row.partition,
          epoch: row.epoch,
          runnerId: row.runner_id === null ? undefined : runnerId(row.runner_id)
        }))
    )),
  oldestUnroutedMs: engine(Effect.map(
    sql<{ readonly id: string }>`select message_id::text as id from hookline.inbox where set_aside_at is null
      order by seq limit 1`,
    ([row]) => row && Id.timeOf(Id.MessageId.make(`msg_${Id.fromUuid(row.id)}`))
  )),
  neededProviders: engine(Effect.map(
    sql<{ readonly provider_id: string; readonly n: number }>`
      select provider_id, count(*)::int as n from hookline.subscriptions
      where deleted_at is null and enabled group by provider_id order by provider_id collate "C"`,
    (rows) => rows.map((row) => ({ providerId: row.provider_id, subscriptions: row.n }))
  ))
})
