/**
 * The layout of retention, a migration: what is being dropped, and the tenants' shorter terms.
 */

/**
 * Its statements.
 *
 * @category migrations
 * @since 0.1.0
 */
export const retention = `
-- The days that are being dropped, whole or their attempts: whoever delivers something again share-locks the row, and leaves alone
-- what is of these days. And those whose attempts were dropped, which have an empty partition in their place.
create table hookline.retention (
  singleton boolean primary key default true check (singleton),
  whole date[] not null default '{}',
  attempts date[] not null default '{}',
  emptied date[] not null default '{}'
) with (fillfactor = 50);
insert into hookline.retention default values;

-- The tenants' shorter terms, and the message up to which their bodies were emptied.
create table hookline.tenant_terms (
  tenant_id text collate "C" primary key,
  kept_days int not null,
  reached uuid not null default '00000000-0000-0000-0000-000000000000'
) with (fillfactor = 50);

-- Messages on that way whose bodies something still needed.
create table hookline.bodies_left (
  tenant_id text collate "C" not null,
  message_id uuid not null,
  looked_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, message_id)
) with (fillfactor = 50);
create index on hookline.bodies_left (tenant_id, looked_at);

create function hookline.day_of(id uuid) returns date language sql immutable as $$
  select (to_timestamp(('x' || left(translate(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) at time zone 'utc')::date
$$;

-- Makes the partition of a day by itself and takes it in, which locks nobody out of the parent.
create function hookline.make_partition(parent text, day date) returns void language plpgsql as $$
declare
  name text := parent || '_' || to_char(day, 'YYYYMMDD');
begin
  execute format('create table hookline.%I (like hookline.%I including defaults including constraints)', name, parent);
  execute format(
    'alter table hookline.%I attach partition hookline.%I for values from (%L) to (%L)',
    parent, name, hookline.day_bound(day), hookline.day_bound(day + 1)
  );
end $$;

-- Of what was skipped, what is not kept any more.
alter table hookline.replays add column not_kept bigint not null default 0;
`
