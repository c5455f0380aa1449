import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Hook from "../src/Hook.ts"
import * as IntegrationEvent from "../src/IntegrationEvent.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Provider from "../src/Provider.ts"
import * as Registry from "../src/Registry.ts"

const Opened = Hook.make("door.opened", {
  payload: Schema.Struct({
    doorId: Schema.String.annotate({ description: "Which door" }),
    floor: Schema.optionalKey(Schema.Int),
    visitors: Schema.Array(Schema.Struct({ name: Schema.String, tags: Schema.Array(Schema.String) })),
    at: Schema.Struct({ lat: Schema.Finite, lon: Schema.Finite })
  })
})
const Closed = Hook.make("door.closed", { payload: Schema.Struct({}) })

const event = (hook: typeof Opened, displayName: string) => IntegrationEvent.make(hook, { displayName })

const provider = (id: string, config: Schema.Codec<unknown, unknown> = Schema.Struct({})) =>
  Provider.make({
    id,
    displayName: id,
    config,
    bind: (): Provider.Bound<never> => ({ check: Effect.void, deliver: () => Effect.succeed({}) })
  })

type Plugins = Layer.Layer<never, Registry.PluginError, Registry.Registry>

const registry = (...plugins: ReadonlyArray<Plugins>) =>
  plugins.reduce<Layer.Layer<Registry.Registry, Registry.PluginError>>(
    (built, plugin) => Layer.provideMerge(plugin, built),
    Registry.layer
  )

/** What a program with these plugins is told at its start. */
const refusal = (...plugins: ReadonlyArray<Plugins>) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(registry(...plugins)))), (error) => error.message)

