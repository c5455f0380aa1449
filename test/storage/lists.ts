/**
 * A database full of history for what proves that lists do not scan it, and every combination of their filters.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError, Statement } from "effect/sql"
import * as Id from "../../src/Id.ts"
import type { AuditFilter, DeliveryFilter, MessageFilter, WalkPage } from "../../src/Storage.ts"
import * as PgWalk from "../../src/storage/PgWalk.ts"
import * as PgWalking from "../../src/storage/PgWalking.ts"

/** The history lies in the partitions of so many days, the first of them yesterday. */
const days = 4

/** How much of it ended without success: few, as in a healthy system. */
const share = 1000

/**
 * Fills a database with deliveries and half as many messages, all in the order of their making; a tenant, an event and a
 * subscription have almost nothing.
 */
export const fill = (deliveries: number) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    yield* sql.unsafe(`create function made(n bigint, total bigint) returns uuid language sql stable as $$
      select (lpad(to_hex((extract(epoch from ((now() at time zone 'utc')::date - 1)::timestamp) * 1000
        + n::float8 / total * ${days} * 86400000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid $$`)
      .unprepared
    yield* sql.unsafe(`create function id(kind int, n bigint) returns uuid language sql immutable as $$
      select ('0190000000007000' || '8' || to_hex(kind) || lpad(to_hex(n), 14, '0'))::uuid $$`).unprepared
    const tenant = sql.literal(`case when n = 7 then 'rare' else 't' || n % 20 end`)
    const event = sql.literal(`case when n = 9 then 'rare.event' else 'a.e' || n % 7 end`)
    const total = sql`${deliveries}::bigint`
    yield* sql`insert into hookline.messages (id, seq, event_id, tenant_id, payload)
      select made(n, ${total}), n, ${event}, ${tenant}, '{}' from generate_series(1, ${total}, 2) n`.unprepared
    yield* sql`insert into hookline.deliveries
        (id, message_id, seq, subscription_id, tenant_id, event_id, status, reason, attempts, retry_base)
      select made(n, ${total}), made(n - 1 + n % 2, ${total}), n,
        id(1, case when n = 11 then 1000 else n % 100 end), ${tenant}, ${event},
        case n % ${share}::int when 1 then 'failed' when 2 then 'cancelled' else 'success' end,
        case n % ${share}::int when 1 then case when n % 7 = 0 then 'gone' else 'exhausted' end when 2 then 'skipped' end, 1, 0
      from generate_series(1, ${total}) n`.unprepared
    // What waits to be routed, and what was set aside.
    yield* sql`insert into hookline.inbox (message_id, worker_group, slot, tenant_id, size, set_aside_at, error)
      select id, 'integration.' || event_id, 0, tenant_id, 2,
        case when seq % ${share}::int = 1 then now() end, case when seq % ${share}::int = 1 then 'refused' end
      from hookline.messages where seq % 10 = 1`.unprepared
    // A backlog: waiting, and a few that are retried.
    yield* sql`insert into hookline.work
        (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, attempts, size)
      select made(n, ${total}), made(n - 1, ${total}), n, id(1, n % 100), 'integration.a.e' || n % 7, 't' || n % 20,
        'a.e' || n % 7, case when n % ${share}::int = 3 then 1 else 0 end, 2
      from generate_series(${total} + 1, ${total} + ${total} / 10) n`.unprepared
    yield* sql`insert into hookline.subscriptions (id, tenant_id, name, events, provider_id, config, signing_secrets,
        enabled, connection_id, version, created_at, updated_at)
      select id(1, n), 't' || n % 20, 's', '{*}', 'a.p', '{}', '[]', n % ${share}::int <> 5, id(2, n % 500), 1, now(), now()
      from generate_series(0, 1000 + ${total} / 100) n`.unprepared
    yield* sql`insert into hookline.keys (id, tenant_id, name, scopes, prefix, digest, created_at)
      select made(n, ${total}), 't' || n % 20, 'k', '{read}', 'hk', n::text, now() from generate_series(1, ${total} / 10) n`
      .unprepared
    yield* sql`insert into hookline.audit (id, tenant_id, actor_kind, actor_id, action, resource_id)
      select made(n, ${total}), 't' || n % 20, 'key', 'key_' || n % 50, 'x.do' || n % 9, 'r' || n % 500
      from generate_series(1, ${total} / 2) n`.unprepared
    for (const table of ["messages", "inbox", "deliveries", "work", "subscriptions", "keys", "audit"]) {
      yield* sql.unsafe(`analyze hookline.${table}`).unprepared
    }
  })

/** Deletes the first so many subscriptions, and lets each so manieth message expire: housekeeping has yet to end what that leaves. */
export const leave = (subscriptions: number, every: number) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    yield* sql`update hookline.subscriptions set deleted_at = now(), enabled = false
      where id < id(1, ${subscriptions}::bigint)`
    // Not in the order of their making.
    yield* sql`update hookline.work set expires_at = now() - make_interval(secs => 1 + seq % 977)
      where seq % ${every}::int = 0`
    // And some that have yet to.
    yield* sql`update hookline.work set expires_at = now() + interval '1 hour' where seq % ${every}::int = 1`
    for (const table of ["work", "subscriptions"]) yield* sql.unsafe(`analyze hookline.${table}`).unprepared
  })

/** A subscription of those that were filled in. */
export const subscriptionId = (n: number): Id.SubscriptionId =>
  Id.SubscriptionId.make(`sub_019000000000700081${n.toString(16).padStart(14, "0")}`)

/** A connection of theirs. */
export const connectionId = (n: number): Id.ConnectionId =>
  Id.ConnectionId.make(`con_019000000000700082${n.toString(16).padStart(14, "0")}`)

