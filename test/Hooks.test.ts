import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Metric, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Dispatchers from "../src/Dispatchers.ts"
import * as Hook from "../src/Hook.ts"
import * as Hooks from "../src/Hooks.ts"
import { defaults } from "../src/Limits.ts"
import type { Message } from "../src/Message.ts"
import * as Metrics from "../src/Metrics.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Registry from "../src/Registry.ts"
import { RowRefused, Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { interfered } from "./support/world.ts"

const Counted = Hook.make("counted", { payload: Schema.Struct({ n: Schema.Int }) })
const Few = Hook.make("few", { payload: Schema.Int, capacity: 2 })
const First = Hook.make("first", { payload: Schema.Int, capacity: 2, overflow: "dropping" })
const Dated = Hook.make("dated", {
  payload: Schema.Struct({ at: Schema.Date, list: Schema.Array(Schema.Struct({ id: Schema.String })) })
})

const Wide = Hook.make("wide", { payload: Schema.String })

const Foreign = Hook.make("foreign", { payload: Schema.Int })

const Picky = Hook.make("picky", {
  payload: Schema.Struct({ key: Schema.String }),
  orderingKey: ({ key }) => {
    if (key === "throws") throw new Error("no key")
    return key
  }
})

const plugin = Plugin.make("test", { hooks: [Counted, Few, First, Dated, Picky, Wide] })

/** Emission alone, on a storage that the test interferes with. */
const world = (change: (storage: Storage["Service"]) => Partial<Storage["Service"]> = () => ({})) =>
  on(interfered(change), Dispatchers.layerNoop)

const on = <R>(storage: Layer.Layer<Storage | R>, dispatchers: Layer.Layer<Dispatchers.Dispatchers>) =>
  Hooks.layer.pipe(
    Layer.provide(plugin),
    Layer.provideMerge(Registry.layer),
    Layer.provide(dispatchers),
    Layer.provideMerge(storage)
  )

const times = (n: number) => Array.from({ length: n }, (_, i) => i)

describe("an emit", () => {
  it.effect("that the schema refuses says at which field, and of a hook that no plugin brings what to do", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(Hook.emit(Counted, { n: 1.5 }))
      assert.deepInclude(refused, { _tag: "PayloadRefused", eventId: "test.counted", path: "payload.n" })
      const hooks = yield* Hook.Hooks
      const nested = yield* Effect.flip(hooks.emitJson("test.dated", {
        at: "2026-01-31T00:00:00Z",
        list: [{ id: "a" }, { id: 1 }]
      }))
      assert.deepInclude(nested, { _tag: "PayloadRefused", path: "payload.list[1].id" })
      const foreign = yield* Effect.flip(Hook.emit(Foreign, 1))
      assert.strictEqual(foreign._tag, "HookNotRegistered")
      assert.include(foreign.message, "add it to the hooks of a plugin")
    }).pipe(Effect.provide(world())))

  it.effect("refuses an ordering key that throws, is empty, too long or no text that a database holds", () =>
    Effect.gen(function*() {
      for (const key of ["throws", "", "x".repeat(defaults.keyLength + 1), "a\0", "\ud800"]) {
        const refused = yield* Effect.flip(Hook.emit(Picky, { key }))
        assert.deepInclude(refused, { _tag: "PayloadRefused", path: "orderingKey" })
      }
    }).pipe(Effect.provide(world())))

  it.effect("refuses a payload that is larger than a payload may be, in bytes and not in characters", () =>
    Effect.gen(function*() {
      const fits = "é".repeat(defaults.payloadBytes / 2 - 1)
      yield* Hook.emit(Wide, fits)
      const refused = yield* Effect.flip(Hook.emit(Wide, `${fits}é`))
      assert.deepInclude(refused, { _tag: "PayloadRefused", path: "payload" })
    }).pipe(Effect.provide(world())))

  it.effect("shares its commit with those that come while another is under way; one with a key commits alone", () => {
    const appended: Array<number> = []
    let alone = 0
    const first = Latch.makeUnsafe()
    const layer = world((storage) => ({
      append: (messages) => {
        appended.push(messages.length)
        return Effect.andThen(appended.length === 1 ? first.await : Effect.void, storage.append(messages))
      },
      appendOnce: (message, options) => Effect.suspend(() => (alone++, storage.appendOnce(message, options)))
    }))
    return Effect.gen(function*() {
      const emitting = yield* Effect.forkChild(
        Effect.forEach(times(100), (n) => Hook.emit(Counted, { n }), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      const keyed = yield* Effect.forEach(
        times(5),
        (n) => Hook.emit(Counted, { n }, { idempotencyKey: String(n) }),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(keyed).size, 5)
      yield* first.open
      while (emitting.pollUnsafe() === undefined) yield* Effect.yieldNow
      assert.strictEqual(appended.reduce((sum, n) => sum + n, 0), 100)
      assert.isAtMost(appended.length, 3)
      assert.strictEqual(alone, 5)
    }).pipe(Effect.provide(layer))
  })

  it.effect("tells the dispatcher where something was committed", () => {
    const told: Array<string> = []
    const dispatchers = Layer.succeed(Dispatchers.Dispatchers, {
      runnerId: undefined,
      wake: (group) => Effect.sync(() => void told.push(group)),
      confirm: () => Effect.void
    })
    return Effect.gen(function*() {
      const group = "integration.test.counted"
      yield* Hook.emit(Counted, { n: 1 })
      const { withTransaction } = yield* StorageMemory.MemoryTransactions
      yield* withTransaction(
        Effect.tap(Hook.emit(Counted, { n: 2 }), () => Effect.sync(() => assert.strictEqual(told.length, 1)))
      )
      assert.deepStrictEqual(told, [group, group])
    }).pipe(Effect.provide(on(StorageMemory.layer, dispatchers)))
  })

  it.effect("whose row the database refuses fails alone, whomever it shared its commit with", () => {
    const isBad = (message: Message) => message.payloadJson === "{\"n\":13}"
    const layer = world((storage) => ({
      append: (messages) =>
        messages.some(isBad) ? Effect.fail(new RowRefused({ message: "a row was refused" })) : storage.append(messages)
    }))
    return Effect.gen(function*() {
      const results = yield* Effect.forEach(times(50), (n) => Effect.result(Hook.emit(Counted, { n })), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        results.flatMap((result, n) => result._tag === "Failure" ? [`${n} ${result.failure._tag}`] : []),
        ["13 PayloadRefused"]
      )
      const storage = yield* Storage
      const stored = yield* storage.listMessages({}, { cursor: undefined, limit: 100, bytes: 1e9 })
      assert.strictEqual(stored.items.length, 49)
    }).pipe(Effect.provide(layer))
  })

  it.effect("that the database never takes is not stored, one that it never answers may be", () => {
    const layer = world(() => ({ append: () => Effect.never }))
    return Effect.gen(function*() {
      const emit = Effect.forkChild(Effect.flip(Hook.emit(Counted, { n: 1 })), { startImmediately: true })
      const taken = yield* emit
      yield* TestClock.adjust(1)
      const waiting = yield* emit
      yield* TestClock.adjust(defaults.emitTimeoutMs)
      assert.strictEqual((yield* Fiber.join(taken))._tag, "EmitOutcomeUnknown")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "StorageUnavailable")
    }).pipe(Effect.provide(layer))
  })

  it.effect("stores an encoded payload and gives listeners the typed one", () =>
    Effect.gen(function*() {
      const heard: Array<Date> = []
      yield* Effect.forkChild(
        Stream.runForEach(Hook.stream(Dated), ({ at }) => Effect.sync(() => void heard.push(at))),
        { startImmediately: true }
      )
      const at = new Date("2026-01-31T12:00:00Z")
      const id = yield* Hook.emit(Dated, { at, list: [] })
      while (heard.length === 0) yield* Effect.yieldNow
      assert.deepStrictEqual(heard, [at])
      const stored = yield* Storage.use((storage) => storage.getMessage(id))
      assert.strictEqual(
        stored._tag === "Some" && stored.value.payloadJson,
        "{\"at\":\"2026-01-31T12:00:00.000Z\",\"list\":[]}"
      )
    }).pipe(Effect.provide(world())))
})

