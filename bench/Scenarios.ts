/**
 * The scenarios: each measures one system once.
 */
import * as Path from "node:path"
import { type Bench, type Entry, type Opened, settled, within } from "./Bench.ts"
import * as Cpu from "./Cpu.ts"
import { clock } from "./Payload.ts"

/** A rate, in deliveries a second, and what it cost. */
export interface Throughput {
  readonly perSecond: number
  /** CPU milliseconds for each delivery: of the process that emits and delivers, of its servers, of the receiver. */
  readonly process: number
  readonly server: number
  readonly receiver: number
}

/** Latencies from emit to receive, in milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  /** Share of what had to come, 0 to 1. */
  readonly arrived: number
}

/** Emits under way at once. */
export const emitters = 64

export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/** Where times stand. */
export interface Reading {
  readonly at: number
  readonly process: number
  readonly server: number
  readonly receiver: number
}

/** Writes where the CPU time of a process goes while `measured` runs, where that is asked for. */
const profiled = async <A>(bench: Bench, opened: Opened, name: string, measured: () => Promise<A>): Promise<A> => {
  if (bench.profiles === undefined) return measured()
  await opened.call.profile()
  const result = await measured()
  await opened.call.profile(Path.join(bench.profiles, `${name}.cpuprofile`))
  return result
}

/** Reads the times of a system and of what it uses. */
export const read = async (bench: Bench, opened: Opened, at?: number): Promise<Reading> => ({
  at: at ?? clock(),
  process: await opened.call.cpu(),
  server: opened.serverCpu(),
  receiver: Cpu.tree(bench.receiverPid)
})

/** What was done between two readings. */
export const between = (from: Reading, to: Reading, count: number): Throughput => ({
  perSecond: count / (to.at - from.at) * 1000,
  process: (to.process - from.process) / count,
  server: (to.server - from.server) / count,
  receiver: (to.receiver - from.receiver) / count
})

/** How often a worker has drained as much before. After once, compiling is a sixth of what the measured drain costs. */
const drainsBefore = 3

/**
 * Delivers what is queued, `count` messages of one event to one endpoint that answers nothing while they are stored. In a worker
 * that has done so before: it runs for days, and engines compile what they run while they run it. From when a tenth has come
 * until all outcomes are stored.
 */
export const drain = (
  bench: Bench,
  entry: Entry,
  { count, options = [] }: { readonly count: number; readonly options?: ReadonlyArray<string> }
): Promise<Throughput> =>
  bench.using(entry, { routes: [[bench.url("/drain")]], options }, async (opened) => {
    const fill = async () => {
      await bench.receiver.reset({ latency: false })
      await bench.receiver.close()
      await opened.call.fill(0, count)
      await bench.receiver.open()
    }
    await opened.call.work()
    for (let n = 0; n < drainsBefore; n++) {
      await fill()
      await within(bench.receiver.received(count), `${entry.name} warms up`)
      await settled(opened)
    }
    await fill()
    const tenth = bench.receiver.received(Math.floor(count / 10))
    const all = bench.receiver.received(count)
    const began = await within(tenth, `${entry.name} begins to drain`)
    return profiled(bench, opened, `${entry.key}-drain`, async () => {
      const from = await read(bench, opened, began)
      await within(all, `${entry.name} drains`)
      return between(from, await read(bench, opened, await settled(opened)), count - Math.floor(count / 10))
    })
  })

/** Messages that go through before anything is measured. */
export const warmUp = 2000

/**
 * Emits and delivers at once: `count` messages from 64 emitters, over `events` events in turn, each to `fanOut` endpoints of
 * its own.
 */
export const live = (
  bench: Bench,
  entry: Entry,
  { count, events = 1, fanOut = 1, options = [] }: {
    readonly count: number
    readonly events?: number
    readonly fanOut?: number
    readonly options?: ReadonlyArray<string>
  }
): Promise<Throughput> => {
  const routes = Array.from(
    { length: events },
    (_, event) => Array.from({ length: fanOut }, (_, n) => bench.url(`/live/${event}/${n}`))
  )
  return bench.using(entry, { routes, options }, async (opened) => {
    await bench.receiver.reset({ latency: false })
    await opened.call.work()
    const warm = Math.max(events, Math.ceil(warmUp / fanOut))
    await opened.call.emit({ count: warm, emitters, events, first: count })
    await within(bench.receiver.received(warm * fanOut), `${entry.name} warms up`)
    await settled(opened)
    const all = bench.receiver.received((warm + count) * fanOut)
    return profiled(bench, opened, `${entry.key}-live-${events}-${fanOut}`, async () => {
      const from = await read(bench, opened)
      await within(opened.call.emit({ count, emitters, events }), `${entry.name} emits`)
      await within(all, `${entry.name} delivers`)
      return between(from, await read(bench, opened, await settled(opened)), count * fanOut)
    })
  })
}

