/**
 * Recording: what attempts have come to, in one fenced statement.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import * as Id from "../Id.ts"
import type { Outcome } from "../Storage.ts"
import { column, picked, type Places, storable, uuids } from "./PgArray.ts"
import * as PgCircuits from "./PgCircuits.ts"
import * as PgCounting from "./PgCounting.ts"
import * as PgHttpText from "./PgHttpText.ts"
import * as PgOrdering from "./PgOrdering.ts"
import { fence, ownersOf } from "./PgOwnership.ts"
import * as PgRows from "./PgRows.ts"

/** Records outcomes; tells of which deliveries it did. */
export const record = (
  sql: PgClient.PgClient,
  outcomes: ReadonlyArray<Outcome>
): Effect.Effect<ReadonlyArray<Id.DeliveryId>, SqlError.SqlError> =>
  Effect.suspend(() => {
    const each = once(outcomes)
    return Effect.map(
      statement(sql, each),
      ([row]) => picked(each, row?.places).map(({ deliveryId }) => deliveryId)
    )
  })

// --- internal ---

/** Each outcome once: one that stands twice would be two attempts of one number, and the whole batch refused. */
const once = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> =>
  // Which is hardly ever needed.
  new Set(outcomes.map(({ deliveryId }) => deliveryId)).size === outcomes.length ? outcomes : [
    ...new Map(outcomes.toReversed().map((one) => [`${one.deliveryId} ${one.attemptCount} ${one.owner.epoch}`, one]))
      .values()
  ]

/**
 * What is told of an attempt and its delivery, of which the rows of `asked` and what is made of them consist: long texts last, as the
 * server passes all columns before the one that it reads.
 */
const told =
  `g.place, g.status, g.sign, g.filled_at, g.open_until, g.started_at, g.due_at, g.attempts, g.epoch, g.reason,
  g.external_id, g.last_error, g.duration_ms, g.outcome, g.status_code, g.error_tag, g.error_message, g.retry_after_ms,
  g.phases, g.response, g.request`

const around = ({ attempt: { startedAtMs }, deliveryId }: Outcome): PgHttpText.Around => ({ deliveryId, startedAtMs })

