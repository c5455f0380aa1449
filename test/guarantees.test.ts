import { assert, describe, it } from "@effect/vitest"
import { Clock, type Context, Effect, Exit, Latch, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Dispatcher } from "../src/Dispatcher.ts"
import * as Hook from "../src/Hook.ts"
import * as Id from "../src/Id.ts"
import { defaults, layer as limits } from "../src/Limits.ts"
import * as Provider from "../src/Provider.ts"
import { OutcomeUnknown, Storage, StorageUnavailable } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { losing } from "./support/losing.ts"
import { Broken, Created, Endpoints, interfered, layerOn, subscribe, Throwing, until } from "./support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

const emitMany = (count: number) =>
  Effect.forEach(Array.from({ length: count }), () => Hook.emit(Created, payload), { concurrency: 200 })

const deliveries = (filter: Parameters<Storage["Service"]["listDeliveries"]>[0] = {}) =>
  Effect.flatMap(Storage, (storage) => Effect.orDie(storage.listDeliveries(filter, { cursor: undefined, limit: 100 })))

const away = new StorageUnavailable({ message: "the database is away" })

/** A second runtime on the same storage: what a restart or another runner is. */
const runtime = (endpoints: Endpoints, storage: Context.Context<Storage>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.build(layerOn(endpoints, Layer.succeedContext(storage))).pipe(Scope.provide(scope))
    return { context, stop: Scope.close(scope, Exit.void) }
  })

