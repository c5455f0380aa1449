import { make, settled, within } from "./Bench.ts"
import { hookline } from "./Plan.ts"
import * as Cpu from "./Cpu.ts"
await using bench = await make()
const events = 1000, subs = 10
const routes = Array.from({ length: events }, (_, e) => Array.from({ length: subs }, (_, n) => bench.url(`/memory/${e}/${n}`)))
await bench.using(hookline, { routes }, async (opened: any) => {
  await opened.call.work()
  const show = async (w: string) => { const u = await opened.call.usage(); console.log(w, "rss", Math.round(Cpu.resident(opened.pid) / 1e6), JSON.stringify(Object.fromEntries(Object.entries(u).map(([k, v]: any) => [k, Math.round(v / 1e6)])))) }
  await show("start")
  await opened.call.memory(); await show("start gc")
  for (let i = 0; i < 2; i++) {
    await bench.receiver.reset({ latency: false })
    const all = bench.receiver.received(3000 * subs)
    let going = true
    const poll = (async () => { while (going) { await new Promise((r) => setTimeout(r, 400)); await show("  load") } })()

    await opened.call.emit({ count: 3000, emitters: 64, events, first: i * 3000 })
    await within(all, "x"); await settled(opened); going = false; await poll
    await show("after")
  }
  await opened.call.memory(); await show("gc")
})
