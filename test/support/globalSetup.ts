/**
 * One embedded PostgreSQL for a whole run of the tests; each test makes a database of its own in it.
 */
import { Effect, Exit, Redacted, Scope } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { TestProject } from "vitest/node"
import * as EmbeddedPostgres from "../../src/storage/EmbeddedPostgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string
  }
}

export default async (project: TestProject) => {
  const dataDir = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-test-"))
  Fs.chmodSync(dataDir, 0o711)
  const scope = await Effect.runPromise(Scope.make())
  const stop = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    Fs.rmSync(dataDir, { recursive: true, force: true })
  }
  try {
    const { url } = await Effect.runPromise(
      EmbeddedPostgres.make({ dataDir, unsafeFast: true }).pipe(Scope.provide(scope))
    )
    project.provide("postgresUrl", Redacted.value(url))
  } catch (error) {
    await stop()
    throw error
  }
  return stop
}
