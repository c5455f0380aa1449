import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Redacted, Schema } from "effect"
import * as Bindings from "../src/Bindings.ts"
import { Dispatchers } from "../src/Dispatchers.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Provider from "../src/Provider.ts"
import * as Registry from "../src/Registry.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import * as Subscriptions from "../src/Subscriptions.ts"
import { IncidentPlugin, SecretsTest } from "./support/world.ts"

const { Subscriptions: Service } = Subscriptions

const secretText = Schema.String.check(Schema.isMinLength(1)).annotate({ secret: true })

/** A provider that remembers what it was bound to, and forbids one target. */
const Targets = (bound: Array<unknown>) =>
  Plugin.make("target", {
    providers: [
      Provider.make({
        id: "url",
        displayName: "URL",
        config: Schema.Struct({
          url: Schema.String,
          token: Schema.optionalKey(secretText),
          nested: Schema.optionalKey(Schema.Array(Schema.Struct({ password: secretText, user: Schema.String })))
        }),
        bind: (config): Provider.Bound<never> => {
          bound.push(config)
          return {
            deliver: () => Effect.succeed({}),
            check: config.url === "forbidden"
              ? Effect.fail(new Provider.ConfigRefused({ path: "config.url", message: "This target is forbidden" }))
              : Effect.void
          }
        }
      }),
      Provider.make({
        id: "picky",
        displayName: "Picky",
        config: Schema.Struct({}),
        supportedEvents: ["incident.incident.created"],
        bind: (): Provider.Bound<never> => ({ deliver: () => Effect.succeed({}), check: Effect.void })
      })
    ]
  })

const world = <A, E>(
  body: (world: {
    readonly bound: Array<unknown>
    readonly confirmed: Array<{ readonly id: string; readonly version: number }>
  }) => Effect.Effect<A, E, Subscriptions.Subscriptions | Storage | Bindings.Bindings>,
  confirm: Effect.Effect<void> = Effect.void,
  change: (storage: Storage["Service"]) => Storage["Service"] = (storage) => storage
) => {
  const bound: Array<unknown> = []
  const confirmed: Array<{ readonly id: string; readonly version: number }> = []
  const dispatchers = Layer.succeed(Dispatchers, {
    runnerId: undefined,
    wake: () => Effect.void,
    confirm: (subscription) => Effect.andThen(confirm, Effect.sync(() => void confirmed.push(subscription)))
  })
  const storage = Layer.effect(Storage, Effect.map(Storage, change)).pipe(Layer.provide(StorageMemory.layer))
  return body({ bound, confirmed }).pipe(Effect.provide(
    Layer.mergeAll(Subscriptions.layer, Bindings.layer).pipe(
      Layer.provide(Layer.mergeAll(IncidentPlugin, Targets(bound)).pipe(Layer.provideMerge(Registry.layer))),
      Layer.provide([dispatchers, SecretsTest]),
      Layer.provideMerge(storage)
    )
  ))
}

const input: Subscriptions.NewSubscription = {
  name: "a",
  events: ["incident.incident.created"],
  providerId: "target.url",
  config: { url: "https://example.com", token: "pl4nted", nested: [{ user: "u", password: "pl4nted" }] }
}

const stored = Effect.fnUntraced(function*(id: Subscriptions.SubscriptionView["id"]) {
  return yield* Effect.fromOption(yield* Storage.use((storage) => storage.getSubscription(id)))
})

