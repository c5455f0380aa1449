/** What is asked for while a call is under way goes with the next. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch } from "effect"
import * as Gathering from "../src/dispatcher/Gathering.ts"

const hearing = Effect.gen(function*() {
  const calls: Array<ReadonlyArray<string>> = []
  const mayEnd = yield* Latch.make()
  const call = yield* Gathering.make((items: ReadonlyArray<string>) =>
    Effect.andThen(
      Effect.sync(() => calls.push(items)),
      Effect.andThen(mayEnd.await, items.includes("bad") ? Effect.fail("refused") : Effect.void)
    )
  )
  const begun = (item: string) => Effect.forkChild(Effect.exit(call(item)), { startImmediately: true })
  return { calls, mayEnd, begun }
})

describe("calls that are gathered", () => {
  it.effect("go together while one is under way", () =>
    Effect.gen(function*() {
      const { begun, calls, mayEnd } = yield* hearing
      const all = [yield* begun("a"), yield* begun("b"), yield* begun("c")]
      yield* mayEnd.open
      for (const one of all) assert.isTrue(Exit.isSuccess(yield* Fiber.join(one)))
      assert.deepStrictEqual(calls, [["a"], ["b", "c"]])
    }))

  it.effect("fail together", () =>
    Effect.gen(function*() {
      const { begun, mayEnd } = yield* hearing
      const [first, ...others] = [yield* begun("a"), yield* begun("bad"), yield* begun("c")]
      yield* mayEnd.open
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(first)))
      for (const one of others) assert.deepStrictEqual(yield* Fiber.join(one), Exit.fail("refused"))
    }))

  it.effect("are made all the same where one of them is given up", () =>
    Effect.gen(function*() {
      const { begun, calls, mayEnd } = yield* hearing
      const first = yield* begun("a")
      const [second, third] = [yield* begun("b"), yield* begun("c")]
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(second)
      yield* mayEnd.open
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(third)))
      assert.deepStrictEqual(calls.at(-1), ["c"])
    }))
})