const statement = (sql: PgClient.PgClient, outcomes: ReadonlyArray<Outcome>) => {
  const final = (outcome: Outcome) => outcome.transition._tag === "Final" ? outcome.transition : undefined
  // What ends is deleted at once, by the same look at its row that judges it; what is kept is locked until it is changed.
  return sql<Places>`with ${fence(sql, ownersOf(outcomes))}, asked as materialized (
    select g.*, f.epoch from unnest(
      ${uuids(outcomes, (outcome) => Id.toUuid(outcome.deliveryId))}::uuid[],
      ${column("float8", outcomes, (outcome) => outcome.owner.epoch)}::float8[],
      ${column("int4", outcomes, (outcome) => outcome.attemptCount)}::int[],
      ${column("text", outcomes, (outcome) => final(outcome)?.status)}::text[],
      ${column("text", outcomes, (outcome) => final(outcome)?.reason)}::text[],
      ${column("text", outcomes, (outcome) => storable(final(outcome)?.externalId))}::text[],
      ${column("text", outcomes, (outcome) => storable(outcome.transition.lastError))}::text[],
      ${
    column("float8", outcomes, ({ transition }) => transition._tag === "Retry" ? transition.dueAtMs : undefined)
  }::float8[],
      ${column("float8", outcomes, (outcome) => outcome.attempt.startedAtMs)}::float8[],
      ${column("int4", outcomes, (outcome) => PgRows.int4(outcome.attempt.durationMs))}::int[],
      ${column("text", outcomes, (outcome) => outcome.attempt.outcome)}::text[],
      ${column("int4", outcomes, (outcome) => PgRows.int4(outcome.attempt.statusCode))}::int[],
      ${column("text", outcomes, (outcome) => storable(outcome.attempt.error?.tag))}::text[],
      ${column("text", outcomes, (outcome) => storable(outcome.attempt.error?.message))}::text[],
      ${
    column("float8", outcomes, (outcome) => PgRows.atMost(outcome.attempt.retryAfterMs, Number.MAX_SAFE_INTEGER))
  }::float8[],
      ${
    column("text", outcomes, (outcome) => PgHttpText.ofResponse(outcome.attempt.response, around(outcome)))
  }::text[],
      ${column("text", outcomes, (outcome) => PgRows.phasesText(outcome.attempt.phases))}::text[],
      ${column("text", outcomes, (outcome) => PgHttpText.ofRequest(outcome.attempt.request, around(outcome)))}::text[],
      ${column("float8", outcomes, (outcome) => outcome.filledAtMs)}::float8[],
      ${column("text", outcomes, (outcome) => outcome.sign)}::text[],
      ${column("float8", outcomes, (outcome) => outcome.openUntilMs)}::float8[]
    ) with ordinality as g(id, owner_epoch, attempts, status, reason, external_id, last_error, due_at, started_at,
      duration_ms, outcome, status_code, error_tag, error_message, retry_after_ms, response, phases, request, filled_at, sign, open_until, place)
    join fence f on f.epoch = g.owner_epoch::bigint
  ), finished as (
    delete from hookline.work w using asked g
    where w.id between g.id and g.id and w.epoch is not distinct from g.epoch and w.attempts = g.attempts
      and (g.status is not null or exists (
        select 1 from hookline.subscriptions s
        where s.id between w.subscription_id and w.subscription_id and s.deleted_at is not null))
    returning w.id, w.message_id, w.seq, w.subscription_id, w.worker_group, w.tenant_id, w.event_id, w.ordering_key, w.retry_base,
      w.claims, w.webhook_of, ${sql.literal(told)}
  ), kept as materialized (
    select w.id, w.subscription_id, w.tenant_id, w.event_id, w.claims, ${sql.literal(told)}
    from asked g join hookline.work w
      on w.id between g.id and g.id and w.epoch is not distinct from g.epoch and w.attempts = g.attempts
    join hookline.subscriptions s on s.id between w.subscription_id and w.subscription_id
    where g.status is null and coalesce(s.deleted_at, 'infinity') = 'infinity' for update of w
  ), given as not materialized (
    select id, subscription_id, tenant_id, event_id, claims, ${sql.literal(told.replaceAll("g.", ""))} from finished
    union all select * from kept
  ), history as (
    insert into hookline.deliveries (id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, status,
      reason, attempts, retry_base, external_id, last_error, webhook_of)
    select id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, coalesce(status, 'cancelled'),
      case when status is null then 'deleted' else reason end, attempts + 1, retry_base, external_id, last_error,
      webhook_of
    from finished returning ${PgCounting.ending(sql)}
  ), ${PgOrdering.unparked(sql, "finished")}, retried as materialized (
    select id, subscription_id, tenant_id, event_id, last_error, due_at from kept
  ), ${PgCounting.recorded(sql, { ended: "history", retried: "retried" })}, ${
    PgOrdering.homes(sql, "retried")
  }, again as (
    update hookline.work w set epoch = null, claims = 0, attempts = w.attempts + 1, last_error = g.last_error,
      due_at = to_timestamp(g.due_at / 1000.0), worker_group = ${PgOrdering.home(sql)}
    from retried g join homes h on h.id = g.subscription_id where w.id between g.id and g.id
  ), spent as (
    insert into hookline.lanes (subscription_id, filled_at)
    select subscription_id, to_timestamp(max(filled_at) / 1000.0) from given where filled_at is not null
    group by subscription_id
    on conflict (subscription_id) do update set filled_at = greatest(lanes.filled_at, excluded.filled_at)
  ), ${PgCircuits.signs(sql, "given")}, ${PgCircuits.told(sql, outcomes)}log as (
    insert into hookline.attempts (delivery_id, number, started_at, duration_ms, outcome, status_code, error_tag,
      error_message, retry_after_ms, response, epoch, claims, phases, request)
    select id, attempts + 1, to_timestamp(started_at / 1000.0), duration_ms, outcome, status_code, error_tag, error_message,
      retry_after_ms, response, epoch, claims, phases, request from given
  )
  select array_agg(place::int) as places from given`
}
