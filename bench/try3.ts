import { make } from "./Bench.ts"
import * as S from "./Scenarios.ts"
import { peers } from "./peers/index.ts"
import * as Redis from "./peers/Redis.ts"
await using bench = await make({ profiles: process.env.PROF })
const n = Number(process.argv[2])
const keys = process.argv[3].split(",")
const scen = process.argv[4].split(",")
const entries = [{ key: "hookline", name: "Hookline", module: "bench/systems/Hookline.ts", store: "postgres" }, ...peers.map((p: any) => ({ ...p, name: p.row, ...(p.redis ? { redis: (f: string) => Redis.start(p.redis, f) } : {}) }))]
for (const k of keys) {
  const e: any = entries.find((x) => x.key === k)
  if (!e) { console.log("no", k, entries.map((x) => x.key)); continue }
  for (const s of scen) {
    const t = Date.now()
    try {
      const r = s === "drain" ? await S.drain(bench, e, { count: n }) : s === "live" ? await S.live(bench, e, { count: n }) : s === "fan10" ? await S.live(bench, e, { count: n / 10, fanOut: 10 }) : s === "latency" ? await S.latency(bench, e, { perSecond: 100, seconds: 5 }) : s === "broad" ? await S.broadFanOut(bench, e, 10000) : s === "iso" ? await S.isolation(bench, e, { hanging: 1, perSecond: 200, seconds: 8 }) : undefined
      console.log(k, s, JSON.stringify(r, (_, v) => typeof v === "number" ? Math.round(v * 1000) / 1000 : v), "took", Date.now() - t)
    } catch (x) { console.log(k, s, String(x).slice(0, 300)) }
  }
}
