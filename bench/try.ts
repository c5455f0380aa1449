import { Effect, ManagedRuntime, Layer, Redacted } from "effect"
import { PgClient } from "@effect/sql-pg"
import * as Fs from "node:fs"
import * as EmbeddedPostgres from "../src/storage/EmbeddedPostgres.ts"
import { start } from "./Child.ts"
import * as Cpu from "./Cpu.ts"
import type { Host } from "./processes/system.ts"
import type { Receiver } from "./processes/receiver.ts"

const N = Number(process.argv[2] ?? 10000)
const module = process.argv[3] ?? "bench/systems/Hookline.ts"
const prof = process.argv[4] === "prof" ? ["--cpu-prof", "--cpu-prof-dir=/tmp/prof"] : []
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
        await using host = start<Host>("system", [module], prof)
        await host.call.open({ database: Redacted.value(url).replace(/postgres$/, name), redis: undefined, folder: "/tmp/x", routes, options: [] })
        await f(host)
        await host.call.close()
        if (prof.length) { try { process.kill(host.pid, "SIGTERM") } catch {} ; await new Promise((r) => setTimeout(r, 500)) }
      }
      if (process.argv[6] !== "keep") await run(`drop database ${name} with (force)`)
      else console.log("kept", name)
    }
    const measure = async (host: any, count: number, f: () => Promise<unknown>) => {
      const c0 = await host.call.cpu(), p0 = Cpu.tree(pgpid), r0 = Cpu.tree(receiver.pid), t0 = Number(process.hrtime.bigint()) / 1e6
      const began = t0
      await f()
      const at = await receiver.call.received(count)
      while ((await host.call.unfinished()) > 0) await new Promise((r) => setTimeout(r, 10))
      const end = Number(process.hrtime.bigint()) / 1e6
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