describe("the registry", () => {
  const doors = Plugin.make("building", {
    hooks: [Opened, Closed],
    events: [
      IntegrationEvent.make(Opened, { displayName: "Door Opened", category: "Doors" }),
      IntegrationEvent.make(Closed, { displayName: "Door Closed" })
    ],
    providers: [provider("siren")]
  })

  it.effect("finds events by their full id and by category, providers by their qualified id", () =>
    Effect.gen(function*() {
      const found = yield* Registry.Registry
      assert.strictEqual((yield* found.event("building.door.opened"))?.displayName, "Door Opened")
      assert.isUndefined(yield* found.event("door.opened"))
      assert.deepStrictEqual((yield* found.events).map((one) => one.eventId), [
        "building.door.closed",
        "building.door.opened",
        "hookline.delivery.exhausted",
        "hookline.subscription.disabled",
        "hookline.subscription.failing",
        "hookline.subscription.recovered"
      ])
      const categories = [...yield* found.eventsByCategory].map((
        [name, events]
      ) => [name, events.map((e) => e.eventId)])
      assert.deepStrictEqual(categories.slice(0, 2), [
        ["Uncategorized", ["building.door.closed"]],
        ["Doors", ["building.door.opened"]]
      ])
      assert.strictEqual((yield* found.provider("building.siren"))?.displayName, "siren")
      assert.strictEqual((yield* found.hookOf(Opened))?.eventId, "building.door.opened")
    }).pipe(Effect.provide(registry(doors))))

  it.effect("gives each payload's JSON Schema and its properties, flattened", () =>
    Effect.gen(function*() {
      const found = yield* Registry.Registry
      const opened = yield* found.event("building.door.opened")
      assert.strictEqual(opened?.payloadSchema.$schema, "https://json-schema.org/draft/2020-12/schema")
      assert.deepStrictEqual(opened?.payloadSchema.required, ["doorId", "visitors", "at"])
      assert.deepStrictEqual(opened?.availableProperties, [
        { path: "payload.doorId", type: "string", description: "Which door" },
        { path: "payload.floor", type: "integer" },
        { path: "payload.visitors", type: "array" },
        { path: "payload.visitors[n]", type: "object" },
        { path: "payload.visitors[n].name", type: "string" },
        { path: "payload.visitors[n].tags", type: "array" },
        { path: "payload.visitors[n].tags[n]", type: "string" },
        { path: "payload.at", type: "object" },
        { path: "payload.at.lat", type: "number" },
        { path: "payload.at.lon", type: "number" }
      ])
    }).pipe(Effect.provide(registry(doors))))

  it.effect("takes the same layer value twice as one plugin", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* (yield* Registry.Registry).plugins).length, 1)
    }).pipe(Effect.provide(Layer.mergeAll(doors, doors).pipe(Layer.provideMerge(Registry.layer)))))

  it.effect("refuses a second plugin with an id, and names what both bring", () =>
    Effect.gen(function*() {
      const message = yield* refusal(
        Plugin.make("building", { hooks: [Opened] }),
        Plugin.make("building", { providers: [provider("bell")] })
      )
      assert.include(message, "\"building\" exists twice")
      assert.include(message, "hook door.opened")
      assert.include(message, "provider bell")
    }))

  it.effect("refuses malformed and reserved ids, and says what an id looks like", () =>
    Effect.gen(function*() {
      for (const id of ["", "a.b", "ünder", "x".repeat(65), "-a"]) {
        assert.include(yield* refusal(Plugin.make(id, {})), "malformed id")
      }
      for (const id of ["integration", "subscription", "hookline"]) {
        assert.include(yield* refusal(Plugin.make(id, {})), "reserved id")
      }
      for (const id of ["", "a..b", ".a", "a b", "*", "x".repeat(129)]) {
        const hook = Hook.make(id, { payload: Schema.Struct({}) })
        assert.include(yield* refusal(Plugin.make("building", { hooks: [hook] })), `malformed id "${id}"`)
        assert.include(yield* refusal(Plugin.make("building", { providers: [provider(id)] })), `malformed id "${id}"`)
      }
    }))

  it.effect("refuses two hooks, events or providers of one plugin with one id", () =>
    Effect.gen(function*() {
      const again = Hook.make("door.opened", { payload: Schema.Struct({}) })
      assert.include(yield* refusal(Plugin.make("building", { hooks: [Opened, again] })), "two hooks with the id")
      assert.include(
        yield* refusal(Plugin.make("building", { providers: [provider("bell"), provider("bell")] })),
        "two providers with the id \"bell\""
      )
      const twice = yield* refusal(Plugin.make("building", {
        hooks: [Opened],
        events: [event(Opened, "Opened"), event(Opened, "Unlocked")]
      }))
      assert.include(twice, "\"Opened\" and \"Unlocked\"")
    }))

  it.effect("refuses an event whose hook belongs to another plugin or to none, and names the other", () =>
    Effect.gen(function*() {
      const foreign = yield* refusal(
        Plugin.make("building", { hooks: [Opened] }),
        Plugin.make("street", { events: [event(Opened, "Opened")] })
      )
      assert.include(foreign, "\"street\" exposes the hook \"door.opened\"")
      assert.include(foreign, "belongs to \"building\"")
      const orphan = yield* refusal(Plugin.make("street", { events: [event(Opened, "Opened")] }))
      assert.include(orphan, "no plugin brings it. Add it to hooks.")
      const shared = yield* refusal(
        Plugin.make("building", { hooks: [Opened] }),
        Plugin.make("street", { hooks: [Opened] })
      )
      assert.include(shared, "belongs to \"building\"")
    }))

  it.effect("refuses a provider with a secret that can't be sealed, at its path", () =>
    Effect.gen(function*() {
      const config = Schema.Struct({ pins: Schema.Array(Schema.Int.annotate({ secret: true })) })
      assert.include(
        yield* refusal(Plugin.make("building", { providers: [provider("siren", config)] })),
        "whose config.pins[n] is secret but no text"
      )
    }))

  it.effect("refuses a plugin that comes after the engine has started", () =>
    Effect.gen(function*() {
      const found = yield* Registry.Registry
      yield* found.seal
      const error = yield* Effect.flip(Layer.build(doors))
      assert.include(error.message, "comes too late")
    }).pipe(Effect.provide(Registry.layer)))
})