/** Messages to very many endpoints that go through before one is measured. */
const broadWarmUp = 3

/** One message to very many endpoints. */
export const broadFanOut = (bench: Bench, entry: Entry, endpoints: number): Promise<Throughput> => {
  const routes = [Array.from({ length: endpoints }, (_, n) => bench.url(`/broad/${n}`))]
  return bench.using(entry, { routes }, async (opened) => {
    await bench.receiver.reset({ latency: false })
    await opened.call.work()
    // As everywhere, what is measured has been done before; here some times, as each is no more than a second's work.
    for (let n = 1; n <= broadWarmUp; n++) {
      await opened.call.emitOne(0)
      await within(bench.receiver.received(n * endpoints), `${entry.name} warms up`)
      await settled(opened)
    }
    const all = bench.receiver.received((broadWarmUp + 1) * endpoints)
    return profiled(bench, opened, `${entry.key}-broad`, async () => {
      const from = await read(bench, opened)
      await opened.call.emitOne(0)
      await within(all, `${entry.name} fans out`)
      return between(from, await read(bench, opened, await settled(opened)), endpoints)
    })
  })
}

/** From emit to receive, at an even rate. */
export const latency = (
  bench: Bench,
  entry: Entry,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number }
): Promise<Latency> =>
  bench.using(entry, { routes: [[bench.url("/latency")]] }, async (opened) => {
    await bench.receiver.reset({ latency: false })
    await opened.call.work()
    await opened.call.emit({ count: warmUp, emitters, events: 1, first: 1_000_000 })
    await within(bench.receiver.received(warmUp), `${entry.name} warms up`)
    // A second at the rate itself, so that what adapts to it has done so.
    await opened.call.pace({ count: perSecond, perSecond, events: 1, first: 2_000_000 })
    await within(bench.receiver.received(warmUp + perSecond), `${entry.name} warms up`)
    await bench.receiver.reset({ latency: true })
    const count = perSecond * seconds
    const all = bench.receiver.received(count)
    await opened.call.pace({ count, perSecond, events: 1 })
    await within(all, `${entry.name} delivers`)
    const { latencies } = await bench.receiver.seen("/latency")
    return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), arrived: latencies.length / count }
  })

/** Endpoints of which some hang. */
const endpoints = 10

/** From emit to receive at the endpoints that are well, while others hang. */
export const isolation = (
  bench: Bench,
  entry: Entry,
  { hanging, options = [], perSecond, seconds }: {
    readonly hanging: number
    readonly perSecond: number
    readonly seconds: number
    readonly options?: ReadonlyArray<string>
  }
): Promise<Latency> => {
  const healthy = endpoints - hanging
  const routes = Array.from(
    { length: endpoints },
    (_, n) => [bench.url(n < healthy ? `/well/${n}` : `/hang/${n}`)]
  )
  return bench.using(entry, { routes, options }, async (opened) => {
    await bench.receiver.reset({ latency: false })
    await opened.call.work()
    // Those that are well only: what hangs has to be news.
    await opened.call.emit({ count: warmUp, emitters, events: healthy, first: 1_000_000 })
    await within(bench.receiver.received(warmUp), `${entry.name} warms up`)
    await opened.call.pace({ count: perSecond, perSecond, events: healthy, first: 2_000_000 })
    await within(bench.receiver.received(warmUp + perSecond), `${entry.name} warms up`)
    await bench.receiver.reset({ latency: true })
    opened.abandon()
    const count = perSecond * seconds
    const well = count * healthy / endpoints
    const arrived = async () => {
      const { latencies } = await bench.receiver.seen("/well")
      return latencies
    }
    await opened.call.pace({ count, perSecond, events: endpoints })
    // What is shared may be stuck until the hanging ones give up: it has as long again.
    const until = clock() + seconds * 1000
    let latencies = await arrived()
    while (latencies.length < well && clock() < until) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      latencies = await arrived()
    }
    return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), arrived: latencies.length / well }
  })
}

/** Emits alone, after as many: how many a second are durable. */
export const emitting = (
  bench: Bench,
  entry: Entry,
  { count, options = [] }: { readonly count: number; readonly options?: ReadonlyArray<string> }
): Promise<number> =>
  bench.using(entry, { routes: [[bench.url("/never")]], options }, async (opened) => {
    await within(opened.call.emit({ count, emitters, events: 1, first: count }), `${entry.name} warms up`)
    return profiled(bench, opened, [entry.key, "emit", ...options].join("-"), async () => {
      const { took } = await within(opened.call.emit({ count, emitters, events: 1 }), `${entry.name} emits`)
      return count / took * 1000
    })
  })
