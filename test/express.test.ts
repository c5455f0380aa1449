import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Effect, Exit, Latch, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Dispatcher } from "../src/Dispatcher.ts"
import * as Hook from "../src/Hook.ts"
import * as Id from "../src/Id.ts"
import * as Limits from "../src/Limits.ts"
import * as Provider from "../src/Provider.ts"
import { RowRefused, Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { losing } from "./support/losing.ts"
import { Created, Endpoints, layerOn, subscribe, until } from "./support/world.ts"

const workerGroup = "integration.incident.incident.created"

const emit = (n: number, options?: Parameters<typeof Hook.emit>[2]) =>
  Hook.emit(Created, { incidentId: String(n), systemIds: [] }, options)

const statuses = Effect.flatMap(
  Storage,
  (storage) =>
    Effect.map(
      Effect.orDie(storage.listDeliveries({}, { cursor: undefined, limit: 100 })),
      (found) => found.map(({ status }) => status).sort()
    )
)

const all = (status: string, count: number) =>
  Effect.map(statuses, (found) => found.length === count && found.every((one) => one === status))

/** What is written of messages: those routed, those routed though they may have begun, and those completed. */
class Written {
  routed = 0
  late = 0
  completed = 0
}

/** A memory storage that counts what is written, and what a test changes of it. */
const counting = (
  written: Written,
  change: (storage: Storage["Service"]) => Partial<Storage["Service"]> = () => ({})
) =>
  Layer.effect(
    Storage,
    Effect.map(Storage, (storage) => {
      const changed = { ...storage, ...change(storage) }
      return {
        ...changed,
        route: (routing) => {
          if (routing.isBegun === true) written.late += routing.messages.length
          else written.routed += routing.messages.length
          return changed.route(routing)
        },
        complete: (completed) => {
          written.completed += completed.length
          return changed.complete(completed)
        }
      }
    })
  ).pipe(Layer.provide(StorageMemory.layer))

/** A world whose endpoints `names` have accepted a message each. */
const well = Effect.fnUntraced(function*(names: ReadonlyArray<string>, extra = {}) {
  const found = []
  for (const name of names) found.push(yield* subscribe(name, undefined, extra))
  yield* emit(0)
  yield* until("the first is delivered", () => all("success", names.length))
  return found
})

describe("a message to endpoints that are well", () => {
  it.effect("is sent before anything of it is written, and then at once with how it ended", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    const answer = Latch.makeUnsafe()
    return Effect.gen(function*() {
      yield* well(["a", "b"])
      assert.deepStrictEqual(written, { routed: 1, late: 0, completed: 0 })
      endpoints.behaviours.set("a", () => Effect.as(answer.await, { statusCode: 202, externalId: "X-1" }))
      const id = yield* emit(1)
      yield* until("it is sent", () => endpoints.seen.length === 4)
      const storage = yield* Storage
      assert.deepStrictEqual((yield* Effect.fromOption(yield* storage.getMessage(id))).state, { _tag: "Unrouted" })
      yield* answer.open
      yield* until("it is recorded", () => all("success", 4))
      assert.deepStrictEqual(written, { routed: 1, late: 0, completed: 1 })
      const deliveries = yield* storage.listDeliveries({ messageId: id }, { cursor: undefined, limit: 10 })
      assert.deepStrictEqual(deliveries.flatMap(({ externalId }) => externalId ?? []), ["X-1"])
      assert.deepStrictEqual(
        deliveries.map((delivery) => delivery.id).sort(),
        endpoints.seen.slice(2).map(({ attempt }) => attempt.deliveryId).sort()
      )
    }).pipe(Effect.provide(layerOn(endpoints, counting(written))))
  })

  it.effect("that fails all the same is routed first, and retried like all others", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    return Effect.gen(function*() {
      yield* well(["a", "b"], { retry: { type: "delays", delaysMs: [1000] } })
      endpoints.behaviours.set("a", ({ number }) =>
        number === 1
          ? Effect.fail(new Provider.RetryableError({ code: "x", message: "away" }))
          : Effect.succeed({}))
      yield* emit(1)
      yield* until(
        "it waits to be retried",
        () => Effect.map(statuses, (found) => found.join() === "retrying,success,success,success")
      )
      assert.deepStrictEqual(written, { routed: 1, late: 1, completed: 0 })
      yield* until("it is delivered", () => all("success", 4))
      const attempts = endpoints.of("a").slice(1).map(({ attempt }) => attempt)
      assert.deepStrictEqual(attempts.map(({ number }) => number), [1, 2])
      assert.strictEqual(new Set(attempts.map(({ deliveryId }) => deliveryId)).size, 1)
      assert.strictEqual(endpoints.of("b").length, 2)
    }).pipe(Effect.provide(layerOn(endpoints, counting(written))))
  })

  it.effect("one of which takes its time is routed after half a second, so that the others' outcomes don't wait", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    return Effect.gen(function*() {
      yield* well(["a", "b"])
      endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), "3 seconds"))
      yield* emit(1)
      yield* until("it is sent", () => endpoints.seen.length === 4)
      yield* TestClock.adjust(400)
      assert.strictEqual(written.late, 0)
      yield* until(
        "the other is recorded",
        () => Effect.map(statuses, (found) => found.join() === "pending,success,success,success"),
        500
      )
      assert.strictEqual(written.late, 1)
      yield* until("it is recorded", () => all("success", 4), 4000)
      assert.strictEqual(endpoints.seen.length, 4)
    }).pipe(Effect.provide(layerOn(endpoints, counting(written))))
  })

  it.effect("that waits for its turn is routed after two seconds, or when its endpoint hangs", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    return Effect.gen(function*() {
      yield* well(["a"])
      endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), 400))
      yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], (n) => emit(n))
      yield* until("the fourth is under way", () => endpoints.seen.length === 5, 2000)
      assert.strictEqual(written.late, 0)
      yield* until("all are delivered", () => all("success", 9), 5000)
      // The sixth begins after two seconds.
      assert.isAtLeast(written.late, 2)
      assert.isAtMost(written.late, 4)
      assert.strictEqual(written.completed, 8 - written.late)
      endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), 5000))
      written.late = 0
      yield* Effect.forEach([1, 2, 3], (n) => emit(n))
      yield* until("the first is routed", () => written.late > 0, 1000)
      assert.strictEqual(written.late, 1)
      yield* until("so are the others", () => written.late === 3, 1000)
      yield* until("all are delivered", () => all("success", 12), 20_000)
    }).pipe(Effect.provide(layerOn(endpoints, counting(written))), Effect.provide(Limits.layer({ laneSlots: 1 })))
  })

  it.effect("goes to all that were subscribed when it was emitted, whatever this runner knows of them", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    return Effect.gen(function*() {
      const [first] = yield* well(["a"])
      if (!first) return assert.fail("it is subscribed")
      const storage = yield* Storage
      // As by another process: nobody tells this one.
      const stored = yield* Effect.fromOption(yield* storage.getSubscription(first.id))
      const id = yield* Id.subscriptionId(yield* storage.now)
      yield* storage.createSubscription({ ...stored, id, config: { name: "b" }, signingSecrets: [] })
      yield* emit(1)
      yield* until("both have it", () => all("success", 3))
      assert.deepStrictEqual([endpoints.of("a").length, endpoints.of("b").length], [2, 1])
    }).pipe(Effect.provide(layerOn(endpoints, counting(written))))
  })
})

