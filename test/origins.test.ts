import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Hook from "../src/Hook.ts"
import { layer as limits } from "../src/Limits.ts"
import { UnderWay } from "../src/UnderWay.ts"
import { Created, Endpoints, layer, subscribe, until, within } from "./support/world.ts"

const payload = { incidentId: "i", systemIds: [] }

const emit = Hook.emit(Created, payload)

const emitTo = (tenantId: string) => Hook.emit(Created, payload, { tenantId })

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
    const underWay = new UnderWay({ limit: 2, slowMs: 250 })
    const a = underWay.begin(0)
    underWay.begin(100)
    assert.isFalse(underWay.hasRoom(249))
    assert.strictEqual(underWay.roomInMs(249), 1)
    assert.isTrue(underWay.hasRoom(250))
    const c = underWay.begin(250)
    assert.isFalse(underWay.hasRoom(250))
    assert.strictEqual(underWay.size, 3)
    assert.isTrue(underWay.end(a))
    assert.isFalse(underWay.end(a))
    assert.isFalse(underWay.hasRoom(250))
    assert.isTrue(underWay.end(c))
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

  it.effect("leave what they don't use of their parts to those to another origin", () => {
    const endpoints = new Endpoints()
    const body = Effect.gen(function*() {
      const names = yield* world(endpoints, 20)
      yield* subscribe("other", undefined, { tenantId: "default" })
      const crowd = answering(endpoints, names, 60_000)
      const other = answering(endpoints, ["other"], 1000)
      yield* Effect.replicateEffect(emit, 40, { discard: true, concurrency: 40 })
      yield* until("the other has all slots that are free", () => other.mostAtOnce() >= 20, 500)
      assert.strictEqual(crowd.mostAtOnce(), 4)
    })
    return Effect.provide(
      within(layer(endpoints), body),
      limits({ slots: 24, firstSlots: 0, connectionsPerOrigin: 4, slowRequestMs: 10_000 })
    )
  })

  it.effect("share it, though one came first and has more waiting", () => {
    const endpoints = new Endpoints()
    const body = Effect.gen(function*() {
      for (const name of ["first", "second"]) {
        endpoints.origins.set(name, "https://crowd.example")
        yield* subscribe(name, undefined, { tenantId: name })
        yield* emitTo(name)
      }
      yield* until("both have had a message", () => endpoints.seen.length === 2)
      answering(endpoints, ["first", "second"], 100)
      yield* Effect.replicateEffect(emitTo("first"), 400, { discard: true, concurrency: 100 })
      yield* until("the first has its places", () => endpoints.of("first").length >= 20)
      yield* Effect.replicateEffect(emitTo("second"), 100, { discard: true, concurrency: 100 })
      const before = endpoints.of("first").length
      yield* until("the second has had many", () => endpoints.of("second").length >= 60)
      assert.isAtMost(endpoints.of("first").length - before, 90)
      yield* until("all have had all", () => endpoints.seen.length === 502)
    })
    return Effect.provide(within(layer(endpoints), body), limits({ connectionsPerOrigin: 4 }))
  })

  for (
    const [what, extra] of [
      ["a rate limit", { rateLimit: { messages: 100, intervalMs: 1000 } }],
      ["a limit of its own", { maxConcurrency: 2 }]
    ] as const
  ) {
    it.effect(`begin beside a busy subscription where theirs has ${what}`, () => {
      const endpoints = new Endpoints()
      const body = Effect.gen(function*() {
        for (const [name, more] of [["busy", {}], ["limited", extra]] as const) {
          endpoints.origins.set(name, "https://crowd.example")
          yield* subscribe(name, undefined, { tenantId: name, ...more })
          yield* emitTo(name)
        }
        yield* until("both have had a message", () => endpoints.seen.length === 2)
        answering(endpoints, ["busy"], 100)
        yield* Effect.replicateEffect(emitTo("busy"), 400, { discard: true, concurrency: 100 })
        yield* until("the busy one has its places", () => endpoints.of("busy").length >= 20)
        yield* emitTo("limited")
        yield* until("the limited one has its message", () => endpoints.of("limited").length === 2, 1500)
        assert.isBelow(endpoints.of("busy").length, 200)
      })
      return Effect.provide(within(layer(endpoints), body), limits({ connectionsPerOrigin: 4 }))
    })
  }

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
