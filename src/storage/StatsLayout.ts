/**
 * The layout of statistics, a migration: what is counted as it ends, and the sums.
 */

/**
 * Its statements.
 *
 * @category migrations
 * @since 0.1.0
 */
export const stats = `
-- What statements that record add to the sums: rows that nobody waits for, folded into \`stats\` by housekeeping.
create table hookline.stats_fresh (
  at timestamptz not null,
  tenant_id text collate "C" not null,
  event_id text collate "C" not null,
  subscription_id uuid not null,
  success int not null,
  failed int not null,
  cancelled int not null,
  attempts int not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- The sums, in steps of so many minutes.
create table hookline.stats (
  minutes smallint not null,
  at timestamptz not null,
  tenant_id text collate "C" not null,
  event_id text collate "C" not null,
  subscription_id uuid not null,
  success bigint not null,
  failed bigint not null,
  cancelled bigint not null,
  attempts bigint not null,
  primary key (minutes, at, tenant_id, event_id, subscription_id)
) with (fillfactor = 70);
create index on hookline.stats (tenant_id, minutes, at);
create index on hookline.stats (subscription_id, minutes, at);

-- Since when there are sums: what ended before was not counted, and is not taken back when it is delivered again.
create table hookline.stats_since (
  singleton boolean primary key default true check (singleton),
  at timestamptz not null default clock_timestamp()
);
insert into hookline.stats_since default values;
`
