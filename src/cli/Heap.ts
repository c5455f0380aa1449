/**
 * How much garbage a runner's own process lets gather. What is delivered lives for a second, longer than V8's young generation
 * lasts under load, so much of it is old when it is done with; and V8 by default has room for 128 MB of what is new, and collects
 * what is old once it has become four times as much as what lives.
 */
import { Effect, type Scope } from "effect"
import { constants, PerformanceObserver } from "node:perf_hooks"
import * as V8 from "node:v8"
import { isSaid } from "./Beginning.ts"

/** Bytes by which what is old may grow before it is collected, and by how many percent at least, as each collection looks at all. */
const garbageBytes = 32 * 1024 * 1024
const leastPercent = 30

/**
 * Has V8 collect sooner what is old, unless whoever started the process said how it should. For a process of Hookline's own: what
 * runs in another's leaves its settings alone. V8 reads the setting at each collection, so it follows what lives.
 *
 * @category constructors
 * @since 0.1.0
 */
export const collectedSooner: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
  isSaid ? Effect.void : followed
)

// --- internal ---

const followed = Effect.asVoid(Effect.acquireRelease(
  Effect.sync(() => {
    let set = 0
    const follow = () => {
      const living = V8.getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")?.space_used_size
      const percent = Math.max(leastPercent, Math.round(100 * garbageBytes / (living ?? garbageBytes)))
      if (percent !== set) V8.setFlagsFromString(`--heap-growing-percent=${percent}`)
      set = percent
    }
    follow()
    const observer = new PerformanceObserver((list) => {
      if (list.getEntries().some((entry) => "detail" in entry && isMajor(entry.detail))) follow()
    })
    observer.observe({ entryTypes: ["gc"] })
    return observer
  }),
  (observer) => Effect.sync(() => observer.disconnect())
))

const isMajor = (detail: unknown): boolean =>
  typeof detail === "object" && detail !== null && "kind" in detail &&
  detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR
