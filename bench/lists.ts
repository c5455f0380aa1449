/**
 * How long each combination of filters of each list takes among two million deliveries: `npm run bench:lists [-- rows]`. The
 * statements are run on an embedded PostgreSQL of their own, each once to warm up and once to be measured.
 */
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Console, Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { defaults } from "../src/Limits.ts"
import * as EmbeddedPostgres from "../src/storage/EmbeddedPostgres.ts"
import * as PgStorage from "../src/storage/PgStorage.ts"
import { combinations, explained, fill } from "../test/storage/lists.ts"
import * as Postmaster from "../test/support/postmaster.ts"

const deliveries = Number(process.argv[2] ?? 2_000_000)

const measure = Effect.gen(function*() {
  yield* Console.log(`Filling the database with ${deliveries} deliveries…`)
  yield* fill(deliveries)
  const page = { cursor: undefined, limit: defaults.pageSizeDefault, look: defaults.listLook }
  const times: Array<number> = []
  for (const { name, walks } of yield* combinations) {
    yield* explained(walks(page))
    const { ms, rows } = yield* explained(walks(page))
    times.push(ms)
    yield* Console.log(`${ms.toFixed(2).padStart(9)} ms ${String(rows).padStart(6)} rows  ${name}`)
  }
  times.sort((a, b) => a - b)
  const at = (share: number) => (times[Math.floor((times.length - 1) * share)] ?? 0).toFixed(2)
  yield* Console.log(
    `${times.length} combinations: median ${at(0.5)} ms, 99 % within ${at(0.99)} ms, all within ${at(1)} ms`
  )
})

const dataDir = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-bench-"))
Fs.chmodSync(dataDir, 0o711)

// A closed terminal stops it as Ctrl-C does, so that nothing is left behind; what is still said then, nobody reads.
process.once("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
process.stdout.on("error", () => {})

Effect.gen(function*() {
  const { url } = yield* EmbeddedPostgres.make({ dataDir, unsafeFast: true })
  yield* Effect.provide(measure, PgStorage.layer().pipe(Layer.provideMerge(PgClient.layer({ url }))))
}).pipe(
  Effect.scoped,
  // It goes on for a session that has not ended yet.
  Effect.ensuring(Postmaster.end(Path.join(dataDir, "postgres"))),
  Effect.ensuring(Effect.sync(() => Fs.rmSync(dataDir, { recursive: true, force: true }))),
  NodeRuntime.runMain
)