describe("guarantee 1, durable", () => {
  it.effect("an emit whose answer is lost fails with EmitOutcomeUnknown, and repeating it with its key stores one", () => {
    const endpoints = new Endpoints()
    let lose = true
    const storage = interfered((storage) => ({
      appendOnce: (message, options) =>
        Effect.tap(storage.appendOnce(message, options), () => {
          const lost = lose
          lose = false
          return lost ? Effect.fail(new OutcomeUnknown({ message: "the answer was lost" })) : Effect.void
        })
    }))
    return Effect.gen(function*() {
      yield* subscribe("a")
      const error = yield* Effect.flip(Hook.emit(Created, payload, { idempotencyKey: "k" }))
      assert.strictEqual(error._tag, "EmitOutcomeUnknown")
      const id = yield* Hook.emit(Created, payload, { idempotencyKey: "k" })
      yield* until("it is delivered", () => endpoints.seen.length === 1)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(endpoints.seen.map((seen) => seen.attempt.message.id), [id])
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })
})

describe("guarantee 2, at least once", () => {
  it.effect("a claim whose answer was lost is taken up again without a restart", () => {
    const endpoints = new Endpoints()
    let lost = { lost: 0 }
    const storage = interfered((storage) => {
      const { state, verb } = losing(storage.claim, (answer) => answer.claimed.length > 0)
      lost = state
      return { claim: verb }
    })
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      // What waited for a disabled subscription is claimed, not sent as it is routed.
      const { id } = yield* subscribe("a", undefined, { enabled: false })
      yield* emitMany(20)
      yield* until("all are held", () => Effect.map(deliveries({ reason: "held" }), (held) => held.length === 20))
      yield* subscriptions.update(id, { enabled: true })
      yield* until("each was delivered", () => endpoints.seen.length === 20, 10_000)
      assert.strictEqual(lost.lost, 1)
      yield* until("each is recorded", () => Effect.map(deliveries({ status: "success" }), (all) => all.length === 20))
      assert.strictEqual(new Set(endpoints.seen.map((seen) => seen.attempt.deliveryId)).size, 20)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("a route whose answer was lost is taken up again, and nothing is sent twice", () => {
    const endpoints = new Endpoints()
    let lost = { lost: 0 }
    const storage = interfered((storage) => {
      const { state, verb } = losing(
        storage.route,
        (answer) => answer._tag === "Routed" && answer.messageIds.length > 0
      )
      lost = state
      return { route: verb }
    })
    return Effect.gen(function*() {
      yield* subscribe("a")
      yield* emitMany(20)
      yield* until("each was delivered", () => endpoints.seen.length === 20, 10_000)
      assert.strictEqual(lost.lost, 1)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(endpoints.seen.length, 20)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("an outcome whose recording was not answered is recorded once, and its message is not sent again", () => {
    const endpoints = new Endpoints()
    let lost = { lost: 0 }
    const storage = interfered((storage) => {
      const { state, verb } = losing(storage.record, (answer) => answer.length > 0)
      lost = state
      return { record: verb }
    })
    return Effect.gen(function*() {
      yield* subscribe("a")
      yield* emitMany(20)
      yield* until("each is recorded", () => Effect.map(deliveries({ status: "success" }), (all) => all.length === 20))
      assert.strictEqual(lost.lost, 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(endpoints.seen.length, 20)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })
})

describe("guarantee 3, one owner of record", () => {
  it.effect("a superseded owner records nothing, begins nothing, and takes over again what is its own", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Storage
      const answer = yield* Latch.make()
      endpoints.behaviours.set(
        "a",
        (attempt) =>
          Effect.as(endpoints.seen.length === 1 ? answer.await : Effect.void, { externalId: String(attempt.number) })
      )
      yield* subscribe("a")
      yield* Hook.emit(Created, payload)
      yield* until("an attempt is under way", () => endpoints.seen.length === 1)
      const workerGroup = "integration.incident.incident.created"
      yield* storage.takeOver(yield* Id.runnerId, { workerGroup, partition: 0 }, 1000)
      yield* answer.open
      yield* TestClock.adjust(1)
      assert.deepStrictEqual((yield* deliveries()).map((delivery) => delivery.status), ["pending"])
      yield* until("it is delivered again", () => endpoints.seen.length === 2)
      yield* until(
        "it is recorded",
        () => Effect.map(deliveries({ status: "success" }), ([delivery]) => delivery?.attemptCount === 1)
      )
      assert.strictEqual(new Set(endpoints.seen.map((seen) => seen.attempt.message.id)).size, 1)
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("no attempt begins while the lease can't be renewed, and work goes on once it can", () => {
    const endpoints = new Endpoints()
    let gone = false
    const storage = interfered((storage) => ({
      renewLease: (runnerId, leaseMs) => gone ? Effect.fail(away) : storage.renewLease(runnerId, leaseMs)
    }))
    return Effect.gen(function*() {
      yield* subscribe("a")
      yield* TestClock.adjust("3 seconds")
      gone = true
      yield* TestClock.adjust(defaults.leaseMs)
      yield* emitMany(5)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(endpoints.seen.length, 0)
      gone = false
      yield* until("each is delivered", () => endpoints.seen.length === 5, 3000)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })
})

describe("guarantee 4, a change binds", () => {
  const disable = (id: Id.SubscriptionId) =>
    Storage.use((storage) => storage.updateSubscription(id, (current) => ({ ...current, enabled: false })))

  it.effect("after the time of a lease, on a runner that could not be reached and goes on with what it had claimed", () => {
    const endpoints = new Endpoints()
    let gone = false
    const storage = interfered((storage) => ({
      renewLease: (runnerId, leaseMs) => gone ? Effect.fail(away) : storage.renewLease(runnerId, leaseMs)
    }))
    return Effect.gen(function*() {
      const { id } = yield* subscribe("a")
      yield* TestClock.adjust("3 seconds")
      gone = true
      yield* TestClock.adjust(defaults.leaseMs)
      yield* emitMany(5)
      yield* until("all are claimed", () => Effect.map(deliveries(), (all) => all.length === 5))
      yield* disable(id)
      yield* TestClock.adjust(defaults.leaseMs)
      gone = false
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(endpoints.seen.length, 0)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  const changes = {
    "once a disable is answered": (id: Id.SubscriptionId) =>
      Subscriptions.use(({ update }) => update(id, { enabled: false })),
    "once a deletion is answered": (id: Id.SubscriptionId) => Subscriptions.use(({ remove }) => remove(id)),
    "after the time of a lease, on a runner that hears nothing of it but from the database": (id: Id.SubscriptionId) =>
      Effect.andThen(disable(id), TestClock.adjust(defaults.leaseMs))
  }
  for (const [when, change] of Object.entries(changes)) {
    it.effect(`${when}: what is under way ends, and nothing that waits begins`, () => {
      const endpoints = new Endpoints()
      return Effect.gen(function*() {
        // More than a lane has slots for: some wait in memory.
        const answer = yield* Latch.make()
        endpoints.behaviours.set("a", () => Effect.as(answer.await, {}))
        const { id } = yield* subscribe("a")
        yield* emitMany(200)
        yield* until("as many as may be are under way", () => endpoints.seen.length === defaults.laneSlots)
        yield* change(id)
        yield* answer.open
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(endpoints.seen.length, defaults.laneSlots)
        // Else what waits is given back because its endpoint hangs.
      }).pipe(Effect.provide(
        layerOn(endpoints, StorageMemory.layer).pipe(Layer.provide(limits({ slowAfterMs: 60_000 })))
      ))
    })
  }

  it.effect("and no lease runs out while the changed subscriptions are read, also where each renewal finds a change", () => {
    const endpoints = new Endpoints()
    let slow = false
    const storage = interfered((storage) => ({
      subscriptions: Effect.tap(storage.subscriptions, () => slow ? Effect.sleep("800 millis") : Effect.void)
    }))
    return Effect.gen(function*() {
      const dispatcher = yield* Dispatcher
      yield* subscribe("a")
      yield* emitMany(1)
      yield* until("it is delivered", () => endpoints.seen.length === 1)
      slow = true
      const { id } = yield* subscribe("b")
      for (let n = 0; n < 100; n++) {
        if (n % 10 === 0) yield* disable(id)
        yield* TestClock.adjust(100)
        if (n > 30) assert.isTrue(yield* dispatcher.leased)
      }
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })
})

describe("guarantee 5, isolation", () => {
  const hanging = (count: number) => {
    const endpoints = new Endpoints()
    const hangs = Latch.makeUnsafe()
    return Effect.gen(function*() {
      const names = Array.from({ length: count }, (_, n) => `hangs ${n}`)
      for (const name of names) {
        endpoints.behaviours.set(name, () => Effect.as(hangs.await, {}))
        yield* subscribe(name)
      }
      yield* emitMany(500)
      yield* until("they hang", () => endpoints.seen.length >= Math.min(count * defaults.laneSlots, 900))
      const since = yield* Clock.currentTimeMillis
      const known = Effect.map(Clock.currentTimeMillis, (now) => now - since > 2 * defaults.slowAfterMs)
      yield* until("they are known to hang", () => known)
      const inFlight = endpoints.seen.length
      yield* subscribe("healthy")
      for (let n = 1; n <= 50; n++) {
        yield* Hook.emit(Created, payload)
        yield* until("the healthy endpoint gets it", () => endpoints.of("healthy").length === n, 1000)
      }
      return inFlight
    }).pipe(Effect.ensuring(hangs.open), Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  }

  it.effect(
    "endpoints that hang on half of the slots delay no other",
    () => Effect.map(hanging(8), (inFlight) => assert.strictEqual(inFlight, 512)),
    60_000
  )

  it.effect(
    "endpoints that hang on every slot leave a healthy one its first",
    () => Effect.map(hanging(70), (inFlight) => assert.isAtLeast(inFlight, 900)),
    60_000
  )
})

describe("guarantee 7, bounded", () => {
  it.effect("deliveries in memory stay within the window, however many wait", () => {
    const endpoints = new Endpoints()
    let claimed = 0
    let returned = 0
    const storage = interfered((storage) => ({
      route: (routing) =>
        Effect.tap(storage.route(routing), (answer) =>
          Effect.sync(() => {
            if (answer._tag === "Routed") claimed += routing.deliveries.filter((delivery) => delivery.claimed).length
          })),
      claim: (options) =>
        Effect.tap(storage.claim(options), (answer) =>
          Effect.sync(() => {
            claimed += answer.claimed.length
          })),
      release: (owner, ids) =>
        Effect.tap(storage.release(owner, ids), () =>
          Effect.sync(() => {
            returned += ids.length
          }))
    }))
    return Effect.gen(function*() {
      const hangs = yield* Latch.make()
      for (let n = 0; n < 40; n++) {
        endpoints.behaviours.set(`hangs ${n}`, () => Effect.as(hangs.await, {}))
        yield* subscribe(`hangs ${n}`)
      }
      yield* emitMany(500)
      for (let n = 0; n < 20; n++) {
        yield* TestClock.adjust("500 millis")
        assert.isAtMost(claimed - returned, defaults.window + defaults.claimDeliveries + defaults.routeMessages)
      }
      assert.isAtMost(claimed - returned, defaults.window * defaults.slowShare)
      yield* hangs.open
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  }, 60_000)
})

/** A runtime with a subscribed endpoint that answers within a second. */
const slow = Effect.gen(function*() {
  const storage = yield* Layer.build(StorageMemory.layer)
  const endpoints = new Endpoints()
  endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), "1 second"))
  const first = yield* runtime(endpoints, storage)
  yield* subscribe("a").pipe(Effect.provide(first.context))
  return { endpoints, first, storage }
})

describe("guarantee 8, graceful", () => {
  it.effect("a stopping runner hands over within 2 s, without a duplicate, when endpoints answer within 1 s", () =>
    Effect.gen(function*() {
      const { endpoints, first, storage } = yield* slow
      yield* emitMany(300).pipe(Effect.provide(first.context))
      yield* until("as many are under way as may be", () => endpoints.seen.length === defaults.laneSlots)
      const stopping = yield* Effect.forkChild(first.stop, { startImmediately: true })
      yield* until("it has stopped", () => stopping.pollUnsafe() !== undefined, 2000)
      const second = yield* runtime(endpoints, storage)
      yield* until("all were delivered", () => endpoints.seen.length >= 300)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(endpoints.seen.length, 300)
      assert.strictEqual(new Set(endpoints.seen.map((seen) => seen.attempt.deliveryId)).size, 300)
      yield* second.stop
    }))

  it.effect("a runner that stops while it gives a group back waits for the attempts under way", () =>
    Effect.gen(function*() {
      const { endpoints, first, storage } = yield* slow
      // As the cluster does when it moves a group: nobody waits for the end of it.
      const moved = yield* Scope.make()
      yield* Dispatcher.use((dispatcher) => dispatcher.attach("integration.incident.incident.created")).pipe(
        Scope.provide(moved),
        Effect.provide(first.context)
      )
      yield* Hook.emit(Created, payload).pipe(Effect.provide(first.context))
      yield* until("it is under way", () => endpoints.seen.length === 1)
      yield* Effect.forkDetach(Scope.close(moved, Exit.void), { startImmediately: true })
      const stopping = yield* Effect.forkChild(first.stop, { startImmediately: true })
      yield* until("it has stopped", () => stopping.pollUnsafe() !== undefined, 2000)
      assert.deepStrictEqual((yield* deliveries().pipe(Effect.provide(storage))).map(({ status }) => status), [
        "success"
      ])
    }))

  it.effect("an attempt unanswered after drainTimeout is aborted, recorded as interrupted and retried", () =>
    Effect.gen(function*() {
      const storage = yield* Layer.build(StorageMemory.layer)
      const endpoints = new Endpoints()
      endpoints.behaviours.set("a", () => endpoints.seen.length === 1 ? Effect.never : Effect.succeed({}))
      const first = yield* runtime(endpoints, storage)
      yield* subscribe("a").pipe(Effect.provide(first.context))
      yield* Hook.emit(Created, payload).pipe(Effect.provide(first.context))
      yield* until("it is under way", () => endpoints.seen.length === 1)
      const stopping = yield* Effect.forkChild(first.stop, { startImmediately: true })
      yield* TestClock.adjust(defaults.drainTimeoutMs - 100)
      assert.isUndefined(stopping.pollUnsafe())
      yield* until("it has stopped", () => stopping.pollUnsafe() !== undefined, 2000)
      const [delivery] = yield* deliveries().pipe(Effect.provide(storage))
      assert.strictEqual(delivery?.status, "retrying")
      const second = yield* runtime(endpoints, storage)
      yield* until("it is delivered", () => endpoints.seen.length === 2)
      if (!delivery) return
      yield* until("both attempts are remembered", () =>
        Effect.map(
          Effect.orDie(Effect.flatMap(Storage, (storage) => storage.getDelivery(delivery.id))),
          (found) =>
            found._tag === "Some" &&
            found.value.attempts.map((attempt) => attempt.outcome).join() === "interrupted,success"
        )).pipe(Effect.provide(storage))
      yield* second.stop
    }))
})

describe("guarantee 9, restart-proof", () => {
  it.effect("due times and attempts survive a restart: nothing due is forgotten or hurried", () =>
    Effect.gen(function*() {
      const storage = yield* Layer.build(StorageMemory.layer)
      const endpoints = new Endpoints()
      endpoints.behaviours.set("a", (attempt) =>
        attempt.number < 3
          ? Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "HTTP 500", statusCode: 500 }))
          : Effect.succeed({}))
      const first = yield* runtime(endpoints, storage)
      yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [60_000, 3_600_000] } }).pipe(
        Effect.provide(first.context)
      )
      yield* Hook.emit(Created, payload).pipe(Effect.provide(first.context))
      yield* until("two attempts were made", () => endpoints.seen.length === 2)
      yield* Effect.forkChild(first.stop, { startImmediately: true })
      yield* TestClock.adjust("30 minutes")
      const second = yield* runtime(endpoints, storage)
      yield* TestClock.adjust("29 minutes")
      assert.strictEqual(endpoints.seen.length, 2)
      yield* until("the third attempt is made", () => endpoints.seen.length === 3)
      const [, twice, thrice] = endpoints.seen
      const waited = (thrice?.atMs ?? 0) - (twice?.atMs ?? 0)
      assert.isAtLeast(waited, 3_600_000)
      assert.isAtMost(waited, 3_602_000)
      assert.strictEqual(thrice?.attempt.number, 3)
      yield* second.stop
    }))
})

describe("guarantee 10, nothing disappears, nothing poisons", () => {
  it.effect("a provider that throws, fails with what can't be stored or never ends well leaves a reason behind", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      endpoints.behaviours.set("throws", () => Effect.die("\0oops"))
      endpoints.behaviours.set(
        "refuses",
        () => Effect.fail(new Provider.PermanentError({ code: "\0", message: "\0\ud800" }))
      )
      yield* subscribe("throws", undefined, { retry: { type: "delays", delaysMs: [] } })
      yield* subscribe("refuses")
      yield* Hook.emit(Created, payload)
      yield* until("both failed", () => Effect.map(deliveries({ status: "failed" }), (all) => all.length === 2))
      assert.deepStrictEqual((yield* deliveries()).map((delivery) => delivery.reason).sort(), [
        "exhausted",
        "permanent"
      ])
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("a message whose schema throws while it is read is set aside, and others go on", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* subscribe("a")
      const id = yield* Hook.emit(Throwing, -1n)
      yield* Hook.emit(Created, payload)
      yield* until("the other one is delivered", () => endpoints.seen.length === 1, 3000)
      const storage = yield* Storage
      const setAside = Effect.map(
        Effect.orDie(storage.getMessage(id)),
        (found) => found._tag === "Some" && found.value.state._tag === "SetAside"
      )
      yield* until("it is set aside", () => setAside, 3000)
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("a provider that throws outside of its effect fails its own delivery, and holds nothing back", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", () => {
        throw new Error("oops")
      })
      yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [1000] } })
      yield* Hook.emit(Created, payload)
      yield* until("it failed", () => Effect.map(deliveries({ status: "failed" }), (all) => all.length === 1))
      const [delivery] = yield* deliveries()
      assert.deepInclude(delivery, { reason: "exhausted", attemptCount: 2, lastError: "oops" })
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("a subscription that another runner enabled is served here, though nobody told", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Storage
      const { id } = yield* subscribe("a", undefined, { enabled: false })
      yield* emitMany(3)
      yield* until("all are held", () => Effect.map(deliveries({ reason: "held" }), (held) => held.length === 3))
      yield* storage.updateSubscription(id, (current) => ({ ...current, enabled: true }))
      yield* until("each is delivered", () => endpoints.seen.length === 3, 5000)
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("a group whose take-over does not come to an end keeps no other asleep", () => {
    const endpoints = new Endpoints()
    const blocked = Latch.makeUnsafe()
    const storage = interfered((storage) => ({
      takeOver: (runner, group, patience) =>
        Effect.andThen(
          group.workerGroup.endsWith("broken") ? blocked.await : Effect.void,
          storage.takeOver(runner, group, patience)
        )
    }))
    return Effect.gen(function*() {
      const storage = yield* Storage
      yield* subscribe("a")
      yield* Hook.emit(Broken, { n: 1 })
      yield* TestClock.adjust("3 seconds")
      const id = yield* Id.messageId(yield* storage.now)
      // Without a hint: what another process stored.
      yield* storage.append([{
        id,
        eventId: "incident.incident.created",
        tenantId: "default",
        orderingKey: undefined,
        payloadJson: JSON.stringify(payload)
      }])
      yield* until("the sweep finds it", () => endpoints.seen.length === 1, 10_000)
    }).pipe(Effect.ensuring(blocked.open), Effect.provide(layerOn(endpoints, storage)))
  })
})
