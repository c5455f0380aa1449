/**
 * What the machine can do by itself, whatever is built on it: each figure stands beside its bound.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, ManagedRuntime, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Bench } from "./Bench.ts"
import { clock } from "./Payload.ts"
import type { Values } from "./Results.ts"

/** Connections that commit single rows. */
const connections = 16

/** Rows of a statement, where they are stored in bulk, and connections that do so. */
const bulkRows = 1000
const bulkConnections = 2

/** Bytes of a row, and of what is appended to a file. */
const rowBytes = 1024
const appendBytes = 8192

/** How often something can be done in a second, by so many at once. */
const rate = async (seconds: number, width: number, once: () => Promise<unknown>): Promise<number> => {
  await once()
  const began = clock()
  const until = began + seconds * 1000
  let count = 0
  await Promise.all(Array.from({ length: width }, async () => {
    for (; clock() < until; count++) await once()
  }))
  return count / (clock() - began) * 1000
}

const syncs = (folder: string, seconds: number): number => {
  const file = Fs.openSync(Path.join(folder, "appended"), "a")
  const block = Buffer.alloc(appendBytes, "x")
  const began = clock()
  let count = 0
  for (; clock() < began + seconds * 1000; count++) {
    Fs.writeSync(file, block)
    Fs.fdatasyncSync(file)
  }
  const perSecond = count / (clock() - began) * 1000
  Fs.closeSync(file)
  return perSecond
}

/** Commits, rows and syncs a second. */
export const bounds = async (bench: Bench, { seconds }: { readonly seconds: number }): Promise<Values> => {
  await bench.sql("create table if not exists bounds (id bigint generated always as identity primary key, data text)")
  const runtime = ManagedRuntime.make(
    PgClient.layer({ url: Redacted.make(bench.address), maxConnections: connections })
  )
  try {
    const row = "x".repeat(rowBytes)
    const run = (rows: number) => () =>
      runtime.runPromise(Effect.flatMap(
        PgClient.PgClient,
        (sql) => sql`insert into bounds (data) select ${row}::text from generate_series(1, ${rows}::int)`
      ))
    const commits = await rate(seconds, connections, run(1))
    const bulk = await rate(seconds, bulkConnections, run(bulkRows))
    await bench.sql("drop table bounds")
    return { commits, bulkRows: bulk * bulkRows, fdatasyncs: syncs(bench.folder, seconds) }
  } finally {
    await runtime.dispose()
  }
}
