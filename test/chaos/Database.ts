/**
 * The database: the real server in a folder, which can be ended hard and comes back on another port; and what its rows say,
 * read past the runners' links.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Redacted, Schedule, Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as EmbeddedPostgres from "../../src/storage/EmbeddedPostgres.ts"
import { ms } from "../../src/storage/PgRows.ts"
import type * as Dice from "./Dice.ts"
import * as Link from "./Link.ts"
import type * as Evidence from "./verdict/Evidence.ts"

const id = (prefix: string, column: string) => `'${prefix}_' || replace(${column}::text, '-', '')`

/** Makes the server's folder and starts it; it is stopped when the scope closes. */
export const make = Effect.fnUntraced(function*(dataDir: string) {
  const scope = yield* Effect.scope
  const start = Effect.gen(function*() {
    const own = yield* Scope.fork(scope)
    const server = yield* Scope.provide(EmbeddedPostgres.make({ dataDir }), own)
    return { own, server }
  })
  let current = yield* start
  const through = (port: number) => {
    const url = new URL(Redacted.value(current.server.url))
    url.port = String(port)
    return Redacted.make(url.href)
  }
  const port = () => current.server.port
  const link = yield* Link.make(port)
  const sql = yield* PgClient.make({
    url: through(link.port),
    maxConnections: 2,
    applicationName: "chaos",
    startupParameters: { statement_timeout: "30000" }
  }).pipe(Effect.provide(Reactivity.layer))
  const lock = Path.join(dataDir, "postgres", "postmaster.pid")

  /** Ends the server's first process; the others follow it. */
  const end = (signal: "SIGQUIT" | "SIGKILL") =>
    Effect.sync(() => {
      const pid = Number(Fs.readFileSync(lock, "utf8").split("\n")[0])
      if (pid > 0) process.kill(pid, signal)
    })

  return {
    port,
    /** The database's URL by way of a link. */
    through,
    end,
    /** After an end. */
    again: Effect.gen(function*() {
      // Closes nothing but what is known of it: the server is gone.
      yield* Scope.close(current.own, Exit.void)
      current = yield* start
    }),
    endSessions: Effect.fnUntraced(function*(share: number, dice: Dice.Dice) {
      const sessions = yield* sql<{ readonly pid: number }>`
        select pid from pg_stat_activity where application_name like 'hookline%' order by pid`
      const met = sessions.filter(() => dice.chance(share))
      for (const { pid } of met) yield* sql`select pg_terminate_backend(${pid}::int)`
      return met.length
    }),
    /** Of which deliveries an attempt is recorded under the epoch that its group has now, and which group that is. */
    current: (deliveryIds: ReadonlyArray<string>) =>
      sql<{ readonly delivery: string; readonly workerGroup: string }>`
        select distinct ${
        sql.literal(id("dlv", "a.delivery_id"))
      } as delivery, o.worker_group as "workerGroup" from hookline.attempts a
        join hookline.owners o on o.epoch = a.epoch
        where a.delivery_id = any(string_to_array(${deliveryIds.map((one) => one.slice(4)).join(",")}, ',')::uuid[])`,
    /** The events that are shared out to partitions. */
    partitions: sql<{ readonly eventId: string; readonly count: number }>`
      select event_id as "eventId", count::int as count from hookline.partitions`,
    owners: sql<Evidence.Owned>`select worker_group as "workerGroup", epoch::float8 as epoch,
      ${sql.literal(ms("clock_timestamp()"))} as "seenAtMs" from hookline.owners`,
    /** A circuit and, unless there is none, what is left of its deliveries, in one snapshot. */
    circuit: (subscriptionId: string) =>
      sql<Omit<Evidence.Sight, "subscriptionId">>`
        select ${sql.literal(ms("clock_timestamp()"))} as "atMs", c.opens::int as opens,
          ${sql.literal(ms("c.open_until"))} as "openUntilMs",
          (select coalesce(json_agg(json_build_object('id', ${
        sql.literal(id("dlv", "w.id"))
      }, 'attempts', w.attempts, 'claimed', w.epoch is not null)), '[]') from hookline.work w
            where w.subscription_id = c.subscription_id) as work
        from hookline.circuits c where c.subscription_id = ${subscriptionId.slice(4)}::uuid`,
    /** Hookline's own subscriptions, of the work queues. */
    queues: sql<Evidence.Subscription>`select ${sql.literal(id("sub", "id"))} as id, name as receiver, events
      from hookline.subscriptions where tenant_id = '*' and deleted_at is null`,
    /** What was broadcast last. */
    told: sql<{ readonly messageId: string }>`select ${sql.literal(id("msg", "message_id"))} as "messageId"
      from hookline.broadcasts order by position desc limit 1`,
    /** What is left to do: unrouted messages and unfinished deliveries. */
    left: sql<{ readonly unrouted: number; readonly unfinished: number }>`
      select (select count(*) from hookline.inbox where set_aside_at is null)::int as unrouted,
        (select count(*) from hookline.work)::int as unfinished`,
    rows: Effect.gen(function*() {
      const messages = yield* sql<Evidence.Message>`select ${
        sql.literal(id("msg", "m.id"))
      } as id, m.event_id as "eventId",
          m.payload::json ->> 'key' as key,
          case when r.message_id is not null then 'routed' when i.set_aside_at is not null then 'set-aside'
            when i.message_id is not null then 'unrouted' else 'nowhere' end as state
        from hookline.messages m left join hookline.routings r on r.message_id = m.id
        left join hookline.inbox i on i.message_id = m.id
        where m.event_id not like 'hookline.%'`
      const deliveries = yield* sql<Evidence.Delivery>`
        select ${sql.literal(id("dlv", "id"))} as id, ${sql.literal(id("msg", "message_id"))} as "messageId",
          ${sql.literal(id("sub", "subscription_id"))} as "subscriptionId", status, reason, attempts::int as attempts,
          case when reason = 'crashed-owner' then substring(last_error from '[0-9]+')::int else 0 end as claims
        from hookline.deliveries
        union all
        select ${sql.literal(id("dlv", "id"))}, ${sql.literal(id("msg", "message_id"))},
          ${sql.literal(id("sub", "subscription_id"))}, 'unfinished',
          concat_ws(' ', worker_group, 'epoch', coalesce(epoch::text, 'none'), 'due', due_at), attempts::int, claims::int
        from hookline.work`
      const attempts = yield* sql<Evidence.Attempt>`select ${sql.literal(id("dlv", "delivery_id"))} as "deliveryId",
          number::int as number, ${
        sql.literal(ms("started_at"))
      } as "startedAtMs", duration_ms::int as "durationMs", outcome,
          status_code::int as "statusCode", epoch::float8 as epoch, claims::int as claims
        from hookline.attempts order by delivery_id, number`
      const broadcasts = yield* sql<Evidence.Broadcast>`
        select ${sql.literal(id("msg", "message_id"))} as "messageId", position::float8 as position
        from hookline.broadcasts order by position`
      const unclosed = yield* sql<{ readonly id: string }>`
        select ${sql.literal(id("sub", "subscription_id"))} as id from hookline.circuits where open_until is not null`
      return { messages, deliveries, attempts, broadcasts, unclosed: unclosed.map(({ id }) => id) }
    }).pipe(Effect.retry({ times: 5, schedule: Schedule.spaced("1 second") }))
  }
})

export type Database = Effect.Success<ReturnType<typeof make>>
