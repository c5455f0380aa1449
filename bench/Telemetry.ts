/**
 * What telemetry costs: messages emitted and delivered at once while a collector is told of them and metrics are read.
 */
import type { Bench, Entry } from "./Bench.ts"
import { start } from "./Child.ts"
import type { Sink } from "./processes/sink.ts"
import { live } from "./Scenarios.ts"

/** The throughput with a share of the messages traced, and what the collector was told of each. */
export const telemetry = async (
  bench: Bench,
  entry: Entry,
  { count, share }: { readonly count: number; readonly share: number }
) => {
  await using sink = start<Sink>("sink")
  const url = `http://127.0.0.1:${await sink.call.port()}`
  const measured = await live(bench, entry, { count, options: [`otlp:${url}`, `share:${share}`] })
  const { bytes, requests } = await sink.call.seen()
  if (requests === 0) throw new Error("the collector was told nothing")
  return { ...measured, bytes: bytes / count }
}
