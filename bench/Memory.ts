/**
 * Memory under load, with very many subscriptions, and what a process costs that has nothing to do.
 */
import { small } from "../src/cli/Beginning.ts"
import { type Bench, type Entry, settled, within } from "./Bench.ts"
import * as Cpu from "./Cpu.ts"
import { clock } from "./Payload.ts"
import { emitters } from "./Scenarios.ts"

/** Loads of the same size, one after the other. */
const loads = 3

/** Bytes of memory and the share of a core that is used when nothing happens. */
export interface Memory {
  readonly rssStarted: number
  readonly rssFirst: number
  readonly rssLast: number
  /** The most of these, each of them when what was emitted is settled. */
  readonly rssMost: number
  /** The most there ever was, in the midst of a load too. */
  readonly rssPeak: number
  /** Of JavaScript's heap, after its garbage was collected. */
  readonly heap: number
  readonly idle: number
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export const memory = (
  bench: Bench,
  entry: Entry,
  { events, idleSeconds, load, subscriptions }: {
    readonly events: number
    /** Of each event. */
    readonly subscriptions: number
    /** Messages of a load. */
    readonly load: number
    readonly idleSeconds: number
  }
): Promise<Memory> => {
  const routes = Array.from(
    { length: events },
    (_, event) => Array.from({ length: subscriptions }, (_, n) => bench.url(`/memory/${event}/${n}`))
  )
  return bench.using(entry, { routes, options: ["kept-small"], startedAs: small }, async (opened) => {
    await opened.call.work()
    const resident = () => Cpu.resident(opened.pid)
    const rssStarted = resident()
    const after: Array<number> = []
    for (let n = 0; n < loads; n++) {
      await bench.receiver.reset({ latency: false })
      const all = bench.receiver.received(load * subscriptions)
      await opened.call.emit({ count: load, emitters, events, first: n * load })
      await within(all, `${entry.name} delivers`)
      await settled(opened)
      after.push(resident())
    }
    const rssPeak = Cpu.mostResident(opened.pid)
    const { heapUsed } = await opened.call.memory()
    // Before it counts as idle, as long a time goes by again: housekeeping of the load is done within.
    await sleep(idleSeconds * 1000)
    const [cpu, began] = [await opened.call.cpu(), clock()]
    await sleep(idleSeconds * 1000)
    const idle = (await opened.call.cpu() - cpu) / (clock() - began)
    return {
      rssStarted,
      rssFirst: after[0] ?? Number.NaN,
      rssLast: after.at(-1) ?? Number.NaN,
      rssMost: Math.max(rssStarted, ...after),
      rssPeak,
      heap: heapUsed,
      idle
    }
  })
}
