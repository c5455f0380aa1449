import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Lane } from "../src/dispatcher/Lane.ts"
import * as State from "../src/dispatcher/State.ts"
import * as Id from "../src/Id.ts"
import { Limits } from "../src/Limits.ts"
import { groupOf } from "./support/group.ts"

const group = (fed: ReadonlyArray<Id.SubscriptionId>) => groupOf("integration.a.b", { fed })

const at = (monotonicMs: number): State.Times => ({ nowMs: monotonicMs, monotonicMs })

/** A state whose lanes are full with 8 deliveries, of which one statement routes 4. */
const make = Effect.gen(function*() {
  const limits = yield* Limits
  const state = yield* Effect.provideService(State.make, Limits, {
    ...limits,
    laneWindow: 8,
    routeMessages: 4,
    window: 100
  })
  const id = yield* Id.subscriptionId(1)
  const other = yield* Id.subscriptionId(2)
  /** A lane with so many attempts under way, begun at a time. */
  const filled = (of: Id.SubscriptionId, count: number, atMs = 0): Effect.Effect<Lane> =>
    Effect.gen(function*() {
      const lane = State.laneOf(state, of)
      while (lane.inFlight.size > 0) lane.inFlight.shift()
      for (let n = 0; n < count; n++) {
        lane.inFlight.add({ deliveryId: yield* Id.deliveryId(n), group: group([of]), atMs, maker: undefined })
      }
      return lane
    })
  return { state, id, other, filled }
})

describe("messages wait to be routed", () => {
  it.effect("while the lane that they go to has no room for a statement's worth of them", () =>
    Effect.gen(function*() {
      const { filled, id, state } = yield* make
      yield* filled(id, 5)
      const one = group([id])
      assert.isTrue(State.isHeldBack(state, one, at(10)))
      yield* filled(id, 4)
      assert.isFalse(State.isHeldBack(state, one, at(20)))
    }))

  it.effect("but for no lane that is full where another one has room", () =>
    Effect.gen(function*() {
      const { filled, id, other, state } = yield* make
      yield* filled(id, 8)
      assert.isFalse(State.isHeldBack(state, group([id, other]), at(10)))
      yield* filled(other, 8)
      assert.isTrue(State.isHeldBack(state, group([id, other]), at(10)))
    }))

  it.effect("while their lane has a backlog to claim, which goes first", () =>
    Effect.gen(function*() {
      const { filled, id, other, state } = yield* make
      const lane = yield* filled(id, 1)
      const one = group([id])
      State.backlog(state, one, id, 100)
      assert.isFalse(State.isHeldBack(state, one, at(99)))
      assert.isTrue(State.isHeldBack(state, one, at(100)))
      assert.isFalse(State.isHeldBack(state, group([id, other]), at(100)))
      lane.backlog.clear()
      assert.isFalse(State.isHeldBack(state, one, at(100)))
    }))

  it.effect("and for none that hangs or whose circuit is open: it would not make room soon", () =>
    Effect.gen(function*() {
      const { filled, id, state } = yield* make
      const lane = yield* filled(id, 8)
      assert.isFalse(State.isHeldBack(state, group([id]), at(state.limits.slowAfterMs + 1)))
      lane.circuit = { ...lane.circuit, openUntilMs: 1000 }
      assert.isFalse(State.isHeldBack(state, group([id]), at(10)))
    }))

  it.effect("and never for long", () =>
    Effect.gen(function*() {
      const { filled, id, state } = yield* make
      const one = group([id])
      yield* filled(id, 8, 900)
      assert.isTrue(State.isHeldBack(state, one, at(900)))
      assert.isTrue(State.isHeldBack(state, one, at(899 + state.limits.routeHoldMs)))
      assert.isFalse(State.isHeldBack(state, one, at(900 + state.limits.routeHoldMs)))
    }))

  it.effect("beside others that are read, and are read with them when they have waited long enough", () =>
    Effect.gen(function*() {
      const { filled, id, state } = yield* make
      const one = group([id])
      const two = { ...group([]), workerGroup: "integration.a.c" }
      yield* filled(id, 8, 900)
      for (const group of [one, two]) State.unrouted(state, group)
      assert.deepStrictEqual(State.toRoute(state, at(900)), [two])
      State.unrouted(state, two)
      assert.deepStrictEqual(State.toRoute(state, at(900 + state.limits.routeHoldMs)), [one, two])
    }))

  it.effect("and not before it is known where they go", () =>
    Effect.gen(function*() {
      const { state } = yield* make
      assert.isFalse(State.isHeldBack(state, group([]), at(10)))
    }))
})
