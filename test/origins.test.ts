import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Hook from "../src/Hook.ts"
import { layer as limits } from "../src/Limits.ts"
import { UnderWay } from "../src/UnderWay.ts"
import { Created, Endpoints, layer, subscribe, until, within } from "./support/world.ts"

const emit = Hook.emit(Created, { incidentId: "i", systemIds: [] })

/** Endpoints of which so many are at one place; each has had a message, so that it is known where they are. */
const world = Effect.fnUntraced(function*(endpoints: Endpoints, count: number, others: ReadonlyArray<string> = []) {
  const names = Array.from({ length: count }, (_, n) => `crowd-${n}`)
  for (const name of names) endpoints.origins.set(name, "https://crowd.example")
  for (const name of others) endpoints.origins.set(name, `https://${name}.example`)
  for (const name of [...names, ...others]) yield* subscribe(name)
  yield* emit
  yield* until("all have had a message", () => endpoints.seen.length === count + others.length)
  return names
})

/** Has endpoints answer after a time; tells how many of them were asked at once, at most. */
const answering = (endpoints: Endpoints, names: ReadonlyArray<string>, ms: number) => {
  let now = 0
  let most = 0
  for (const name of names) {
    endpoints.behaviours.set(name, () =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          most = Math.max(most, ++now)
        }),
        () => Effect.delay(Effect.succeed({}), ms),
        () =>
          Effect.sync(() => {
            now--
          })
      ))
  }
  return { mostAtOnce: () => most }
}

describe("what is under way at an origin", () => {
  it("is so much at once, beside what takes long", () => {
    const underWay = new UnderWay<string>({ limit: 2, slowMs: 250 })
    underWay.begin("a", 0)
    underWay.begin("b", 100)
    assert.isFalse(underWay.hasRoom(249))
    assert.strictEqual(underWay.roomInMs(249), 1)
    assert.isTrue(underWay.hasRoom(250))
    underWay.begin("c", 250)
    assert.isFalse(underWay.hasRoom(250))
    assert.strictEqual(underWay.size, 3)
    assert.isTrue(underWay.end("a"))
    assert.isFalse(underWay.end("a"))
    assert.isFalse(underWay.hasRoom(250))
    assert.isTrue(underWay.end("c"))
    assert.isTrue(underWay.hasRoom(250))
  })
})

describe("attempts to one origin", () => {
  it.effect("begin no more of them at once than it has connections, and all of them in the end", () => {
    const endpoints = new Endpoints()
    const body = Effect.gen(function*() {
      const names = yield* world(endpoints, 20)
      const { mostAtOnce } = answering(endpoints, names, 100)
      yield* emit
      yield* emit
      yield* until("all have had all", () => endpoints.seen.length === 60)
      assert.strictEqual(mostAtOnce(), 4)
      for (const name of names) assert.strictEqual(endpoints.of(name).length, 3, name)
    })
    return Effect.provide(within(layer(endpoints), body), limits({ connectionsPerOrigin: 4 }))
  })

  it.effect("follow one another at once, however seldom all lanes are looked at", () => {
    const endpoints = new Endpoints()
    const body = Effect.gen(function*() {
      const names = yield* world(endpoints, 20)
      answering(endpoints, names, 100)
      yield* emit
      yield* until("the first have begun", () => endpoints.seen.length >= 24)
      yield* until("all have begun", () => endpoints.seen.length === 40, 500)
    })
    return Effect.provide(
      within(layer(endpoints), body),
      // Two seconds between looks.
      limits({ connectionsPerOrigin: 4, lanesPerMs: 0.01 })
    )
  })

  it.effect("make room for others once they take long", () => {
    const endpoints = new Endpoints()
    const body = Effect.gen(function*() {
      const names = yield* world(endpoints, 20)
      const hanging = names.slice(0, 8)
      answering(endpoints, hanging, 60_000)
      yield* emit
      yield* until("the others have had theirs", () => endpoints.seen.length === 40, 1000)
    })
    return Effect.provide(within(layer(endpoints), body), limits({ connectionsPerOrigin: 4, slowRequestMs: 250 }))
  })

  it.effect("take no slots while they wait: those to another origin begin at once", () => {
    const endpoints = new Endpoints()
    const body = Effect.gen(function*() {
      const names = yield* world(endpoints, 20, ["other"])
      const { mostAtOnce } = answering(endpoints, names, 60_000)
      yield* emit
      yield* until("the other has had its", () => endpoints.of("other").length === 2, 100)
      assert.strictEqual(mostAtOnce(), 4)
    })
    return Effect.provide(
      within(layer(endpoints), body),
      limits({ slots: 8, firstSlots: 0, connectionsPerOrigin: 4, slowRequestMs: 10_000 })
    )
  })

  it.effect("go on when those that took their places have failed", () => {
    const endpoints = new Endpoints()
    const body = Effect.gen(function*() {
      const names = yield* world(endpoints, 20)
      for (const name of names.slice(0, 10)) endpoints.behaviours.set(name, () => Effect.die(new Error("broken")))
      yield* emit
      yield* until(
        "all have been tried",
        () => new Set(endpoints.seen.slice(20).map((seen) => seen.endpoint)).size === 20,
        2000
      )
    })
    return Effect.provide(within(layer(endpoints), body), limits({ connectionsPerOrigin: 1 }))
  })
})