describe("what does not go ahead of its routing", () => {
  const isRouted = (
    what: string,
    before: Effect.Effect<unknown, unknown, Storage | Subscriptions>,
    { expiresInMs, ...changed }: Partial<Limits.Limits> & { readonly expiresInMs?: number } = {}
  ) =>
    it.effect(`is ${what}`, () => {
      const endpoints = new Endpoints()
      const written = new Written()
      return Effect.gen(function*() {
        yield* well(["a"])
        yield* before
        const { routed } = written
        const { now } = yield* Storage
        yield* emit(1, expiresInMs === undefined ? {} : { expiresAt: DateTime.makeUnsafe((yield* now) + expiresInMs) })
        yield* until(
          "it is delivered",
          () => endpoints.of("a").some(({ attempt }) => attempt.message.payloadJson.includes(`"1"`))
        )
        assert.isAbove(written.routed, routed)
        assert.deepStrictEqual([written.late, written.completed], [0, 0])
      }).pipe(Effect.provide(layerOn(endpoints, counting(written))), Effect.provide(Limits.layer(changed)))
    })

  isRouted("a message whose endpoint has accepted nothing for a while", TestClock.adjust("11 seconds"))
  isRouted("what somebody listens to", Effect.flatMap(Storage, (storage) => storage.listen([workerGroup])))
  isRouted("a message that an ordered subscription wants", subscribe("ordered", undefined, { ordered: true }))
  isRouted("a message that expires", Effect.void, { expiresInMs: 60_000 })
  isRouted(
    "a message that an owner before may have had",
    Effect.gen(function*() {
      const storage = yield* Storage
      yield* storage.takeOver(yield* Id.runnerId, { workerGroup, partition: 0 }, 1000)
      yield* TestClock.adjust("2 seconds")
      yield* storage.append([{
        id: yield* Id.messageId(yield* storage.now),
        eventId: "incident.incident.created",
        tenantId: "default",
        orderingKey: undefined,
        payloadJson: "{}"
      }])
    })
  )

  it.effect("waits until the lease of an owner has run out that may have had it and gave nothing back", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Storage
      const dispatcher = yield* Dispatcher
      yield* subscribe("a")
      const foreign = yield* Id.runnerId
      yield* storage.renewLease(foreign, 5000)
      yield* storage.takeOver(foreign, { workerGroup, partition: 0 }, 1000)
      const since = yield* Clock.currentTimeMillis
      yield* emit(1)
      yield* until("this runner has the group", () => dispatcher.isOpen(workerGroup))
      yield* until("it is routed", () => all("pending", 1))
      yield* emit(2)
      yield* until("what came after is delivered", () => endpoints.seen.length === 1, 1000)
      yield* until("the lease is over", () => Effect.map(all("success", 2), (done) => done), 6000)
      assert.deepStrictEqual(endpoints.seen.map(({ atMs }) => atMs - since >= 5000), [false, true])
      const found = yield* storage.listDeliveries({}, { cursor: undefined, limit: 10 })
      assert.strictEqual(found.length, 2)
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })
})

