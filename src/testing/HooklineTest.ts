/**
 * A whole Hookline for one test, as one Layer on `TestClock`: memory storage, a fixed master key, and a fake door to the
 * outside whose endpoints do as the test says.
 */
import { Clock, Context, Effect, Fiber, Layer, Random, Redacted, type Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Cluster from "../Cluster.ts"
import * as Hookline from "../Hookline.ts"
import * as Limits from "../Limits.ts"
import * as Webhook from "../plugins/webhook/index.ts"
import * as Secrets from "../Secrets.ts"
import * as StorageMemory from "../StorageMemory.ts"
import { type NewSubscription, Subscriptions } from "../Subscriptions.ts"
import * as Deliveries from "./Deliveries.ts"
import * as EgressFake from "./EgressFake.ts"
import * as Faults from "./Faults.ts"

// -- models

/** @category models @since 0.1.0 */
export interface Options<E = never, R = never> {
  /** The plugins under test; the webhook plugin is there already. */
  readonly plugins: Layer.Layer<never, E, R>
  /** Limits to test at. */
  readonly limits?: Partial<Limits.Limits>
  /** Faults that strike the storage and the endpoints; none when left out. */
  readonly faults?: Faults.Options
}

// -- layers

/**
 * Layer of a whole Hookline for one test.
 *
 * **Details**
 *
 * Everything is real but the storage's memory and the outside. What looks for lost work looks seldom where no faults lose
 * any, so that virtual days pass in moments; with faults it looks as often as in production, and ids come from their seed.
 * When the test ends, what is still under way is ended on virtual time.
 *
 * **Example**
 *
 * ```ts
 * it.effect("is tried again", () =>
 *   Effect.gen(function*() {
 *     yield* Endpoints.script("https://example.com/hook", [500, 200])
 *     const subscription = yield* HooklineTest.subscribe({ events: ["incident.*"], url: "https://example.com/hook" })
 *     yield* Hook.emit(IncidentCreated, { incidentId: "i-1", title: "Checkout is down" })
 *     yield* Deliveries.settled
 *     const requests = yield* Requests.to("https://example.com/hook")
 *     assert.strictEqual(requests.length, 2)
 *     for (const request of requests) yield* Requests.verify(request, subscription.signingSecret)
 *   }).pipe(Effect.provide(HooklineTest.layer({ plugins: IncidentPlugin }))))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(options: Options<E, R>) =>
  driven.pipe(
    Layer.provideMerge(Deliveries.layer),
    Layer.provideMerge(Hookline.layer({
      plugins: Layer.mergeAll(Webhook.plugin, options.plugins),
      cluster: Cluster.test
    })),
    Layer.provideMerge(Layer.mergeAll(storage, secrets, EgressFake.layer)),
    Layer.provide(Driver.layer),
    Layer.provideMerge(options.faults === undefined ? Layer.empty : faulty(options.faults)),
    Layer.provideMerge(
      Limits.layer({ groupIdleMs: dayMs, ...(options.faults === undefined ? calm : {}), ...options.limits })
    )
  )

/**
 * Provides a test with `layer`. Where faults strike, the report of a failing test tells their seed.
 *
 * **Example**
 *
 * ```ts
 * it.effect.prop("is delivered, whatever fails", { seed: Schema.Int }, ({ seed }) =>
 *   Effect.gen(function*() {
 *     yield* HooklineTest.subscribe({ events: ["incident.*"], url: "https://example.com/hook" })
 *     yield* Effect.retry(Hook.emit(IncidentCreated, payload, { idempotencyKey: "i-1" }), { times: 9 })
 *     yield* Deliveries.settled
 *   }).pipe(HooklineTest.provide({ plugins: IncidentPlugin, faults: { seed } })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const provide = <E2, R2>(options: Options<E2, R2>) => <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.provide(Faults.reported(test), layer(options))

// -- combinators

/**
 * Makes a subscription, a webhook's unless it names another provider. Its signing secret comes with it.
 *
 * **Example**
 *
 * ```ts
 * yield* HooklineTest.subscribe({ events: ["*"], url: "https://example.com/hook", config: { timeoutMs: 1000 } })
 * yield* HooklineTest.subscribe({ events: ["*"], providerId: "chat.chat", config: { channel: "incidents" } })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const subscribe = (
  options: Partial<Omit<NewSubscription, "config">> & Pick<NewSubscription, "events"> & {
    /** The webhook's URL, beside what `config` says. */
    readonly url?: string
    readonly config?: { readonly [name: string]: Schema.Json }
  }
) =>
  Subscriptions.use((subscriptions) => {
    const { config = {}, url, ...rest } = options
    return subscriptions.create({
      name: "test",
      providerId: "webhook.webhook",
      ...rest,
      config: { ...(url === undefined ? {} : { url }), ...config }
    })
  }).pipe(Effect.map(({ signingSecret, subscription }) => ({ ...subscription, signingSecret })))

// --- internal ---

const hourMs = 60 * 60 * 1000

/** In a test a group stays where it is: there is no other runner. */
const dayMs = 24 * hourMs

/** Where nothing is lost, what looks for it may look seldom. */
const calm: Partial<Limits.Limits> = {
  sweepIntervalMs: 60_000,
  sweepAheadMs: 61_000,
  leaseMs: dayMs,
  leaseRenewMs: hourMs,
  slowAfterMs: hourMs / 6,
  takeUpIntervalMs: hourMs,
  unparkIntervalMs: 10_000,
  expireIntervalMs: 10_000,
  replayPollMs: dayMs,
  maintenanceIntervalMs: hourMs
}

const secrets = Layer.orDie(Secrets.layer({ masterKey: Redacted.make("7e".repeat(32)) }))

const storage = Faults.storage.pipe(Layer.provideMerge(StorageMemory.layer))

const faulty = (options: Faults.Options): Layer.Layer<never> =>
  Layer.mergeAll(
    Faults.layer(options),
    Layer.effect(
      Random.Random,
      Random.withSeed(Effect.map(Random.Random, (random) => random), options.seed)
    )
  )

/**
 * Moves the clock while the layers below it end: nobody else would, and what is under way would hold up the test's end.
 */
class Driver extends Context.Service<Driver, {
  readonly start: Effect.Effect<void>
}>()("hookline/testing/HooklineTest/Driver") {
  static readonly layer = Layer.effect(
    Driver,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let moving: Fiber.Fiber<never> | undefined
      yield* Effect.addFinalizer(() => moving === undefined ? Effect.void : Fiber.interrupt(moving))
      return Driver.of({
        start: "adjust" in clock
          ? Effect.map(Effect.forkDetach(Effect.forever(TestClock.adjust("1 second"))), (fiber) => {
            moving = fiber
          })
          : Effect.void
      })
    })
  )
}

/** Built last, so that it ends first. */
const driven = Layer.effectDiscard(
  Effect.flatMap(Driver, (driver) => Effect.addFinalizer(() => driver.start))
)
