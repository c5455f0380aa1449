/**
 * The database's layout, in migrations. History (`messages`, `routings`, `deliveries`, `attempts`) is partitioned by the
 * time in the UUIDv7 that is its key; what changes (`inbox`, `work`, `owners`) is narrow and small.
 *
 * From 0011 on each is made for a large database whose runners go on: it rewrites no table, builds the indexes of tables that
 * have rows concurrently, and locks at most one table that runners use, as with a second one it could hold what they need
 * while it waits for them. What runners of the version before need stays until the next version.
 */
import type { Index } from "./PgIndexes.ts"
import { retention } from "./RetentionLayout.ts"
import { stats } from "./StatsLayout.ts"

/**
 * Whether a delivery of `work` was attempted or is delivered again: such wait in a line of their own. The index of claims is
 * made of these words.
 *
 * @category migrations
 * @since 0.1.0
 */
export const again = (of = ""): string => `(${of}attempts > ${of}retry_base or ${of}replay_id is not null)`

/**
 * What holds of each delivery of `work`, and is a condition of the indexes that only lists are read by: a statement that does not
 * say it is never planned with one of them. While the table is counted as empty all indexes cost the same, and a delivery would be looked
 * for by its id along the whole of one that begins with something else.
 *
 * @category migrations
 * @since 0.1.0
 */
export const isListed = (of = ""): string => `${of}size >= 0`