describe("a message to very many whose endpoints are well", () => {
  it.effect("is sent while its routing is written, and its outcomes are recorded after that", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    const writing = Latch.makeUnsafe()
    const storage = counting(written, (storage) => ({
      route: (routing) =>
        routing.isBegun === true ? Effect.andThen(writing.await, storage.route(routing)) : storage.route(routing)
    }))
    return Effect.gen(function*() {
      yield* well(["a", "b", "c"])
      yield* emit(1)
      yield* until("all of it is sent", () => endpoints.seen.length === 6)
      assert.deepStrictEqual(yield* statuses, ["success", "success", "success"])
      yield* writing.open
      yield* until("it is recorded", () => all("success", 6))
      assert.deepStrictEqual(written, { routed: 1, late: 1, completed: 0 })
      assert.strictEqual(endpoints.seen.length, 6)
    }).pipe(Effect.provide(layerOn(endpoints, storage)), Effect.provide(Limits.layer({ expressDeliveries: 2 })))
  })
})

describe("where something goes wrong meanwhile", () => {
  const losses = {
    "what completes it": {
      change: (storage: Storage["Service"]) => {
        const { state, verb } = losing(storage.complete, (messageIds) => messageIds.length > 0)
        return { state, changed: { complete: verb } }
      },
      behaviour: Effect.succeed({})
    },
    "its late routing": {
      change: (storage: Storage["Service"]) => {
        const { state, verb } = losing(storage.route, ({ _tag }) => _tag === "Routed")
        const route: typeof storage.route = (routing) =>
          routing.isBegun === true ? verb(routing) : storage.route(routing)
        return { state, changed: { route } }
      },
      behaviour: Effect.delay(Effect.succeed({}), "2 seconds")
    }
  }
  for (const [what, { behaviour, change }] of Object.entries(losses)) {
    it.effect(`and the answer of ${what} is lost, it is sent once and recorded once`, () => {
      const endpoints = new Endpoints()
      let lost = { lost: 0 }
      const storage = counting(new Written(), (storage) => {
        const { changed, state } = change(storage)
        lost = state
        return changed
      })
      return Effect.gen(function*() {
        yield* well(["a", "b"])
        endpoints.behaviours.set("a", () => behaviour)
        yield* emit(1)
        yield* until("its answer is lost", () => lost.lost === 1)
        yield* emit(2)
        yield* until("all are recorded", () => all("success", 6))
        yield* TestClock.adjust("40 seconds")
        assert.strictEqual(endpoints.seen.length, 6)
        const storage = yield* Storage
        for (const { id } of yield* storage.listDeliveries({}, { cursor: undefined, limit: 10 })) {
          const { attempts } = yield* Effect.fromOption(yield* storage.getDelivery(id))
          assert.deepStrictEqual(attempts.map(({ outcome }) => outcome), ["success"])
        }
      }).pipe(Effect.provide(layerOn(endpoints, storage)))
    })
  }

  it.effect("and the database refuses to write both together, one is written before the other", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    const storage = counting(written, () => ({
      complete: () => Effect.fail(new RowRefused({ message: "a row was refused" }))
    }))
    return Effect.gen(function*() {
      yield* well(["a"])
      yield* emit(1)
      yield* until("it is recorded", () => all("success", 2))
      assert.deepStrictEqual(written, { routed: 1, late: 1, completed: 1 })
      assert.strictEqual(endpoints.seen.length, 2)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("and its subscription is disabled, what was not begun is begun no more, and waits", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    const answer = Latch.makeUnsafe()
    return Effect.gen(function*() {
      const [first] = yield* well(["a"])
      if (!first) return assert.fail("it is subscribed")
      endpoints.behaviours.set("a", () => Effect.as(answer.await, {}))
      for (const n of [1, 2, 3]) yield* emit(n)
      yield* until("one is under way", () => endpoints.seen.length === 2)
      yield* Subscriptions.use((service) => service.update(first.id, { enabled: false }))
      yield* answer.open
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(endpoints.seen.length, 2)
      assert.deepStrictEqual(yield* statuses, ["pending", "pending", "success", "success"])
      yield* Subscriptions.use((service) => service.update(first.id, { enabled: true }))
      yield* until("all are delivered", () => all("success", 4))
      assert.strictEqual(endpoints.seen.length, 4)
    }).pipe(Effect.provide(layerOn(endpoints, counting(written))), Effect.provide(Limits.layer({ laneSlots: 1 })))
  })

  it.effect("and its runner stops, what was begun is recorded, and the next one sends the rest", () => {
    const endpoints = new Endpoints()
    const written = new Written()
    return Effect.gen(function*() {
      const context = yield* Layer.build(counting(written))
      const runtime = Effect.gen(function*() {
        const scope = yield* Scope.make()
        const built = yield* Layer.build(layerOn(endpoints, Layer.succeedContext(context))).pipe(Scope.provide(scope))
        return { built, stop: Scope.close(scope, Exit.void) }
      })
      const first = yield* runtime
      yield* Effect.provide(well(["a", "b"]), first.built)
      endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), 300))
      yield* Effect.provide(Effect.forEach([1, 2, 3], (n) => emit(n)), first.built)
      yield* until("one is under way", () => endpoints.of("a").length === 2)
      const stopping = yield* Effect.forkChild(first.stop, { startImmediately: true })
      yield* until("it has stopped", () => stopping.pollUnsafe() !== undefined, 2000)
      const second = yield* runtime
      yield* until("all are delivered", () => Effect.provide(all("success", 8), context))
      assert.strictEqual(endpoints.seen.length, 8)
      yield* second.stop
    }).pipe(Effect.provide(Limits.layer({ laneSlots: 1 })))
  })
})
