import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { BoundTenant } from "../src/Access.ts"
import * as Limits from "../src/Limits.ts"
import { layer, Tryouts } from "../src/Tryouts.ts"

const limited = layer.pipe(Layer.provide(Limits.layer({ tests: 3, testsPerTenant: 1 })))

const started = { startImmediately: true }

/** One of a tenant's, or of nobody in particular. */
const of = (tenantId: string | undefined, tried: Effect.Effect<string>) =>
  Effect.provideService(Tryouts.use(({ run }) => run(tried, 1000)), BoundTenant, tenantId)

describe("tryouts", () => {
  it.effect("tell how each ended: with an answer, a failure, what was thrown, or not in its time", () =>
    Effect.gen(function*() {
      const { run } = yield* Tryouts
      assert.deepStrictEqual(yield* run(Effect.succeed("a"), 1000), Option.some(Exit.succeed("a")))
      assert.deepStrictEqual(yield* run(Effect.fail("no"), 1000), Option.some(Exit.fail("no")))
      const thrown = yield* run(
        Effect.sync(() => {
          throw new Error("oops")
        }),
        1000
      )
      assert.isTrue(Option.isSome(thrown) && Exit.isFailure(thrown.value))
      // JavaScript may give what is no effect; more often than there are places.
      const none: Effect.Effect<string> = JSON.parse("null")
      for (let n = 0; n < 5; n++) {
        const senseless = yield* run(none, 1000)
        assert.isTrue(Option.isSome(senseless) && Exit.isFailure(senseless.value))
      }
      const hanging = yield* Effect.forkChild(run(Effect.never, 1000), started)
      yield* TestClock.adjust(1000)
      assert.isTrue(Option.isNone(yield* Fiber.join(hanging)))
    }).pipe(Effect.provide(limited)))

  it.effect("of one tenant leave places to others, and all leave none beyond the whole", () =>
    Effect.gen(function*() {
      const end = yield* Latch.make()
      const waiting = Effect.as(end.await, "a")
      const underWay = yield* Effect.forEach(
        ["north", undefined],
        (tenantId) => Effect.forkChild(of(tenantId, waiting), started)
      )
      assert.deepInclude(yield* Effect.flip(of("north", waiting)), { ofTenant: true })
      const third = yield* Effect.forkChild(of("south", waiting), started)
      for (const tenantId of ["west", undefined]) {
        assert.deepInclude(yield* Effect.flip(of(tenantId, waiting)), { ofTenant: false })
      }
      yield* end.open
      for (const fiber of [...underWay, third]) yield* Fiber.join(fiber)
      assert.isTrue(Option.isSome(yield* of("north", Effect.succeed("b"))))
    }).pipe(Effect.provide(limited)))

  it.effect("that can't be interrupted hold their places for their time, though nobody waits for them any more", () =>
    Effect.gen(function*() {
      const end = yield* Latch.make()
      const stubborn = Effect.uninterruptible(Effect.as(end.await, "a"))
      const asking = yield* Effect.forkChild(of("north", stubborn), started)
      yield* Fiber.interrupt(asking)
      // Whoever hangs up can't begin more than those who wait.
      assert.deepInclude(yield* Effect.flip(of("north", stubborn)), { ofTenant: true })
      yield* TestClock.adjust(999)
      assert.deepInclude(yield* Effect.flip(of("north", stubborn)), { ofTenant: true })
      yield* TestClock.adjust(1)
      assert.isTrue(Option.isSome(yield* of("north", Effect.succeed("b"))))
      const second = yield* Effect.forkChild(of("north", stubborn), started)
      // The end of the first, long after its time, gives back no place of the second.
      yield* end.open
      yield* Fiber.join(second)
      assert.isTrue(Option.isSome(yield* of("north", Effect.succeed("c"))))
    }).pipe(Effect.provide(limited)))

  it.effect("that can be interrupted give their places back as soon as whoever asked has gone", () =>
    Effect.gen(function*() {
      const asking = yield* Effect.forkChild(of("north", Effect.never), started)
      yield* Fiber.interrupt(asking)
      assert.isTrue(Option.isSome(yield* of("north", Effect.succeed("b"))))
    }).pipe(Effect.provide(limited)))
})
