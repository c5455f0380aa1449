import { PgClient } from "@effect/sql-pg"
import { Effect, ManagedRuntime, Redacted } from "effect"
const [,, url, ...qs] = process.argv
const rt = ManagedRuntime.make(PgClient.layer({ url: Redacted.make(url!) }))
for (const q of qs) console.log(JSON.stringify(await rt.runPromise(Effect.flatMap(PgClient.PgClient, (s) => s.unsafe<any>(q))), (_, v) => typeof v === "bigint" ? Number(v) : v, 1).slice(0, 3000))
process.exit(0)
