/**
 * How much there is of what waits, on PostgreSQL: counted up to a bound, by indexes of what waits alone.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { Depths, Measuring } from "../Storage.ts"
import type * as PgErrors from "./PgErrors.ts"

/**
 * Makes the verb of measuring.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Measuring => ({
  depths: (counted) => {
    const count = (rows: string) =>
      sql`(select count(*)::int from (select 1 from hookline.${sql.literal(rows)} limit ${counted}::int) n)`
    return engine(Effect.map(
      sql<DepthsRow>`select
        ${count("inbox where set_aside_at is null")} as unrouted,
        -- They stay where others go, and so are among the oldest.
        (select count(set_aside_at)::int from (
          select set_aside_at from hookline.inbox order by seq limit ${counted}::int) i) as set_aside,
        ${count("work where epoch is null")} as waiting,
        ${count("work where epoch is not null")} as claimed,
        ${count("circuits")} as failing,
        ${count("circuits where open_until > clock_timestamp()")} as open,
        (select extract(epoch from min(last) + interval '1 day' - clock_timestamp())::float8 from (
          select max(to_timestamp(right(c.relname, 8) || '+00', 'YYYYMMDDTZH')) as last
          from unnest(array['messages', 'routings', 'deliveries', 'attempts']) as p(name)
          left join pg_inherits i on i.inhparent = to_regclass('hookline.' || p.name)
          left join pg_class c on c.oid = i.inhrelid and c.relname ~ '_[0-9]{8}$'
          group by p.name
        ) ends) as partitions_ahead`,
      ([row]) => read(row)
    ))
  }
})

// --- internal ---

interface DepthsRow {
  readonly unrouted: number
  readonly set_aside: number
  readonly waiting: number
  readonly claimed: number
  readonly failing: number
  readonly open: number
  readonly partitions_ahead: number | null
}

const read = (row: DepthsRow | undefined): Depths => ({
  unrouted: row?.unrouted ?? 0,
  setAside: row?.set_aside ?? 0,
  waiting: row?.waiting ?? 0,
  claimed: row?.claimed ?? 0,
  failing: row?.failing ?? 0,
  open: row?.open ?? 0,
  partitionsAheadSeconds: row?.partitions_ahead ?? 0
})
