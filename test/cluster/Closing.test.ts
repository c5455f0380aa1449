import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Closing from "../../src/cluster/Closing.ts"

/** A layer that notes its release, which goes on until it is let. */
const world = Effect.gen(function*() {
  const let_ = yield* Deferred.make<void>()
  const notes: Array<string> = []
  const layer = Layer.effectDiscard(
    Effect.addFinalizer(() => Effect.andThen(Deferred.await(let_), Effect.sync(() => void notes.push("released"))))
  )
  const below = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => void notes.push("below"))))
  const closing = yield* Effect.forkChild(
    Effect.scoped(Layer.build(Layer.provide(Closing.within(layer, 1000), below))),
    { startImmediately: true }
  )
  return { closing, notes, let_ }
})

describe("a layer that is closed within a time", () => {
  it.effect("is waited for where it is released in time", () =>
    Effect.gen(function*() {
      const { closing, let_, notes } = yield* world
      yield* Deferred.succeed(let_, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(notes, ["released", "below"])
    }))

  it.effect("does not hold up those below it for longer, though its release never ends", () =>
    Effect.gen(function*() {
      const { closing, notes } = yield* world
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(notes, [])
      yield* TestClock.adjust(1)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(notes, ["below"])
    }))
})
