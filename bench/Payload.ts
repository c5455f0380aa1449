/**
 * Payloads of about 1 KB.
 */
import type { Payload } from "./System.ts"

const text = "The quick brown fox jumps over the lazy dog, and nobody knows why it has to be so often. ".repeat(10).slice(0, 880)

/** The machine's monotonic clock, which is the same for all of its processes, in milliseconds. */
export const clock = (): number => Number(process.hrtime.bigint() / 1000n) / 1000

/** The n-th payload, emitted now. */
export const make = (n: number): Payload => ({ id: `p${n}`, at: clock(), severity: "high", text })
