/**
 * A small world for tests of the engine: a plugin with a hook, a provider whose endpoints are scripted, the memory storage.
 */
import { Clock, Effect, Exit, Fiber, Layer, Redacted, Schema, SchemaTransformation, Scope } from "effect"
import type { Sharding } from "effect/cluster"
import { TestClock } from "effect/testing"
import * as Cluster from "../../src/Cluster.ts"
import * as Hook from "../../src/Hook.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as IntegrationEvent from "../../src/IntegrationEvent.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Provider from "../../src/Provider.ts"
import * as Secrets from "../../src/Secrets.ts"
import { Storage } from "../../src/Storage.ts"
import * as StorageMemory from "../../src/StorageMemory.ts"
import { Subscriptions } from "../../src/Subscriptions.ts"

export const Created = Hook.make("incident.created", {
  payload: Schema.Struct({ incidentId: Schema.String, systemIds: Schema.Array(Schema.String) }),
  orderingKey: (payload) => payload.incidentId
})

export const Broken = Hook.make("broken", { payload: Schema.Struct({ n: Schema.Int }) })

/** Its schema's own transformation throws on what it can't read. */
export const Throwing = Hook.make("throwing", {
  payload: Schema.String.pipe(Schema.decodeTo(
    Schema.BigInt,
    SchemaTransformation.transform({
      decode: (text: string) => BigInt(text),
      encode: (n: bigint) => n < 0n ? "x" : String(n)
    })
  ))
})

export const IncidentPlugin = Plugin.make("incident", {
  hooks: [Created, Broken],
  events: [
    IntegrationEvent.make(Created, { displayName: "Incident Created", category: "Incidents" }),
    IntegrationEvent.make(Broken, {
      displayName: "Broken",
      transformPayload: ({ n }) => {
        if (n < 0) throw new Error("no negative numbers")
        return { doubled: n * 2 }
      }
    })
  ]
})

const OddPlugin = Plugin.make("odd", {
  hooks: [Throwing],
  events: [IntegrationEvent.make(Throwing, { displayName: "Throwing", transformPayload: () => ({}) })]
})

/** An attempt that an endpoint saw. */
export interface Seen {
  readonly endpoint: string
  readonly attempt: Provider.Attempt
  readonly atMs: number
}

/** Endpoints by name: what they do with an attempt. */
export class Endpoints {
  readonly seen: Array<Seen> = []
  readonly behaviours = new Map<
    string,
    (attempt: Provider.Attempt) => Effect.Effect<Provider.Delivered, Provider.ProviderError>
  >()
  /** Where they are, of those that are at a known place. */
  readonly origins = new Map<string, string>()
  of(endpoint: string): ReadonlyArray<Seen> {
    return this.seen.filter((seen) => seen.endpoint === endpoint)
  }
}

export const TestPlugin = (endpoints: Endpoints) =>
  Plugin.make("test", {
    providers: [Provider.make({
      id: "endpoint",
      displayName: "Endpoint",
      config: Schema.Struct({
        name: Schema.String,
        token: Schema.optionalKey(Schema.String.annotate({ secret: true }))
      }),
      bind: ({ name }): Provider.Bound<never> => ({
        check: Effect.void,
        origin: endpoints.origins.get(name),
        deliver: Effect.fnUntraced(function*(attempt) {
          endpoints.seen.push({ endpoint: name, attempt, atMs: yield* Clock.currentTimeMillis })
          return yield* endpoints.behaviours.get(name)?.(attempt) ?? Effect.succeed({ statusCode: 200 })
        })
      })
    })]
  })

export const SecretsTest = Secrets.layer({ masterKey: Redacted.make("ab".repeat(32)) })

export const layer = (endpoints: Endpoints) => layerOn(endpoints, StorageMemory.layer)

/** The same world on a storage of the test's. */
export const layerOn = <R, E, RIn>(endpoints: Endpoints, storage: Layer.Layer<R | Storage, E, RIn>) =>
  clustered(endpoints, storage, Cluster.single)

/** The same world as a member of a cluster, which may need what the storage's layer brings. */
export const clustered = <R, E, RIn, E2, R2 extends R | Storage>(
  endpoints: Endpoints,
  storage: Layer.Layer<R | Storage, E, RIn>,
  cluster: Layer.Layer<Sharding.Sharding, E2, R2>
) =>
  Hookline.layer({ plugins: Layer.mergeAll(IncidentPlugin, OddPlugin, TestPlugin(endpoints)), cluster }).pipe(
    Layer.provideMerge(storage),
    Layer.provide(SecretsTest)
  )

/** A memory storage that a test interferes with. */
export const interfered = (change: (storage: Storage["Service"]) => Partial<Storage["Service"]>) =>
  Layer.effect(Storage, Effect.map(Storage, (storage) => ({ ...storage, ...change(storage) }))).pipe(
    Layer.provide(StorageMemory.layer)
  )

/** Subscribes the endpoint of a name. */
export const subscribe = (name: string, events: ReadonlyArray<string> = ["incident.incident.created"], extra = {}) =>
  Subscriptions.use((subscriptions) =>
    subscriptions.create({ name, events, providerId: "test.endpoint", config: { name }, ...extra })
  ).pipe(Effect.map(({ subscription }) => subscription))

/** Lets virtual time pass in small steps until a condition holds. */
export const until = <R = never>(
  what: string,
  condition: () => boolean | Effect.Effect<boolean, never, R>,
  limitMs = 120_000
) =>
  Effect.gen(function*() {
    for (let passed = 0; passed <= limitMs; passed += 50) {
      const met = condition()
      if (typeof met === "boolean" ? met : yield* met) return
      yield* TestClock.adjust(50)
    }
    return yield* Effect.die(new Error(`it did not come to pass within ${limitMs} ms of virtual time: ${what}`))
  })

/** Provides a layer, and lets virtual time pass while it closes: stopping waits for attempts that hang. */
export const within = <R, E, A, E2>(layer: Layer.Layer<R, E>, body: Effect.Effect<A, E2, R>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layer, scope)
    const exit = yield* Effect.exit(Effect.provide(body, context))
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.asVoid(exit)))
    yield* until("all is closed", () => closing.pollUnsafe() !== undefined)
    yield* Fiber.join(closing)
    return yield* exit
  })
