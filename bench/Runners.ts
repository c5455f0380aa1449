/**
 * One hot event, shared out to dispatcher partitions, drained by one runner or by two.
 */
import { type Another, type Bench, type Entry, type Opened, settled, within } from "./Bench.ts"
import * as Filling from "./Filling.ts"
import { clock } from "./Payload.ts"

/** Dispatcher partitions of the event. */
const partitions = 8

/** How long runners may take to share the shards out, in milliseconds. */
const sharedMs = 60_000

/** How often it is looked at who waits for a lock, in milliseconds. */
const lookMs = 20

/** What one or two runners reach together. */
export interface Together {
  readonly perSecond: number
  /** CPU milliseconds for each delivery, of the runners and of PostgreSQL. */
  readonly cpu: number
  readonly process: number
  readonly server: number
  /** Sessions that wait for a lock of another's at a time, on average. */
  readonly lockWaits: number
}

/** Looks until it is told that all is settled: what is looked at after that would make the mean of what was before less. */
const lockWaits = `create function lock_waits() returns float8 language plpgsql as $$
  declare
    looks int := 0;
    total int := 0;
    now_waiting int;
  begin
    while looks = 0 or not exists (select from lock_waits_over) loop
      looks := looks + 1;
      perform pg_stat_clear_snapshot();
      select count(*) into now_waiting from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock';
      total := total + now_waiting;
      perform pg_sleep(${lookMs / 1000.0});
    end loop;
    return total::float8 / looks;
  end $$`

const until = async (what: string, holds: () => Promise<boolean>) => {
  const end = clock() + sharedMs
  while (!await holds()) {
    if (clock() > end) throw new Error(`${what}: not within ${sharedMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

export const together = (
  bench: Bench,
  entry: Entry,
  { count, runners }: { readonly count: number; readonly runners: 1 | 2 }
): Promise<Together> =>
  bench.using(entry, { routes: [[bench.url("/hot")]], options: ["clustered", "emit-only"] }, async (opened) => {
    await using stack = new AsyncDisposableStack()
    const all: ReadonlyArray<Opened | Another> = runners === 1
      ? [opened]
      : [opened, stack.use(await opened.another())]
    const run = (statement: string) => bench.sql(statement, opened.database)
    await run(`insert into hookline.partitions (event_id, count) values ('bench.happened.0', ${partitions})`)
    await run("create table lock_waits_over ()")
    await run(lockWaits)
    await Promise.all(all.map(({ call }) => call.work()))
    const share = async () => {
      const rows = await run(
        "select count(*)::int as n from hookline.shards where address is not null group by address"
      )
      return rows.map(({ n }) => Number(n))
    }
    await until("the runners share the shards out", async () => {
      const held = await share()
      const sum = held.reduce((total, one) => total + one, 0)
      return held.length === runners && held.every((one) => one >= sum / runners * 0.8)
    })
    const cpu = async () => {
      const each = await Promise.all(all.map(({ call }) => call.cpu()))
      return { process: each.reduce((sum, one) => sum + one, 0), server: opened.serverCpu() }
    }
    const drained = async (many: number) => {
      await bench.receiver.reset({ latency: false })
      await run("delete from lock_waits_over")
      const tenth = bench.receiver.received(Math.floor(many / 10))
      const everything = bench.receiver.received(many)
      await run(Filling.waiting(many, partitions))
      const began = await within(tenth, "the runners begin")
      const before = await cpu()
      const waits = run("select lock_waits() as waits")
      // It is looked at when all is settled: a failure before that is told by what fails with it.
      waits.catch(() => {})
      await within(everything, "the runners drain")
      const ended = await settled(opened)
      const after = await cpu()
      await run("insert into lock_waits_over default values")
      const [row] = await waits
      const measured = many - Math.floor(many / 10)
      const process = (after.process - before.process) / measured
      const server = (after.server - before.server) / measured
      return {
        perSecond: measured / (ended - began) * 1000,
        cpu: process + server,
        process,
        server,
        lockWaits: Number(row?.["waits"])
      }
    }
    // The groups have their owners, and the engine of each runner is compiled, once that much has gone through each.
    await drained(count * runners)
    return await drained(count)
  })
