/**
 * The process of one system under test: it emits and delivers. Its argument is the module that exports the system.
 */
import * as Fs from "node:fs"
import { Session } from "node:inspector/promises"
import * as Path from "node:path"
import { answer } from "../Child.ts"
import { clock, make } from "../Payload.ts"
import type { Running, Setting, System } from "../System.ts"

const [module = "", name = "system"] = process.argv.slice(2)
const loaded: Record<string, System> = await import(Path.resolve(module))
const system = loaded[name]
if (!system) throw new Error(`${module} exports no ${name}`)
let running: Running | undefined
const session = new Session()

const open = () => {
  if (!running) throw new Error("the system is not open")
  return running
}

const calls = {
  prepare: async (setting: Setting) => {
    if (system.prepare) await system.prepare(setting)
    else await (await system.open({ ...setting, routes: [] })).close()
  },
  open: async (setting: Setting) => {
    running = await system.open(setting)
    return running.server
  },
  /** Stores so many messages of an event; how long that took, in milliseconds. */
  fill: async (event: number, count: number) => {
    const began = clock()
    const batch = 1000
    for (let n = 0; n < count; n += batch) {
      await open().fill(event, Array.from({ length: Math.min(batch, count - n) }, (_, i) => make(n + i)))
    }
    return clock() - began
  },
  work: async () => {
    await open().work()
  },
  unfinished: () => open().unfinished(),
  /** Emits so many messages, over the events in turn, from so many emitters; when it began, and how long it took. */
  emit: async ({ count, emitters, events, first = 0 }: {
    readonly count: number
    readonly emitters: number
    readonly events: number
    readonly first?: number
  }) => {
    const { emit, emitAll } = open()
    const began = clock()
    let n = 0
    const next = () => {
      if (n === count) return undefined
      const mine = n++
      return { event: mine % events, payload: make(first + mine) }
    }
    if (emitAll) await emitAll(next, emitters)
    else {
      await Promise.all(Array.from({ length: emitters }, async () => {
        for (let one = next(); one; one = next()) await emit(one.event, one.payload)
      }))
    }
    return { began, took: clock() - began }
  },
  /** Runs so many transactions, one after the other; `emits` says whether each emits a message. */
  transactions: async (count: number, emits: boolean) => {
    const { inTransaction } = open()
    if (!inTransaction) throw new Error(`${system.name} joins no transactions`)
    for (let n = 0; n < count; n++) await inTransaction(0, emits ? make(n) : undefined)
  },
  /** Emits one message. */
  emitOne: async (event: number) => {
    await open().emit(event, make(0))
  },
  /** Emits so many messages a second, evenly and whether or not earlier ones are stored. */
  pace: ({ count, events, first = 0, perSecond }: {
    readonly count: number
    readonly perSecond: number
    readonly events: number
    readonly first?: number
  }) =>
    new Promise<void>((resolve, reject) => {
      const { emit } = open()
      const began = clock()
      let n = 0
      let stored = 0
      const tick = () => {
        for (; n < count && clock() - began >= n * 1000 / perSecond; n++) {
          emit(n % events, make(first + n)).then(() => {
            if (++stored === count) resolve()
          }, reject)
        }
        if (n < count) setTimeout(tick, Math.max(0, began + n * 1000 / perSecond - clock()))
      }
      tick()
    }),
  /** CPU time of this process, in milliseconds. */
  cpu: () => {
    const { system, user } = process.cpuUsage()
    return (system + user) / 1000
  },
  /** Begins to sample where the CPU time goes; the second call ends it and writes a `.cpuprofile`. */
  profile: async (file?: string) => {
    if (file === undefined) {
      session.connect()
      await session.post("Profiler.enable")
      await session.post("Profiler.setSamplingInterval", { interval: 200 })
      await session.post("Profiler.start")
      return
    }
    const { profile } = await session.post("Profiler.stop")
    Fs.writeFileSync(file, JSON.stringify(profile))
    session.disconnect()
  },
  memory: () => {
    globalThis.gc?.()
    return process.memoryUsage()
  },
  close: async () => {
    await running?.close()
    running = undefined
  }
}
/** The calls of this process. */
export type Host = typeof calls

answer(calls)