describe("Subscriptions", () => {
  it.effect("seals secrets before they are stored, shows none of them, and binds with them open", () =>
    world(({ bound }) =>
      Effect.gen(function*() {
        const service = yield* Service
        const { signingSecret, subscription } = yield* service.create(input)
        assert.deepStrictEqual(subscription.config, { url: "https://example.com", nested: [{ user: "u" }] })
        assert.notProperty(subscription, "signingSecrets")
        const row = yield* stored(subscription.id)
        assert.notInclude(JSON.stringify(row), "pl4nted")
        assert.notInclude(JSON.stringify(row), Redacted.value(signingSecret))
        bound.length = 0
        const bindings = yield* Bindings.Bindings
        const binding = yield* bindings.bind(row)
        assert.deepStrictEqual(bound, [input.config])
        assert.deepStrictEqual(binding.signingSecrets.map(({ secret }) => Redacted.value(secret)), [
          Redacted.value(signingSecret)
        ])
        const shown = [
          yield* service.get(subscription.id),
          ...(yield* service.list({}, { cursor: undefined, limit: 9 }))
        ]
        for (const view of shown) assert.deepStrictEqual(view, subscription)
      })
    ))

  it.effect("what is sealed for one subscription can't be opened for another", () =>
    world(() =>
      Effect.gen(function*() {
        const service = yield* Service
        const one = yield* stored((yield* service.create(input)).subscription.id)
        const other = yield* stored((yield* service.create(input)).subscription.id)
        const bindings = yield* Bindings.Bindings
        const error = yield* Effect.flip(bindings.bind({ ...one, config: other.config }))
        assert.strictEqual(error._tag, "UnsealError")
      })
    ))

  it.effect("makes a signing secret where none is given, another each time", () =>
    world(() =>
      Effect.gen(function*() {
        const service = yield* Service
        const first = yield* service.create(input)
        const second = yield* service.create(input)
        assert.match(Redacted.value(first.signingSecret), /^whsec_[A-Za-z0-9+/]{43}=$/u)
        assert.notStrictEqual(Redacted.value(first.signingSecret), Redacted.value(second.signingSecret))
      })
    ))

  it.effect("refuses what would fail later, at its field, and stores nothing of it", () =>
    world(() =>
      Effect.gen(function*() {
        const service = yield* Service
        const picky = { providerId: "target.picky", config: {} }
        const cases: ReadonlyArray<readonly [Partial<Subscriptions.NewSubscription>, string, RegExp]> = [
          [{ config: { url: "forbidden" } }, "config.url", /forbidden/u],
          [{ config: { url: "u", tokn: "t" } }, "config.tokn", /no such property/u],
          [{ config: { url: "u", nested: [{ user: "u", password: 1 }] } }, "config.nested[0].password", /string/u],
          [{ config: { url: "u", nested: [{ user: "a\0", password: "p" }] } }, "config.nested[0].user", /NUL/u],
          [{ config: { url: "u", "a\0": 1 } }, "config", /NUL/u],
          [{ providerId: "target.ulr" }, "providerId", /target\.url, target\.picky/u],
          [{ ...picky, events: ["incident.broken"] }, "events[0]", /can't deliver/u],
          [{ events: ["incident.*", "incident.brokn"] }, "events[1]", /did you mean "incident\.broken"\?/u],
          [
            { retry: { type: "exponential", baseMs: 1, factor: 2, capMs: 1, maxAttempts: 0, jitter: 0 } },
            "retry.maxAttempts",
            /./u
          ],
          [{ signingSecret: Redacted.make("whsec_pl4nted") }, "signingSecret", /24 to 64 bytes/u]
        ]
        for (const [change, path, message] of cases) {
          const error = yield* Effect.flip(service.create({ ...input, ...change }))
          assert.strictEqual(error._tag, "SubscriptionRefused")
          assert.strictEqual(error._tag === "SubscriptionRefused" && error.path, path)
          assert.match(error.message, message)
          assert.notInclude(JSON.stringify(error), "pl4nted")
        }
        assert.deepStrictEqual(yield* service.list({}, { cursor: undefined, limit: 9 }), [])
      })
    ))

  it.effect("accepts patterns that match nothing yet, and texts that only look like a NUL's escape", () =>
    world(() =>
      Effect.gen(function*() {
        const service = yield* Service
        const { subscription } = yield* service.create({
          ...input,
          events: ["*", "later.*", "incident.incident.*"],
          config: { url: "\\u0000" }
        })
        assert.deepStrictEqual(subscription.events, ["*", "later.*", "incident.incident.*"])
        yield* service.create({ ...input, providerId: "target.picky", config: {}, events: ["incident.*"] })
      })
    ))

  it.effect("a change merges the configuration's keys, keeps blank secrets, and is checked as a whole", () =>
    world(({ bound }) =>
      Effect.gen(function*() {
        const service = yield* Service
        const { subscription: { id } } = yield* service.create(input)
        const changed = yield* service.update(id, { name: "b", config: { url: "https://example.com/b", token: "" } })
        assert.deepInclude(changed, {
          name: "b",
          events: input.events,
          config: { url: "https://example.com/b", nested: [{ user: "u" }] }
        })
        bound.length = 0
        const bindings = yield* Bindings.Bindings
        yield* bindings.bind(yield* stored(id))
        assert.deepInclude(bound[0], { url: "https://example.com/b", token: "pl4nted" })
        const error = yield* Effect.flip(service.update(id, { name: "c", config: { url: "forbidden" } }))
        assert.strictEqual(error._tag, "SubscriptionRefused")
        assert.deepStrictEqual(yield* service.get(id), changed)
      })
    ))

  it.effect("a change of where a secret is sent has to bring it again", () =>
    world(() =>
      Effect.gen(function*() {
        const service = yield* Service
        const { subscription: { id } } = yield* service.create(input)
        const refused = (config: Schema.Json) =>
          Effect.map(
            Effect.flip(service.update(id, { config })),
            (error) => error._tag === "SubscriptionRefused" ? error.path : error._tag
          )
        const url = "https://evil.example"
        assert.strictEqual(yield* refused({ url }), "config.token")
        assert.strictEqual(yield* refused({ url, token: "known" }), "config.nested[0].password")
        const changed = yield* service.update(id, { config: { url, token: "known", nested: [] } })
        assert.deepStrictEqual(changed.config, { url, nested: [] })
      })
    ))

  it.effect("of two changes of one configuration at once, neither undoes the other", () => {
    const reached = Deferred.makeUnsafe<void>()
    const go = Deferred.makeUnsafe<void>()
    let first = true
    return world(
      () =>
        Effect.gen(function*() {
          const service = yield* Service
          const { subscription: { id } } = yield* service.create(input)
          const slow = yield* Effect.forkChild(service.update(id, { config: { token: "new" } }))
          yield* Deferred.await(reached)
          yield* service.update(id, { config: { url: "https://example.com/b" } })
          yield* Deferred.succeed(go, undefined)
          yield* Fiber.join(slow)
          assert.deepInclude((yield* service.get(id)).config, { url: "https://example.com/b" })
        }),
      Effect.void,
      (storage) => ({
        ...storage,
        // The first write waits until the other change has been written.
        updateSubscription: (id, change) => {
          if (!first) return storage.updateSubscription(id, change)
          first = false
          return Deferred.succeed(reached, undefined).pipe(
            Effect.andThen(Deferred.await(go)),
            Effect.andThen(storage.updateSubscription(id, change))
          )
        }
      })
    )
  })

  it.effect("retry: null takes the default again", () =>
    world(() =>
      Effect.gen(function*() {
        const service = yield* Service
        const { subscription } = yield* service.create({ ...input, retry: { type: "preset", name: "seed" } })
        assert.deepStrictEqual(subscription.retry, { type: "preset", name: "seed" })
        assert.deepStrictEqual((yield* service.update(subscription.id, { name: "b" })).retry, subscription.retry)
        assert.isUndefined((yield* service.update(subscription.id, { retry: null })).retry)
      })
    ))

  it.effect("a change and a delete are answered only when the dispatchers have confirmed them", () => {
    const latch = Deferred.makeUnsafe<void>()
    return world(
      ({ confirmed }) =>
        Effect.gen(function*() {
          const service = yield* Service
          const { subscription: { id, version } } = yield* service.create(input)
          const disabling = yield* Effect.forkChild(service.update(id, { enabled: false }), { startImmediately: true })
          assert.isUndefined(disabling.pollUnsafe())
          assert.deepStrictEqual((yield* stored(id)).enabled, false)
          yield* Deferred.succeed(latch, undefined)
          const disabled = yield* Fiber.join(disabling)
          assert.isAbove(disabled.version, version)
          yield* service.update(id, { enabled: true })
          yield* service.remove(id)
          assert.deepStrictEqual(confirmed.map((subscription) => subscription.id), [id, id, id])
          assert.strictEqual(confirmed[0]?.version, disabled.version)
          assert.isAbove(confirmed[2]?.version ?? 0, confirmed[1]?.version ?? 0)
        }),
      Deferred.await(latch)
    )
  })

  it.effect("what was deleted or never was is not found", () =>
    world(() =>
      Effect.gen(function*() {
        const service = yield* Service
        const { subscription: { id } } = yield* service.create(input)
        yield* service.remove(id)
        for (const effect of [service.get(id), service.update(id, {}), service.remove(id)]) {
          assert.strictEqual((yield* Effect.flip(effect))._tag, "SubscriptionNotFound")
        }
        assert.isTrue(Option.isNone(yield* Storage.use((storage) => storage.getSubscription(id))))
      })
    ))

  it.effect("a subscription whose provider is missing is shown without its configuration", () =>
    world(() =>
      Effect.gen(function*() {
        const service = yield* Service
        const { subscription } = yield* service.create(input)
        const storage = yield* Storage
        yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, providerId: "gone.url" }))
        assert.deepStrictEqual((yield* service.get(subscription.id)).config, {})
      })
    ))
})
