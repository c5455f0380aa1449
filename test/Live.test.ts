import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import { BoundTenant } from "../src/Access.ts"
import * as Id from "../src/Id.ts"
import * as Limits from "../src/Limits.ts"
import * as Live from "../src/Live.ts"

const small = Live.layer.pipe(Layer.provide(Limits.layer({ liveBuffer: 3, liveListeners: 2, liveKept: 4 })))

const recorded = Effect.map(
  Effect.all({ id: Id.deliveryId(0), messageId: Id.messageId(0), subscriptionId: Id.subscriptionId(0) }),
  (ids) => (n: number, eventId = "a.b", tenantId = "default"): Live.Recorded => ({
    delivery: { ...ids, eventId, tenantId, status: "success", attemptCount: n, createdAtMs: 0 },
    attempt: { number: n, startedAtMs: 0, durationMs: 1, outcome: "success" }
  })
)

const listen = (live: Live.Live["Service"], filter: Live.Filter) => Effect.map(live.listen(filter), ({ next }) => next)

const numbers = (batch: Live.Batch) => batch.outcomes.map((outcome) => outcome.attempt.number)

describe("Live", () => {
  it.effect("makes nothing of an outcome while nobody listens, nor has left just before", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      const make = yield* recorded
      live.offer(() => assert.fail("made for nobody"))
      yield* Effect.scoped(listen(live, {}))
      for (let n = 1; n <= 4; n++) live.offer(() => make(n))
      live.offer(() => assert.fail("made for one who has left"))
    }).pipe(Effect.provide(small)))

  it.effect("who comes back goes on after what it saw last, while that is kept, and is told where it is not", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      const make = yield* recorded
      const last = yield* Effect.scoped(Effect.gen(function*() {
        const next = yield* listen(live, {})
        live.offer(() => make(1))
        live.offer(() => make(2))
        return (yield* next).outcomes.map(({ id }) => id)
      }))
      live.offer(() => make(3, "a.c"))
      live.offer(() => make(4))
      const back = yield* live.listen({ eventId: "a.b" }, last[0])
      live.offer(() => make(5))
      const batch = yield* back.next
      assert.deepStrictEqual([back.hasGap, batch.dropped, numbers(batch)], [false, 0, [2, 4, 5]])
      for (let n = 6; n <= 20; n++) live.offer(() => make(n))
      const late = yield* Effect.scoped(live.listen({}, last[1]))
      assert.isTrue(late.hasGap)
    }).pipe(Effect.provide(small)))

  it.effect("who comes back has missed nothing where nothing came, also when what was kept is forgotten", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      const make = yield* recorded
      const listened = Effect.scoped(Effect.gen(function*() {
        const next = yield* listen(live, {})
        live.offer(() => make(1))
        return (yield* next).outcomes[0]?.id
      }))
      const first = yield* listened
      assert.isFalse((yield* Effect.scoped(live.listen({}, first))).hasGap)
      // As many as are kept for one who has left; the last of them is where another would go on.
      const last = { ...make(5), id: `${make(5).delivery.id}-5` }
      for (let n = 2; n <= 5; n++) live.offer(() => make(n))
      assert.isFalse((yield* Effect.scoped(live.listen({}, last.id))).hasGap)
      for (let n = 6; n <= 10; n++) live.offer(() => make(n))
      assert.isTrue((yield* Effect.scoped(live.listen({}, last.id))).hasGap)
    }).pipe(Effect.provide(small)))

  it.effect("an id tells nothing of what others had meanwhile, and leads nobody to what is not its own", () =>
    Effect.gen(function*() {
      const make = yield* recorded
      const told = (others: number) =>
        Effect.gen(function*() {
          const live = yield* Live.Live
          const next = yield* listen(live, { tenantId: "acme" })
          for (let n = 1; n <= others; n++) live.offer(() => make(n, "a.b", "other"))
          live.offer(() => make(20, "a.b", "acme"))
          live.offer(() => make(21, "a.b", "other"))
          const { outcomes } = yield* next
          const ids = outcomes.map(({ id }) => id)
          const again = yield* live.listen({ tenantId: "other" }, ids[0])
          return { ids, hasGap: again.hasGap }
        }).pipe(Effect.scoped, Effect.provide(Layer.fresh(small)))
      const alone = yield* told(0)
      assert.deepStrictEqual([alone.ids.length, alone.hasGap], [1, true])
      assert.deepStrictEqual(yield* told(3), alone)
    }))

  it.effect("what another runner told, or one before a restart, is a gap", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      for (const id of ["0-1", "nonsense", "", "1-99999999999999999999"]) {
        assert.isTrue((yield* Effect.scoped(live.listen({}, id))).hasGap, id)
      }
    }).pipe(Effect.provide(small)))

  it.effect("a listener waits for what comes and gets it in order", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      const make = yield* recorded
      const next = yield* listen(live, {})
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
      const all = yield* listen(live, {})
      const some = yield* listen(live, { eventId: "a.b" })
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
      yield* listen(live, {})
      yield* Effect.scoped(Effect.gen(function*() {
        yield* listen(live, {})
        const refused = yield* Effect.flip(listen(live, {}))
        assert.deepInclude(refused, { _tag: "NoPlace", ofTenant: false })
      }))
      yield* listen(live, {})
    }).pipe(Effect.provide(small)))

  it.effect("leaves places to others where one tenant has its share, which those who have left give back", () => {
    const limited = Live.layer.pipe(Layer.provide(Limits.layer({ liveListeners: 3, liveListenersPerTenant: 1 })))
    return Effect.gen(function*() {
      const live = yield* Live.Live
      const of = (tenantId: string | undefined) => Effect.provideService(listen(live, {}), BoundTenant, tenantId)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* of("north")
        assert.deepInclude(yield* Effect.flip(of("north")), { _tag: "NoPlace", ofTenant: true })
        yield* of("south")
        yield* of(undefined)
        assert.deepInclude(yield* Effect.flip(of("west")), { _tag: "NoPlace", ofTenant: false })
      }))
      yield* of("north")
    }).pipe(Effect.provide(limited))
  })

  it.effect("ends its listeners, those that wait and those that come later", () =>
    Effect.gen(function*() {
      const live = yield* Live.Live
      const next = yield* listen(live, {})
      const waiting = yield* Effect.forkChild(next, { startImmediately: true })
      yield* live.end
      const later = yield* listen(live, {})
      for (const exit of [yield* Fiber.await(waiting), yield* Effect.exit(later)]) {
        assert.isTrue(
          Exit.isFailure(exit) &&
            exit.cause.reasons.some((reason) => reason._tag === "Fail" && Cause.isDone(reason.error))
        )
      }
    }).pipe(Effect.provide(small)))
})