const layout = `
create schema if not exists hookline;
create sequence if not exists hookline.message_seq;
create sequence if not exists hookline.epoch_seq;

create table hookline.messages (
  id uuid primary key,
  seq bigint not null,
  event_id text collate "C" not null,
  tenant_id text collate "C" not null,
  ordering_key text,
  payload text not null
) partition by range (id);
create index on hookline.messages (tenant_id, id);
create index on hookline.messages (event_id, id);

create table hookline.inbox (
  seq bigint primary key default nextval('hookline.message_seq'),
  message_id uuid not null unique,
  worker_group text collate "C" not null,
  slot smallint not null,
  tenant_id text collate "C" not null,
  ordering_key text,
  size int not null,
  set_aside_at timestamptz,
  error text
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index inbox_waiting on hookline.inbox (worker_group, seq) where set_aside_at is null;

create table hookline.routings (
  message_id uuid primary key,
  routed_at timestamptz not null default clock_timestamp(),
  version bigint not null,
  matched int not null,
  filtered int not null,
  transformed text
) partition by range (message_id);

create table hookline.work (
  id uuid primary key,
  message_id uuid not null,
  seq bigint not null,
  subscription_id uuid not null,
  worker_group text collate "C" not null,
  tenant_id text collate "C" not null,
  event_id text collate "C" not null,
  ordering_key text,
  attempts smallint not null default 0,
  retry_base smallint not null default 0,
  claims smallint not null default 0,
  epoch bigint,
  due_at timestamptz not null default clock_timestamp(),
  size int not null,
  last_error text
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index work_waiting on hookline.work (worker_group, subscription_id, due_at, seq) where epoch is null;
create index work_claimed on hookline.work (worker_group, epoch) where epoch is not null;
create index work_suspects on hookline.work (worker_group, due_at) where epoch is null and claims >= 1;
create index work_by_subscription on hookline.work (subscription_id, id);
create index work_by_message on hookline.work (message_id);
create index work_by_tenant on hookline.work (tenant_id, id);

create table hookline.deliveries (
  id uuid primary key,
  message_id uuid not null,
  seq bigint not null,
  subscription_id uuid not null,
  tenant_id text collate "C" not null,
  event_id text collate "C" not null,
  ordering_key text,
  status text collate "C" not null,
  reason text collate "C",
  attempts smallint not null,
  retry_base smallint not null,
  external_id text,
  last_error text,
  completed_at timestamptz not null default clock_timestamp()
) partition by range (id);
create index on hookline.deliveries (subscription_id, id);
create index on hookline.deliveries (message_id);
create index on hookline.deliveries (tenant_id, id);
create index on hookline.deliveries (event_id, id);

create table hookline.attempts (
  delivery_id uuid not null,
  number smallint not null,
  started_at timestamptz not null,
  duration_ms int not null,
  outcome text collate "C" not null,
  status_code int,
  error_tag text,
  error_message text,
  retry_after_ms bigint,
  response text,
  epoch bigint not null,
  claims smallint not null,
  primary key (delivery_id, number)
) partition by range (delivery_id);

create table hookline.subscription_version (
  singleton boolean primary key default true check (singleton),
  version bigint not null
);
insert into hookline.subscription_version (version) values (0);

create table hookline.subscriptions (
  id uuid primary key,
  tenant_id text collate "C" not null,
  name text not null,
  description text,
  events text[] not null,
  provider_id text not null,
  config jsonb not null,
  signing_secrets jsonb not null,
  retry jsonb,
  filter jsonb,
  enabled boolean not null,
  disabled_reason text,
  disabled_at timestamptz,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz
);
create index on hookline.subscriptions (tenant_id, id) where deleted_at is null;

create table hookline.runners (
  id uuid primary key,
  lease_until timestamptz not null
) with (fillfactor = 50);

create table hookline.owners (
  worker_group text collate "C" not null,
  partition int not null,
  epoch bigint not null,
  runner_id uuid,
  claimable_at timestamptz not null,
  primary key (worker_group, partition)
) with (fillfactor = 50);

create table hookline.idempotency (
  tenant_id text collate "C" not null,
  key text collate "C" not null,
  message_id uuid not null,
  content_hash text not null,
  expires_at timestamptz not null,
  primary key (tenant_id, key)
);
create index on hookline.idempotency (expires_at);

-- Makes the partitions of the days from yesterday on. It locks their parents, so it gives up soon behind a long reader: emits
-- wait behind it, and there are days of partitions left. The bounds are the days' times as the first 48 bits of a UUIDv7.
create function hookline.make_partitions(days_ahead int) returns void language plpgsql set lock_timeout = '2s' as $$
declare
  day date;
  parent text;
  name text;
begin
  perform pg_advisory_xact_lock(hashtext('hookline.make_partitions'));
  for day in
    select (clock_timestamp() at time zone 'utc')::date + i from generate_series(-1, days_ahead) i
  loop
    foreach parent in array array['messages', 'routings', 'deliveries', 'attempts'] loop
      name := parent || '_' || to_char(day, 'YYYYMMDD');
      if to_regclass('hookline.' || name) is null then
        execute format(
          'create table hookline.%I partition of hookline.%I for values from (%L) to (%L)',
          name, parent, hookline.day_bound(day), hookline.day_bound(day + 1)
        );
      end if;
    end loop;
  end loop;
end $$;

create function hookline.day_bound(day date) returns uuid language sql immutable as $$
  select (lpad(to_hex((extract(epoch from day::timestamp) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

select hookline.make_partitions(7);
`

const cluster = `
create table hookline.cluster_settings (
  singleton boolean primary key default true check (singleton),
  shards int not null,
  lock_expiry_ms int not null
);

create table hookline.members (
  address text collate "C" primary key,
  machine_id int generated always as identity,
  runner text not null,
  healthy boolean not null,
  registered boolean not null default true,
  heartbeat_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

create table hookline.shards (
  id text collate "C" primary key,
  address text collate "C"
) with (fillfactor = 50);
create index on hookline.shards (address);

alter table hookline.runners add column announced jsonb;
`

const broadcast = `
create table hookline.listened (
  worker_group text collate "C" primary key,
  position bigint not null default 0,
  listened_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

create table hookline.broadcasts (
  worker_group text collate "C" not null,
  position bigint not null,
  message_id uuid not null,
  told_at timestamptz not null default clock_timestamp(),
  primary key (worker_group, position)
);
create index on hookline.broadcasts (told_at);
`

const ordering = `
alter table hookline.subscriptions add column ordered boolean not null default false;
alter table hookline.subscriptions add column max_concurrency int;
alter table hookline.subscriptions add column rate_limit jsonb;

-- The worker group of its own, where it needs one; and what was claimed in other groups when it got it.
alter table hookline.subscriptions add column worker_group text collate "C" generated always as (
  case when ordered or max_concurrency is not null or rate_limit is not null
    then 'subscription.sub_' || translate(id::text, '-', '') end
) stored;
alter table hookline.subscriptions add column awaited uuid[];

create index work_ordered on hookline.work (worker_group, ordering_key, seq)
  where worker_group like 'subscription.%' and ordering_key is not null;
create index work_under_way on hookline.work (worker_group, ordering_key)
  where epoch is not null and worker_group like 'subscription.%' and ordering_key is not null;
create index work_parked on hookline.work (worker_group, ordering_key) where due_at = 'infinity';
create index inbox_ordered on hookline.inbox (tenant_id, ordering_key, seq)
  where ordering_key is not null and set_aside_at is null;

create table hookline.lanes (
  subscription_id uuid primary key,
  filled_at timestamptz not null
) with (fillfactor = 50);
`

const circuits = `
create table hookline.circuits (
  subscription_id uuid primary key,
  failures int not null,
  failing_since timestamptz not null,
  opens int not null default 0,
  open_until timestamptz,
  warned_at timestamptz
) with (fillfactor = 50);
`

const times = `
alter table hookline.messages add column deliver_at timestamptz;
alter table hookline.messages add column expires_at timestamptz;
alter table hookline.work add column expires_at timestamptz;
alter table hookline.work add column retried boolean not null generated always as (attempts > retry_base) stored;
create index work_expiring on hookline.work (expires_at) where expires_at is not null;

-- What was never attempted and what is to be retried are claimed in turn.
drop index hookline.work_waiting;
create index work_waiting on hookline.work (worker_group, subscription_id, retried, due_at, seq) where epoch is null;
`

const tenants = `
drop index hookline.inbox_waiting;
create index inbox_waiting on hookline.inbox (worker_group, tenant_id, seq) where set_aside_at is null;
`

const partitions = `
create table hookline.partitions (
  event_id text collate "C" primary key,
  count int not null
);
`

const moving = `
-- Whether what waits has yet to be moved to where it belongs.
alter table hookline.subscriptions add column moving boolean not null default false;
create index on hookline.subscriptions (id) where moving;
`

const keys = `
create table hookline.keys (
  id uuid primary key,
  tenant_id text collate "C" not null,
  name text not null,
  scopes text[] not null,
  prefix text not null,
  digest text collate "C" not null unique,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz not null
);
create index on hookline.keys (tenant_id, id);

create table hookline.audit (
  id uuid primary key,
  tenant_id text collate "C" not null,
  actor_kind text not null,
  actor_id text collate "C",
  actor_name text,
  action text collate "C" not null,
  resource_id text collate "C" not null,
  before jsonb,
  after jsonb
);
create index on hookline.audit (tenant_id, id);
create index on hookline.audit (resource_id, id);
create index on hookline.audit (actor_id, id);
create index on hookline.audit (action, id);

create function hookline.refuse() returns trigger language plpgsql as $$
begin
  raise exception 'hookline.% is only ever added to', tg_table_name;
end
$$;
create trigger only_added before update or delete or truncate on hookline.audit
  for each statement execute function hookline.refuse();
`

const connections = `
create table hookline.connections (
  id uuid primary key,
  tenant_id text collate "C" not null,
  provider_id text collate "C" not null,
  name text not null,
  config jsonb not null,
  version bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index on hookline.connections (tenant_id, provider_id, id);

-- No foreign key: the rows of deleted subscriptions stay, and keep no connection alive.
-- And whether nothing is left to be ended of one that was deleted: what knows no better leaves that to be looked for.
alter table hookline.subscriptions add column connection_id uuid, add column ended boolean not null default false;
`

const replays = `
create table hookline.replays (
  id uuid primary key,
  tenant_id text collate "C" not null,
  filter jsonb not null,
  fresh_webhook_id boolean not null,
  state text collate "C" not null default 'running',
  replayed bigint not null default 0,
  skipped bigint not null default 0,
  -- The delivery that it has come to, and the last that there was.
  reached uuid,
  until uuid,
  next_at timestamptz not null default clock_timestamp(),
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  completed_at timestamptz
) with (fillfactor = 50);
create index on hookline.replays (tenant_id, id);
create index replays_running on hookline.replays (next_at) where state = 'running';
create index replays_ended on hookline.replays (updated_at) where state in ('cancelled', 'completed');

-- The replay that a delivery came by, and the one whose webhook-id it carries.
alter table hookline.work add column replay_id uuid, add column webhook_of uuid;
`

