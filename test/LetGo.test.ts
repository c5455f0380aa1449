import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { letGo } from "../src/LetGo.ts"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** A collection, in a job of its own: what a weak reference has told of is held until the present one ends. */
const collected = Effect.promise(() => new Promise<void>((done) => setImmediate(done))).pipe(
  Effect.map(() => collect())
)

/** By itself: functions of one place hold all that any of them names. */
const holding = (reference: WeakRef<object>) => () => reference.deref() !== undefined

/** An effect that counts what it is about, and whether that is still there. */
const counting = () => {
  const much = Array.from({ length: 1000 }, (_, n) => n)
  return { isHeld: holding(new WeakRef(much)), effect: letGo(Effect.sync(() => much.length)) }
}

describe("an effect that lets go of what it is about", () => {
  it.effect("comes to what it comes to without", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* counting().effect, 1000)
      assert.strictEqual(yield* Effect.flip(letGo(Effect.fail("refused"))), "refused")
    }))

  it.live("holds it until it begins, and no longer", () =>
    Effect.gen(function*() {
      const before = counting()
      const after = counting()
      yield* after.effect
      yield* collected
      assert.isTrue(before.isHeld(), "one that has not begun")
      assert.isFalse(after.isHeld(), "one that has run")
      // Both are still there.
      assert.deepStrictEqual([before.effect, after.effect].map(Effect.isEffect), [true, true])
    }))

  it.effect("dies when it is run again", () =>
    Effect.gen(function*() {
      const { effect } = counting()
      yield* effect
      const again = yield* Effect.exit(effect)
      assert.isTrue(Exit.isFailure(again) && Cause.hasDies(again.cause))
    }))
})