describe("a local channel", () => {
  const behind = (hook: Hook.Hook<number>, kept: ReadonlyArray<number>) =>
    Effect.gen(function*() {
      const eventId = `test.${hook.id}`
      const dropped = Metric.withAttributes(Metrics.channelDropped, { event: eventId })
      const before = (yield* Metric.value(dropped)).count
      const heard: Array<number> = []
      const go = yield* Latch.make()
      yield* Effect.forkChild(
        Stream.runForEach(
          Hook.stream(hook),
          (n) => Effect.andThen(Effect.sync(() => void heard.push(n)), go.await)
        ),
        { startImmediately: true }
      )
      yield* Hook.emitLocal(hook, 0)
      // The listener holds the first, which left the channel.
      while (heard.length === 0) yield* Effect.yieldNow
      for (const n of [1, 2, 3, 4]) yield* Hook.emitLocal(hook, n)
      assert.strictEqual(Number((yield* Metric.value(dropped)).count) - Number(before), 4 + 1 - kept.length)
      yield* go.open
      while (heard.length < kept.length) yield* Effect.yieldNow
      assert.deepStrictEqual(heard, kept)
    }).pipe(Effect.provide(world()))

  it.effect("drops the oldest for a slow listener, counts them, and lets no emitter wait", () => behind(Few, [0, 3, 4]))

  it.effect("that is dropping drops the newest", () => behind(First, [0, 1, 2]))

  it.effect("holds nothing where nobody listens", () =>
    Effect.gen(function*() {
      const heard: Array<number> = []
      for (const n of times(10)) yield* Hook.emitLocal(Few, n)
      yield* Effect.forkChild(
        Stream.runForEach(Hook.stream(Few), (n) => Effect.sync(() => void heard.push(n))),
        { startImmediately: true }
      )
      yield* Hook.emitLocal(Few, 10)
      while (heard.length === 0) yield* Effect.yieldNow
      assert.deepStrictEqual(heard, [10])
    }).pipe(Effect.provide(world())))
})
