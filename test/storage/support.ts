/**
 * What the tests of the PostgreSQL storage share: the storage on a database of its own, and rows to put into it.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Schedule } from "effect"
import type { AttemptRecord, Transition } from "../../src/Delivery.ts"
import * as Id from "../../src/Id.ts"
import type { Message } from "../../src/Message.ts"
import { type Owner, Storage } from "../../src/Storage.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import type { Subscription } from "../../src/Subscription.ts"
import * as Postgres from "../support/postgres.ts"

/** The storage, and the caller's client beside it. */
export const storage = PgStorage.layer().pipe(Layer.provideMerge(Postgres.layer))

export const eventId = "incident.incident.created"
export const group = { workerGroup: `integration.${eventId}`, partition: 0 }

/** Makes the partitions of a day in the past. */
export const prepareDay = (day: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.forEach(
      ["messages", "routings", "deliveries", "attempts"],
      (table) =>
        sql`select hookline.make_partition(${table}, ${day}::date)
          where to_regclass('hookline.' || ${table} || '_' || replace(${day}, '-', '')) is null`,
      { discard: true }
    ))

export const eventually = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>) =>
  condition.pipe(
    Effect.flatMap((met) => met ? Effect.void : Effect.fail(new Error(`it did not come to pass: ${what}`))),
    Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 400 })
  )

/** Whether a session waits for a lock with a statement that holds a text. */
export const waits = (text: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.map(
      sql<{ readonly n: number }>`select count(*)::int as n from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like ${`%${text}%`}`,
      ([row]) => (row?.n ?? 0) > 0
    ))

/** The rows that an effect's statements read of each table. */
export const read = (session: PgClient.PgClient, effect: Effect.Effect<unknown, unknown>) => {
  const counted = session<{ readonly name: string; readonly n: number }>`
    select relname as name, (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as n
    from pg_stat_xact_user_tables where schemaname = 'hookline'`
  return session.withTransaction(Effect.gen(function*() {
    const before = new Map((yield* counted).map(({ n, name }) => [name, n]))
    yield* effect
    return (yield* counted).map(({ n, name }) => ({ name, n: n - (before.get(name) ?? 0) }))
  }))
}

export const message = (overrides?: Partial<Message>) =>
  Effect.gen(function*() {
    const { now } = yield* Storage
    return {
      id: yield* Id.messageId(yield* now),
      eventId,
      tenantId: "default",
      orderingKey: undefined,
      payloadJson: "{}",
      ...overrides
    } satisfies Message
  })

export const subscribe = (overrides?: Partial<Subscription>) =>
  Effect.gen(function*() {
    const storage = yield* Storage
    const now = yield* storage.now
    const id = yield* Id.subscriptionId(now)
    yield* storage.createSubscription({
      id,
      tenantId: "default",
      name: "a",
      description: undefined,
      events: ["*"],
      providerId: "test.endpoint",
      config: {},
      connectionId: undefined,
      signingSecrets: [],
      retry: undefined,
      enabled: true,
      disabledReason: undefined,
      disabledAtMs: undefined,
      filter: undefined,
      ordered: false,
      maxConcurrency: undefined,
      rateLimit: undefined,
      createdAtMs: now,
      updatedAtMs: now,
      ...overrides
    })
    return id
  })

/** Appends a message and routes it to a subscription. */
export const deliver = (
  owner: Owner,
  subscriptionId: Id.SubscriptionId,
  claimed = false,
  overrides?: Partial<Message>
) =>
  Effect.gen(function*() {
    const storage = yield* Storage
    const appended = yield* message(overrides)
    yield* storage.append([appended])
    const { version } = yield* storage.subscriptions
    const id = yield* Id.deliveryId(yield* storage.now)
    const routed = yield* storage.route(routing(owner, version, appended.id, [
      { id, messageId: appended.id, subscriptionId, claimed }
    ]))
    return { id, messageId: appended.id, routed }
  })

export const routing = (
  owner: Owner,
  version: number,
  messageId: Id.MessageId,
  deliveries: Parameters<Storage["Service"]["route"]>[0]["deliveries"],
  error?: string
): Parameters<Storage["Service"]["route"]>[0] => ({
  version,
  messages: [{ owner, messageId, seq: 1, matched: 1, filtered: 0, transformedJson: undefined, error }],
  deliveries
})

export const claim = (owner: Owner, subscriptionId: Id.SubscriptionId, suspect = false) =>
  Effect.flatMap(Storage, (storage) =>
    storage.claim({
      owners: [owner],
      lanes: [{ workerGroup: owner.workerGroup, subscriptionId, free: 10 }],
      limit: 10,
      bytes: 1e9,
      suspectClaims: 2,
      suspectProviders: suspect ? ["test.endpoint"] : []
    }))

export const record = (
  owner: Owner,
  deliveryId: Id.DeliveryId,
  transition: Transition,
  attempt?: Partial<AttemptRecord>
) =>
  Effect.flatMap(Storage, (storage) =>
    storage.record([{
      owner,
      deliveryId,
      attemptCount: 0,
      attempt: { number: 1, startedAtMs: 1_700_000_000_000, durationMs: 1, outcome: "success", ...attempt },
      transition
    }]))

export const success: Extract<Transition, { readonly _tag: "Final" }> = {
  _tag: "Final",
  status: "success",
  reason: undefined,
  externalId: undefined,
  lastError: undefined
}
