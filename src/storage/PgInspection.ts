/**
 * What an operator's check reads of a database, each part by itself and nothing of it changed: the server, its clock, the
 * layout, the partitions, what has expired, and what subscriptions and connections hold.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect, type Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import type { SqlError } from "effect/sql"
import type { Connection } from "../Connection.ts"
import type { Terms } from "../Retention.ts"
import type { ExpiredDay } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Subscription } from "../Subscription.ts"
import { latest as known } from "./Migrations.ts"
import * as PgAdministration from "./PgAdministration.ts"
import * as PgConnecting from "./PgConnecting.ts"
import * as PgErrors from "./PgErrors.ts"
import * as PgMembership from "./PgMembership.ts"
import * as PgMigrating from "./PgMigrating.ts"
import * as PgPartitions from "./PgPartitions.ts"
import { ms } from "./PgRows.ts"

/** The parts. */
export interface Inspection {
  /** The server's version, as a number (`180004`) and as text; why it can't be asked, as an error. */
  readonly server: Effect.Effect<{ readonly number: number; readonly text: string }, Unusable>
  /** By how much the database's clock is ahead of this machine's, in milliseconds, and how exactly that is known. */
  readonly clock: Effect.Effect<{ readonly aheadMs: number; readonly withinMs: number }, StorageUnavailable>
  /** The version of the layout, 0 where there is none, and the one that this program knows. */
  readonly layout: Effect.Effect<{ readonly found: number; readonly known: number }, StorageUnavailable>
  /** The tables without a partition for today, and those without one for tomorrow. */
  readonly partitions: Effect.Effect<
    { readonly today: ReadonlyArray<string>; readonly tomorrow: ReadonlyArray<string> },
    StorageUnavailable
  >
  /** The days that have expired by these terms and are there still. */
  readonly expired: (terms: Terms) => Effect.Effect<ReadonlyArray<ExpiredDay>, StorageUnavailable>
  /** Some subscriptions, the newest. */
  readonly subscriptions: Effect.Effect<ReadonlyArray<Subscription>, StorageUnavailable>
  /** Some connections, the newest. */
  readonly connections: Effect.Effect<ReadonlyArray<Connection>, StorageUnavailable>
  /** How many enabled subscriptions each provider has. */
  readonly providers: Effect.Effect<
    ReadonlyArray<{ readonly providerId: string; readonly subscriptions: number }>,
    StorageUnavailable
  >
}

/** A database that can't be used, with the reason in words. */
export interface Unusable {
  readonly why: string
}

/** Inspects a database over one connection. */
export const inspect = <A, E, R>(
  url: Redacted.Redacted<string>,
  use: (inspection: Inspection) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | Unusable, R> =>
  PgClient.make({ url, maxConnections: 1, connectTimeout: "5 seconds", applicationName: "hookline-doctor" }).pipe(
    Effect.provide(Reactivity.layer),
    Effect.mapError((error): Unusable => ({ why: why(error) })),
    Effect.flatMap((sql) => use(make(sql))),
    Effect.scoped
  )

// --- internal ---

const make = (sql: PgClient.PgClient): Inspection => ({
  server: Effect.map(
    sql<{ readonly number: number; readonly text: string }>`
      select current_setting('server_version_num')::int as number, current_setting('server_version') as text`,
    ([row]) => row ?? { number: 0, text: "unknown" }
  ).pipe(Effect.mapError((error) => ({ why: why(error) }))),
  clock: Effect.gen(function*() {
    let best = { aheadMs: 0, withinMs: Number.POSITIVE_INFINITY }
    for (let n = 0; n < 3; n++) {
      const sentAtMs = yield* Clock.currentTimeMillis
      const [row] = yield* PgErrors.engine(
        sql<{ readonly now: number }>`select ${sql.literal(ms("clock_timestamp()"))} as now`
      )
      const receivedAtMs = yield* Clock.currentTimeMillis
      const withinMs = (receivedAtMs - sentAtMs) / 2
      if (row && withinMs < best.withinMs) {
        best = { aheadMs: Math.round(row.now - (sentAtMs + receivedAtMs) / 2), withinMs: Math.ceil(withinMs) }
      }
    }
    return best
  }),
  layout: Effect.map(PgMigrating.version(sql), (found) => ({ found, known })),
  partitions: Effect.map(
    PgErrors.engine(sql<{ readonly parent: string; readonly ahead: number }>`
      select parent, ahead from unnest(array['messages', 'routings', 'deliveries', 'attempts']) parent,
        generate_series(0, 1) ahead
      where to_regclass('hookline.' || parent || '_' ||
        to_char((clock_timestamp() at time zone 'utc')::date + ahead, 'YYYYMMDD')) is null
      order by parent`),
    (missing) => ({
      today: missing.filter((row) => row.ahead === 0).map((row) => row.parent),
      tomorrow: missing.filter((row) => row.ahead === 1).map((row) => row.parent)
    })
  ),
  expired: (terms) => PgErrors.engine(PgPartitions.expiredHeld(sql, terms)),
  subscriptions: PgAdministration.make(sql, PgErrors.engine).listSubscriptions({}, { cursor: undefined, limit: 100 }),
  connections: PgConnecting.make(sql, PgErrors.engine).listConnections({}, { cursor: undefined, limit: 100 }),
  providers: PgMembership.make(sql, PgErrors.engine).neededProviders
})

const words: Readonly<Record<string, string>> = {
  "28P01": "it refuses the user or the password",
  "28000": "it refuses the user",
  "3D000": "it has no such database",
  "53300": "it has no connection left for this role",
  "42501": "the role lacks a privilege",
  "57P03": "it is starting up or shutting down",
  ECONNREFUSED: "nobody listens there",
  ECONNRESET: "it cut the connection",
  ENOTFOUND: "the host's name is not known",
  EAI_AGAIN: "the host's name can't be resolved now",
  ETIMEDOUT: "it gave no answer",
  EHOSTUNREACH: "there is no way to the host"
}

/** Never the server's or the client's own text, which may hold what was sent. */
const why = (error: SqlError.SqlError): string => {
  const code = PgErrors.sqlState(error) || systemCode(error.reason.cause)
  return words[code] ?? (code === "" ? `${error.reason._tag}` : code)
}

const systemCode = (cause: unknown): string => {
  if (typeof cause !== "object" || cause === null) return ""
  if (cause instanceof AggregateError) return systemCode(cause.errors[0])
  if ("code" in cause && typeof cause.code === "string" && /^E[A-Z_]+$/u.test(cause.code)) return cause.code
  return "cause" in cause ? systemCode(cause.cause) : ""
}