/** A combination of a list's filters, as a statement. */
export interface Combination {
  readonly name: string
  readonly walks: (page: WalkPage) => ReadonlyArray<PgWalk.Fragment>
}

/** Every combination of every filter of the lists of history. */
export const combinations = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  const [bounds] = yield* sql<{ readonly message: string; readonly old: string }>`
    select (select id::text from hookline.messages order by id offset 100 limit 1) as message,
      (select id::text from hookline.deliveries order by id offset 300 limit 1) as old`
  if (!bounds) return yield* Effect.die("the database was filled")
  const old = Id.timeOf(Id.DeliveryId.make(`dlv_${Id.fromUuid(bounds.old)}`))
  const cursors = { new: undefined, old: Id.fromUuid(bounds.old) }
  const cursor = (prefix: string, at: keyof typeof cursors) => {
    const uuid = cursors[at]
    return uuid === undefined ? undefined : `${prefix}_${uuid}`
  }
  const deliveries = product<DeliveryFilter>({
    tenantId: ["t3", "rare"],
    subscriptionId: [subscriptionId(3), subscriptionId(1000)],
    eventId: ["a.e3", "rare.event"],
    messageId: [Id.MessageId.make(`msg_${Id.fromUuid(bounds.message)}`)],
    status: ["pending", "retrying", "success", "failed", "cancelled"],
    reason: ["gone", "held", "deleted", "expired"]
  })
  const spans: ReadonlyArray<readonly [string, DeliveryFilter]> = [
    ["", {}],
    ["until long ago", { toMs: old }],
    ["when nothing was", { fromMs: old + 1, toMs: old + 1 }]
  ]
  const found: Array<Combination> = []
  for (const filter of deliveries) {
    for (const [when, span] of spans) {
      for (const at of when === "" ? ["new", "old"] as const : ["new"] as const) {
        found.push({
          name: `deliveries ${at} ${when} ${JSON.stringify(filter)}`,
          walks: (page) => PgWalking.deliveries(sql, { ...filter, ...span }, { ...page, cursor: cursor("dlv", at) })
        })
      }
    }
  }
  for (const at of ["new", "old"] as const) {
    for (
      const filter of product<MessageFilter>({
        tenantId: ["t3", "rare"],
        eventId: ["a.e3", "rare.event"],
        state: ["set-aside"]
      })
    ) {
      found.push({
        name: `messages ${at} ${JSON.stringify(filter)}`,
        walks: (page) => [PgWalking.messageWalk(sql, filter, { ...page, cursor: cursor("msg", at) })]
      })
    }
    const audits = product<AuditFilter>({
      tenantId: ["t3", "rare"],
      resourceId: ["r3", "rare"],
      actorId: ["key_3", "rare"],
      action: ["x.do3", "rare"]
    })
    for (const filter of audits) {
      found.push({
        name: `audit ${at} ${JSON.stringify(filter)}`,
        walks: (page) => [PgWalking.audit(sql, filter, { ...page, cursor: cursor("aud", at) })]
      })
    }
  }
  return found
})

/** What a list's statement did: how long it ran, which tables it read through, and how many stored rows it looked at. */
export interface Explained {
  readonly ms: number
  readonly scanned: ReadonlyArray<string>
  readonly rows: number
}

/** Runs a list's statement as the storage does, and explains it. */
export const explained = (
  walks: ReadonlyArray<PgWalk.Fragment>
): Effect.Effect<Explained, SqlError.SqlError, PgClient.PgClient> =>
  Effect.gen(function*() {
    if (walks.length === 0) return { ms: 0, scanned: [], rows: 0 }
    const sql = yield* PgClient.PgClient
    const statement: Statement.Fragment = PgWalk.statement(sql, walks)
    const settings = Object.entries(PgWalk.settings)
    const [row] = yield* sql.withTransaction(Effect.andThen(
      Effect.forEach(settings, ([name, value]) => sql`select set_config(${name}, ${value}, true)`),
      sql<{ readonly "QUERY PLAN": ReadonlyArray<{ readonly Plan: Node; readonly "Execution Time": number }> }>`
        explain (analyze, format json) ${statement}`.unprepared
    ))
    const plan = row?.["QUERY PLAN"][0]
    if (!plan) return yield* Effect.die("the server explains")
    const nodes = all(plan.Plan).filter((node) => history.test(node["Relation Name"] ?? ""))
    return {
      ms: plan["Execution Time"],
      scanned: nodes.filter((node) => /Seq Scan|Bitmap/u.test(node["Node Type"])).map((node) =>
        node["Relation Name"] ?? ""
      ),
      rows: nodes.reduce(
        (sum, node) => sum + node["Actual Loops"] * (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)),
        0
      )
    }
  })

// --- internal ---

/** What grows with history. */
const history = /^(messages|inbox|routings|deliveries|attempts|audit|work)/u

interface Node {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Actual Rows": number
  readonly "Actual Loops": number
  readonly "Rows Removed by Filter"?: number
  readonly Plans?: ReadonlyArray<Node>
}

const all = (node: Node): ReadonlyArray<Node> => [node, ...(node.Plans ?? []).flatMap(all)]

/** Every combination of values, each field left out too. */
const product = <A extends object>(
  fields: { readonly [K in keyof A]?: ReadonlyArray<A[K]> }
): ReadonlyArray<Partial<A>> => {
  let found: ReadonlyArray<Partial<A>> = [{}]
  for (const name in fields) {
    const values = fields[name] ?? []
    found = found.flatMap((one) => [one, ...values.map((value) => ({ ...one, [name]: value }))])
  }
  return found
}
