/**
 * Draining in a database that has grown, and in a fresh one, alike.
 */
import { type Bench, type Entry, within } from "./Bench.ts"
import * as Filling from "./Filling.ts"
import { between, read, type Throughput } from "./Scenarios.ts"

/** How much is measured. */
export interface Growth {
  /** Messages that wait before anything is delivered; as many as are drained, and half as many more, where none are said. */
  readonly waiting?: number
  /** Deliveries that were finished before. */
  readonly finished?: number
  /** Delivered before the measurement begins. */
  readonly warm: number
  readonly drain: number
}

/** The rate of the first messages after those that warm it up; what waits behind them stays. */
export const growth = (
  bench: Bench,
  entry: Entry,
  { drain, finished = 0, waiting, warm }: Growth
): Promise<Throughput & { readonly bytes: number }> =>
  bench.using(entry, { routes: [[bench.url("/grown")]] }, async (opened) => {
    const run = (statement: string) => bench.sql(statement, opened.database)
    if (finished > 0) { for (const statement of Filling.finished(finished)) await run(statement) }
    await run(Filling.waiting(Math.max(waiting ?? 0, Math.ceil((warm + drain) * 1.5))))
    await run("vacuum analyze")
    await run("checkpoint")
    await bench.receiver.reset({ latency: false })
    const warmed = bench.receiver.received(warm)
    const all = bench.receiver.received(warm + drain)
    const [before] = await run(Filling.bytes)
    await opened.call.work()
    const began = await within(warmed, `${entry.name} begins to drain`)
    const from = await read(bench, opened, began)
    const ended = await within(all, `${entry.name} drains`)
    const measured = between(from, await read(bench, opened, ended), drain)
    const [after] = await run(Filling.bytes)
    return { ...measured, bytes: (Number(after?.["bytes"]) - Number(before?.["bytes"])) / (warm + drain) }
  })
