/**
 * Rows of Hookline's that nobody emitted, as SQL: what waits, and what was delivered long ago.
 */
import { workerGroup } from "../src/Message.ts"
import { make } from "./Payload.ts"

const event = "bench.happened.0"

/** UUIDv7s by their number within a kind, as if they had been made evenly within the minutes before now. */
const idsOf = (kind: "a" | "b" | "c", total: number, minutes: number) => (n: string) =>
  `(lpad(to_hex(floor((extract(epoch from now()) - ${
    minutes * 60
  } * (1 - (${n})::float8 / ${total})) * 1000)::bigint), 12, '0')
    || '7${kind}008000' || lpad(to_hex((${n})::bigint), 12, '0'))::uuid`

/** A payload of the bench's, with the number of its row. */
const payload = `replace('${JSON.stringify(make(0))}', '"p0"', '"p' || n || '"')`

/**
 * Stores so many messages that have yet to be routed, in one statement, so that they are seen all at once. `partitions` says to
 * how many the event's are shared out.
 */
export const waiting = (count: number, partitions = 1): string => {
  const id = idsOf("a", count, 5)
  const group = partitions === 1
    ? `'${workerGroup(event)}'`
    : `'${workerGroup(event)}#' || (n % 1024 * ${partitions} / 1024) || '.${partitions}'`
  return `with made as materialized (
      select nextval('hookline.message_seq') as seq, ${id("n")} as id, n, ${payload} as payload
      from generate_series(1, ${count}) n
    ), stored as (
      insert into hookline.messages (id, seq, event_id, tenant_id, payload)
      select id, seq, '${event}', 'default', payload from made
    )
    insert into hookline.inbox (seq, message_id, worker_group, slot, tenant_id, size)
    select seq, id, ${group}, n % 1024, 'default', octet_length(payload) from made`
}

/** Messages of history for each of its deliveries: a tenth, as if each had gone to ten subscriptions. */
const fanOut = 10

/** Stores so many deliveries that succeeded at their first attempt within the last day, with all that is kept of them. */
export const finished = (count: number): ReadonlyArray<string> => {
  const messages = Math.ceil(count / fanOut)
  const minutes = 23 * 60
  const message = idsOf("b", messages, minutes)
  const delivery = idsOf("c", count, minutes)
  // Of the same message's moment or a little later, as its number is.
  const messageOf = message(`ceil(n / ${fanOut}.0)`)
  return [
    `insert into hookline.messages (id, seq, event_id, tenant_id, payload)
      select ${message("n")}, nextval('hookline.message_seq'), '${event}', 'default', ${payload}
      from generate_series(1, ${messages}) n`,
    `insert into hookline.routings (message_id, version, matched, filtered)
      select ${message("n")}, 1, ${fanOut}, 0 from generate_series(1, ${messages}) n`,
    `insert into hookline.deliveries
        (id, message_id, seq, subscription_id, tenant_id, event_id, status, attempts, retry_base)
      select ${
      delivery("n")
    }, ${messageOf}, n, ('019000000000700080000000' || lpad(to_hex(n % 1000), 8, '0'))::uuid, 'default',
        '${event}', 'success', 1, 0
      from generate_series(1, ${count}) n`,
    `insert into hookline.attempts (delivery_id, number, started_at, duration_ms, outcome, status_code, response, epoch, claims,
        phases, request)
      select ${delivery("n")}, 1, now(), 3, 'success', 200, '{}', 1, 1, '////3',
        '["POST","http://127.0.0.1:8080/drain",null]'
      from generate_series(1, ${count}) n`
  ]
}

/** Bytes of all of Hookline's tables with their indexes. */
export const bytes = `select sum(pg_total_relation_size(c.oid))::float8 as bytes from pg_class c
  where c.relnamespace = 'hookline'::regnamespace and c.relkind in ('r', 'm')`
