/**
 * The gauges of what is in a runner's memory: read from the state when somebody asks, so that nobody pays for them in between.
 */
import { Clock, Effect } from "effect"
import * as Circuit from "../Circuit.ts"
import * as Metrics from "../Metrics.ts"
import * as Monotonic from "../Monotonic.ts"
import * as Lane from "./Lane.ts"
import type * as State from "./State.ts"

/** Shows a state, and the queues beside it, while the scope is open. */
export const watch = Effect.fnUntraced(function*(
  state: State.State,
  queues: { readonly outcomes: () => number; readonly releases: () => number }
) {
  const { groups, limits } = state
  const clock = yield* Clock.Clock
  const monotonicMs = () => Monotonic.readMs(clock)
  const lanes = (isMeant: (lane: Lane.Lane) => boolean): number => {
    let found = 0
    for (const lane of state.lanes.values()) if (isMeant(lane)) found++
    return found
  }
  const circuits = (wanted: Circuit.State) => () => {
    const nowMs = clock.currentTimeMillisUnsafe()
    return lanes(({ circuit }) => Circuit.stateAt(circuit, nowMs) === wanted)
  }
  const slow = () => {
    const nowMs = monotonicMs()
    return lanes((lane) => Lane.isSlow(lane, nowMs, limits))
  }
  const waiting = () => {
    let found = 0
    for (const lane of state.lanes.values()) found += lane.waiting.length
    return found
  }
  yield* Metrics.watch(Metrics.inMemory, () => state.deliveries.size)
  yield* Metrics.watch(Metrics.messagesExpress, () => state.expresses.bySeq.size)
  yield* Metrics.watch(Metrics.messagesHanded, () => state.handed.count)
  yield* Metrics.watch(Metrics.windowBytes, () => state.windowBytes)
  yield* Metrics.watch(Metrics.waitingInLanes, waiting)
  yield* Metrics.watch(Metrics.inFlight, () => state.inFlight)
  yield* Metrics.watch(Metrics.outcomesQueued, queues.outcomes)
  yield* Metrics.watch(Metrics.releasesQueued, queues.releases)
  yield* Metrics.watch(Metrics.suspects, () => state.suspects)
  yield* Metrics.watch(Metrics.lanes, () => state.lanes.size)
  yield* Metrics.watch(Metrics.lanesSlow, slow)
  yield* Metrics.watch(Metrics.lanesBacklog, () => lanes(({ backlog }) => backlog.size > 0))
  yield* Metrics.watch(Metrics.lanesOpen, circuits("open"))
  yield* Metrics.watch(Metrics.lanesHalfOpen, circuits("half-open"))
  yield* Metrics.watch(Metrics.groupsAttached, () => groups.size)
  yield* Metrics.watch(Metrics.groupsUnrouted, () => state.unrouted.size)
  yield* Metrics.watch(Metrics.leaseSeconds, () => Math.max(0, state.leaseEndMs - monotonicMs()) / 1000)
})