const history = `
alter table hookline.deliveries add column webhook_of uuid;
`

const phases = `
-- Milliseconds of look-up/connection/TLS/first byte/total, each empty where there was none. Not JSON: every attempt has them.
-- What was sent: method, URL, body or null, then names and values of headers.
alter table hookline.attempts add column phases text, add column request text;
`

const lists: ReadonlyArray<Index> = [
  // What is replayed is claimed in turn with what is new, like what is to be retried. An expression: a stored column would have
  // all of `work` written anew.
  {
    table: "work",
    name: "work_claimable",
    columns: `worker_group, subscription_id, ${again()}, due_at, seq`,
    where: "epoch is null"
  },
  { table: "work", name: "work_replayed", columns: "replay_id, id", where: "replay_id is not null" },
  { table: "work", name: "work_of_message", columns: "message_id, id" },
  { table: "work", name: "work_retried", columns: "id", where: "retried" },
  { table: "work", name: "work_expiring_of_tenant", columns: "tenant_id, expires_at", where: "expires_at is not null" },
  {
    table: "work",
    name: "work_blocked",
    columns: "worker_group, ordering_key, seq",
    where: "retried and worker_group like 'subscription.%' and ordering_key is not null"
  },

  {
    table: "subscriptions",
    name: "subscriptions_connected",
    columns: "connection_id, id",
    where: "connection_id is not null and deleted_at is null"
  },
  { table: "subscriptions", name: "subscriptions_listed", columns: "id", where: "deleted_at is null" },
  { table: "subscriptions", name: "subscriptions_enabled", columns: "enabled, id", where: "deleted_at is null" },
  {
    table: "subscriptions",
    name: "subscriptions_enabled_of_tenant",
    columns: "tenant_id, enabled, id",
    where: "deleted_at is null"
  },
  {
    table: "subscriptions",
    name: "subscriptions_ending",
    columns: "tenant_id, id",
    where: "deleted_at is not null and not ended"
  },

  { table: "deliveries", name: "deliveries_of_message", columns: "message_id, id" },
  // What did not succeed is found without looking at what did: in the order of the ids, as replays go,
  ...[
    { name: "deliveries_lost", columns: "id" },
    { name: "deliveries_lost_of_subscription", columns: "subscription_id, id" },
    { name: "deliveries_lost_of_tenant", columns: "tenant_id, id" },
    // and, as people look for it, by each filter in its own order.
    { name: "deliveries_ended", columns: "status, id" },
    { name: "deliveries_ended_of_tenant", columns: "tenant_id, status, id" },
    { name: "deliveries_ended_of_subscription", columns: "subscription_id, status, id" },
    { name: "deliveries_ended_of_event", columns: "event_id, status, id" }
  ].map((index): Index => ({ table: "deliveries", ...index, where: "status <> 'success'" }))
]

const replacedOfWork = `
drop index hookline.work_by_message;

-- Runners of the version before claim by it. Where some are at work it stays, and the next version drops it.
do $$
begin
  if not exists (select from hookline.runners where lease_until > clock_timestamp() - interval '1 minute') then
    drop index if exists hookline.work_waiting;
  end if;
end $$;
`

const replacedOfDeliveries = `
drop index hookline.deliveries_message_id_idx;
`

const traces = `
alter table hookline.messages add column traceparent text;
`

const listed: ReadonlyArray<Index> = [
  { name: "work_listed_of_tenant", columns: "tenant_id, id" },
  { name: "work_listed_of_subscription", columns: "subscription_id, id" },
  { name: "work_listed_of_message", columns: "message_id, id" }
].map((index): Index => ({ table: "work", ...index, where: isListed() }))

const replacedByListed = `
drop index hookline.work_by_tenant;
drop index hookline.work_by_subscription;
drop index hookline.work_of_message;
`

/**
 * A migration: statements that are one transaction, or indexes that are built while everything goes on.
 *
 * @category models
 * @since 0.1.0
 */
export type Migration =
  | { readonly _tag: "Statements"; readonly statements: ReadonlyArray<string> }
  | { readonly _tag: "Indexes"; readonly indexes: ReadonlyArray<Index> }

const doubt = `
-- Up to which number messages may have been under way with an owner that gave nothing back, until all of them are routed.
alter table hookline.owners add column doubtful_seq bigint not null default 0;
`

/** What was set aside waits for a person to list it; of tenants by themselves, so that where a page ends tells nothing of others. */
const setAside: ReadonlyArray<Index> = [
  { name: "inbox_set_aside", columns: "message_id" },
  { name: "inbox_set_aside_of_tenant", columns: "tenant_id, message_id" }
].map((index): Index => ({ table: "inbox", ...index, where: "set_aside_at is not null" }))

/** What upkeep looks for each minute, and a renewal each second; who owns a group changes seldom, and its row with it. */
const upkeep: ReadonlyArray<Index> = [
  { table: "broadcasts", name: "broadcasts_of_message", columns: "message_id" },
  { table: "owners", name: "owners_of_runner", columns: "runner_id", where: "runner_id is not null" }
]

/**
 * Which of groups a runner owns alone: each is looked up, and locked until the end of the transaction. A function, as the statement that
 * asks is the caller's, whose session plans by how few owners there once were: for a thousand groups it would then compare all of a
 * runner's with each message.
 */
const owned = `
create function hookline.owned(runner uuid, groups text[]) returns table (worker_group text, epoch bigint)
language plpgsql rows 10 set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
begin
  return query select o.worker_group, o.epoch from unnest(groups) g(name) cross join lateral (
    select o.worker_group, o.epoch from hookline.owners o
    -- In words that no index of runners is for.
    where o.worker_group between g.name and g.name and o.partition = 0 and coalesce(o.runner_id = runner, false)
    for share skip locked
  ) o;
end $$;
`

/** Splits at the semicolons that end a line outside a function's body: the protocol's extended form takes one statement. */
const statements = (text: string): Migration => ({
  _tag: "Statements",
  statements: text.split(/;\n(?=\n|create|alter|drop|do|insert|select|--)/u)
    .map((part) => part.trim()).filter((part) => part !== "")
})

const indexes = (given: ReadonlyArray<Index>): Migration => ({ _tag: "Indexes", indexes: given })

/**
 * The migrations, by number and name.
 *
 * @category migrations
 * @since 0.1.0
 */
export const migrations: Readonly<Record<string, Migration>> = {
  "0001_layout": statements(layout),
  "0002_cluster": statements(cluster),
  "0003_broadcast": statements(broadcast),
  "0004_ordering": statements(ordering),
  "0005_circuits": statements(circuits),
  "0006_times": statements(times),
  "0007_tenants": statements(tenants),
  "0008_partitions": statements(partitions),
  "0009_moving": statements(moving),
  "0010_keys": statements(keys),
  "0011_connections": statements(connections),
  "0012_replays": statements(replays),
  "0013_stats": statements(stats),
  "0014_history": statements(history),
  "0015_phases": statements(phases),
  "0016_lists": indexes(lists),
  "0017_replaced_of_work": statements(replacedOfWork),
  "0018_replaced_of_deliveries": statements(replacedOfDeliveries),
  "0019_retention": statements(retention),
  "0020_traces": statements(traces),
  "0021_listed": indexes(listed),
  "0022_replaced_by_listed": statements(replacedByListed),
  "0023_doubt": statements(doubt),
  "0024_set_aside": indexes(setAside),
  "0025_upkeep": indexes(upkeep),
  "0026_owned": statements(owned)
}

/**
 * The version of the layout that they lead to: the number of the last.
 *
 * @category migrations
 * @since 0.1.0
 */
export const latest: number = Math.max(...Object.keys(migrations).map((name) => Number.parseInt(name, 10)))
