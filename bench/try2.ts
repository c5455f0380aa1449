import { make } from "./Bench.ts"
import * as S from "./Scenarios.ts"
const entry = { key: "hookline", name: "Hookline", module: "bench/systems/Hookline.ts", store: "postgres" } as const
const bare = { key: "bare", name: "bare", module: "bench/systems/Bare.ts", store: "own" } as const
import * as Fs from 'node:fs'
if (process.env.PROF) Fs.mkdirSync(process.env.PROF, { recursive: true })
await using bench = await make({ profiles: process.env.PROF })
const show = (n: string, x: unknown) =>
  console.log(n, JSON.stringify(x, (_, v) => typeof v === "number" ? Math.round(v * 1000) / 1000 : v))
const want = process.argv.slice(2)
const run = async (n: string, f: () => Promise<unknown>) => {
  if (want.length === 0 || want.includes(n)) {
    const t = Date.now()
    try {
      show(n, await f())
    } catch (e) {
      console.log(n, String(e).slice(0,300))
    }
    console.log("   took", Date.now() - t)
  }
}
await run("bare", () => S.drain(bench, bare, { count: 20000 }))
await run("drain", () => S.drain(bench, entry, { count: 10000 }))
await run("live", () => S.live(bench, entry, { count: 10000 }))
await run("spread", () => S.live(bench, entry, { count: 10000, events: 1000 }))
await run("fan10", () => S.live(bench, entry, { count: 1000, fanOut: 10 }))
await run("broad", () => S.broadFanOut(bench, entry, 10000))
await run("latency", () => S.latency(bench, entry, { perSecond: 100, seconds: 5 }))
for (const hanging of [0, 1, 5]) {
  await run("iso", () =>
    S.isolation(bench, entry, { hanging, perSecond: 200, seconds: 8 }))
}
await run("emit", () => S.emitting(bench, entry, { count: 20000 }))
