/**
 * One embedded PostgreSQL for a whole run of the tests; each test makes a database of its own in it, or has a copy of the
 * folder as it was when it was new.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Redacted, Scope } from "effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { TestProject } from "vitest/node"
import * as EmbeddedPostgres from "../../src/storage/EmbeddedPostgres.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import * as Postmaster from "./postmaster.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string
    /** A folder with a database that was made and stopped: copied, it saves a test the making. */
    readonly madeFolder: string
  }
}

/** A database with the layout, for tests to copy. */
const migrated = (server: Redacted.Redacted<string>) =>
  Effect.gen(function*() {
    const database = "hookline_layout"
    yield* Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(`create database ${database}`).unprepared).pipe(
      Effect.provide(PgClient.layer({ url: server, maxConnections: 1 }))
    )
    const url = new URL(Redacted.value(server))
    url.pathname = `/${database}`
    yield* PgStorage.migrate.pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url.href), maxConnections: 1 })))
  }).pipe(Effect.scoped)

export default async (project: TestProject) => {
  const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-test-"))
  const [madeFolder, dataDir] = [Path.join(root, "made"), Path.join(root, "data")]
  Fs.chmodSync(root, 0o711)
  const scope = await Effect.runPromise(Scope.make())
  const stop = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    // A test that was cut off may have left a session, for which it goes on.
    for (const made of [madeFolder, dataDir]) await Effect.runPromise(Postmaster.end(Path.join(made, "postgres")))
    Fs.rmSync(root, { recursive: true, force: true })
  }
  try {
    await Effect.runPromise(Effect.scoped(EmbeddedPostgres.make({ dataDir: madeFolder })))
    execFileSync("cp", ["-a", madeFolder, dataDir])
    project.provide("madeFolder", madeFolder)
    const { url } = await Effect.runPromise(
      EmbeddedPostgres.make({ dataDir, unsafeFast: true }).pipe(Scope.provide(scope))
    )
    await Effect.runPromise(migrated(url))
    project.provide("postgresUrl", Redacted.value(url))
  } catch (error) {
    await stop()
    throw error
  }
  return stop
}
