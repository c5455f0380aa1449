import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import * as Id from "../src/Id.ts"
import * as Limits from "../src/Limits.ts"
import * as Live from "../src/Live.ts"

const small = Live.layer.pipe(Layer.provide(Limits.layer({ liveBuffer: 3, liveListeners: 2 })))

const recorded = Effect.map(
  Effect.all({ id: Id.deliveryId(0), messageId: Id.messageId(0), subscriptionId: Id.subscriptionId(0) }),
  (ids) => (n: number, eventId = "a.b"): Live.Recorded => ({
    delivery: { ...ids, eventId, tenantId: "default", status: "success", attemptCount: n, createdAtMs: 0 },
    attempt: { number: n, startedAtMs: 0, durationMs: 1, outcome: "success" }
  })
)

const numbers = (batch: Live.Batch) => batch.outcomes.map((outcome) => outcome.attempt.number)

describe("Live", () => {
  it.effect("makes nothing of an outcome while nobody listens", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      live.offer(() => assert.fail("made for nobody"))
      yield* Effect.scoped(live.listen({}))
      live.offer(() => assert.fail("made for one who has left"))
    }).pipe(Effect.provide(small)))

  it.effect("a listener waits for what comes and gets it in order", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      const make = yield* recorded
      const next = yield* live.listen({})
      const waiting = yield* Effect.forkChild(next, { startImmediately: true })
      live.offer(() => make(1))
      live.offer(() => make(2))
      const first = yield* Fiber.join(waiting)
      assert.deepStrictEqual({ dropped: first.dropped, numbers: numbers(first) }, { dropped: 0, numbers: [1, 2] })
      live.offer(() => make(3))
      assert.deepStrictEqual(numbers(yield* next), [3])
    }).pipe(Effect.provide(small)))

  it.effect("a slow listener keeps the newest and is told exactly how many it missed, of those it asked for", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      const make = yield* recorded
      const all = yield* live.listen({})
      const some = yield* live.listen({ eventId: "a.b" })
      for (let n = 1; n <= 10; n++) live.offer(() => make(n, n % 2 === 0 ? "a.b" : "a.c"))
      const late = yield* all
      assert.deepStrictEqual({ dropped: late.dropped, numbers: numbers(late) }, { dropped: 7, numbers: [8, 9, 10] })
      const filtered = yield* some
      assert.deepStrictEqual(
        { dropped: filtered.dropped, numbers: numbers(filtered) },
        { dropped: 2, numbers: [6, 8, 10] }
      )
      live.offer(() => make(11))
      assert.strictEqual((yield* all).dropped, 0)
    }).pipe(Effect.provide(small)))

  it.effect("serves a bounded number of listeners", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      yield* live.listen({})
      yield* Effect.scoped(Effect.gen(function*() {
        yield* live.listen({})
        const refused = yield* Effect.flip(live.listen({}))
        assert.strictEqual(refused._tag, "TooManyListeners")
      }))
      yield* live.listen({})
    }).pipe(Effect.provide(small)))

  it.effect("ends its listeners, those that wait and those that come later", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      const next = yield* live.listen({})
      const waiting = yield* Effect.forkChild(next, { startImmediately: true })
      yield* live.end
      const later = yield* live.listen({})
      for (const exit of [yield* Fiber.await(waiting), yield* Effect.exit(later)]) {
        assert.isTrue(
          Exit.isFailure(exit) &&
            exit.cause.reasons.some((reason) => reason._tag === "Fail" && Cause.isDone(reason.error))
        )
      }
    }).pipe(Effect.provide(small)))
})
