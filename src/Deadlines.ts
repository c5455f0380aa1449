/**
 * Deadlines of what there is very much of, as requests and emits: one fiber watches over all of them, where a fiber and a timer for
 * each would cost about as much as what they are for. Those that may take equally long fall due in the order in which they began.
 */
import { Clock, Effect, Latch, type Scope } from "effect"
import { Chain } from "./Chain.ts"
import * as Monotonic from "./Monotonic.ts"

/** A class, for V8: see "What memory holds" in `docs/architecture.md`. */
class Entry {
  /** On the monotonic clock, in milliseconds. */
  readonly atMs: number
  expire: () => void

  constructor(atMs: number, expire: () => void) {
    this.atMs = atMs
    this.expire = expire
  }
}

/** @category models @since 0.1.0 */
export interface Deadlines {
  /**
   * Calls `expire` in so many milliseconds, unless what it returns was called before. `nowMs` is the time on the monotonic clock, where
   * it is known already.
   */
  readonly add: (ms: number, expire: () => void, nowMs?: number) => () => void
}

/**
 * Makes deadlines with a fiber that watches over them; what has not expired when the scope closes never does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const now = () => Monotonic.readMs(clock)
  /** By how long they may take; each in the order of its deadlines. */
  const waiting = new Map<number, Chain<Entry>>()
  const sooner = Latch.makeUnsafe()
  /** When the fiber looks next. */
  let looksAtMs = Number.POSITIVE_INFINITY

  const look = Effect.suspend(() => {
    const nowMs = now()
    looksAtMs = Number.POSITIVE_INFINITY
    for (const [ms, entries] of waiting) {
      for (let entry = entries.first; entry; entry = entries.first) {
        if (entry.atMs > nowMs) {
          looksAtMs = Math.min(looksAtMs, entry.atMs)
          break
        }
        entries.shift()
        entry.expire()
      }
      if (entries.size === 0) waiting.delete(ms)
    }
    // What was set while one was reached is known: it is behind an earlier one of its kind, or of a kind that came last.
    sooner.closeUnsafe()
    return looksAtMs === Number.POSITIVE_INFINITY
      ? sooner.await
      : Effect.asVoid(Effect.timeoutOption(sooner.await, Math.max(1, looksAtMs - nowMs)))
  })
  yield* Effect.forkScoped(Effect.forever(look))

  return {
    add: (ms, expire, nowMs = now()) => {
      const entry = new Entry(nowMs + ms, expire)
      const known = waiting.get(ms)
      const entries = known ?? new Chain<Entry>()
      if (!known) waiting.set(ms, entries)
      const link = entries.add(entry)
      if (entry.atMs < looksAtMs) sooner.openUnsafe()
      return () => {
        // It may be in old memory: what is left of a request or an emit is to be little.
        entry.expire = nothing
        entries.remove(link)
      }
    }
  }
})

// --- internal ---

const nothing = () => {}
