import { Effect, ManagedRuntime, Redacted } from "effect"
import { PgClient } from "@effect/sql-pg"
import * as Fs from "node:fs"
import * as EmbeddedPostgres from "../src/storage/EmbeddedPostgres.ts"
import { start } from "./Child.ts"
import * as Cpu from "./Cpu.ts"
import type { Host } from "./processes/system.ts"
import type { Receiver } from "./processes/receiver.ts"

const N = Number(process.argv[2] ?? 10000)
const module = process.argv[3] ?? "bench/systems/Hookline.ts"
const prof = process.argv[4] === "prof" ? [1] : []
const mode = process.argv[5] ?? "both"
const dir = "/tmp/benchpg"
Fs.mkdirSync(dir, { recursive: true }); Fs.chmodSync(dir, 0o711)
await Effect.gen(function*() {
  const { url, port } = yield* EmbeddedPostgres.make({ dataDir: dir })
  const pgpid = Number(Fs.readFileSync(dir + "/postgres/postmaster.pid", "utf8").split("\n")[0])
  console.log("pg", port, pgpid, Redacted.value(url))
  const rt = ManagedRuntime.make(PgClient.layer({ url }))
  const run = (s: string) => rt.runPromise(Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(s)))
  yield* Effect.promise(async () => {
    await using receiver = start<Receiver>("receiver")
    const rport = await receiver.call.port()
    let dbn = 0
    const fresh = async (routes: string[][], f: (host: ReturnType<typeof start<Host>>) => Promise<void>) => {
      const name = "b" + process.pid + "_" + dbn++
      await run(`create database ${name}`)
      {
        await using host = start<Host>("system", [module])
        await host.call.open({ database: Redacted.value(url).replace(/postgres$/, name), redis: undefined, folder: "/tmp/x", routes, options: [] })
        await f(host)
        await host.call.close()
      }
      if (process.argv[6] !== "keep") await run(`drop database ${name} with (force)`)
      else console.log("kept", name)
    }
    const measure = async (host: any, count: number, f: () => Promise<unknown>) => {
      if (prof.length) await host.call.profile()
      const kind = count % 1000 === 0 ? "drain" : "live"
      if (prof.length) { await run("create extension if not exists pg_stat_statements"); await run("select pg_stat_statements_reset()") }
      const c0 = await host.call.cpu(), p0 = Cpu.tree(pgpid), r0 = Cpu.tree(receiver.pid), t0 = Number(process.hrtime.bigint()) / 1e6
      const began = t0
      await f()
      const at = await receiver.call.received(count)
      while ((await host.call.unfinished()) > 0) await new Promise((r) => setTimeout(r, 10))
      const end = Number(process.hrtime.bigint()) / 1e6
      if (prof.length) {
        const rows: any = await run(`select round(total_exec_time)::int as exec, round(total_plan_time)::int as plan, calls::int, rows::int, round(wal_bytes/1024)::int as wal_kb, wal_records::int, regexp_replace(left(regexp_replace(query, '\\s+', ' ', 'g'), 2000), '.*?(insert into hookline\\.\\w+|update hookline\\.\\w+|$)', '\\1 ', 'g') as q, left(query, 90) as b from pg_stat_statements order by total_exec_time + total_plan_time desc limit 12`)
        for (const r of rows) console.log(kind, r.exec, r.plan, r.calls, r.rows, r.wal_kb + "kB", r.wal_records, r.q.slice(0, 100), "|", r.b.replace(/\s+/g, " "))
      }
      if (prof.length) { Fs.mkdirSync("/tmp/prof",{recursive:true}); await host.call.profile("/tmp/prof/" + (count % 1000 === 0 ? "drain" : "live") + ".cpuprofile") }
      const c1 = await host.call.cpu(), p1 = Cpu.tree(pgpid), r1 = Cpu.tree(receiver.pid)
      console.log(`${count} in ${(at - began).toFixed(0)} ms received, ${(end - began).toFixed(0)} recorded: ${(count / (end - began) * 1000).toFixed(0)}/s; cpu per delivery: process ${((c1 - c0) / count).toFixed(3)} pg ${((p1 - p0) / count).toFixed(3)} receiver ${((r1 - r0) / count).toFixed(3)} ms`)
    }
    const one = [[`http://127.0.0.1:${rport}/a`]]
    if (mode !== "live") await fresh(one, async (host) => {
      await receiver.call.reset({ latency: false })
      console.log("fill", (N / (await host.call.fill(0, N)) * 1000).toFixed(0))
      await measure(host, N, () => host.call.work())
    })
    if (mode !== "drain") await fresh(one, async (host) => {
      await receiver.call.reset({ latency: false })
      await host.call.work()
      await host.call.emit({ count: 500, emitters: 64, events: 1, first: 1000000 })
      await receiver.call.received(500)
      await measure(host, N + 500, async () => { const r = await host.call.emit({ count: N, emitters: 64, events: 1 }); console.log("emit took", r.took.toFixed(0)) })
    })
  })
}).pipe(Effect.scoped, Effect.runPromise)
process.exit(0)
