import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Schema, Scope } from "effect"
import { MessageStorage, RunnerHealth, Runners, RunnerStorage, Sharding } from "effect/cluster"
import { TestClock } from "effect/testing"
import * as Cluster from "../src/Cluster.ts"
import { Dispatcher } from "../src/Dispatcher.ts"
import * as Hook from "../src/Hook.ts"
import * as Hookline from "../src/Hookline.ts"
import * as Id from "../src/Id.ts"
import { layer as limits } from "../src/Limits.ts"
import * as Limits from "../src/Limits.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Provider from "../src/Provider.ts"
import { type Owner, RowRefused, Storage, StorageUnavailable } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import {
  Broken,
  clustered,
  Created,
  Endpoints,
  IncidentPlugin,
  interfered,
  layerOn,
  SecretsTest,
  subscribe,
  Throwing,
  until
} from "./support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

/** Subscribes twenty endpoints that take a tenth of a second to accept. */
const subscribeTwenty = Effect.fnUntraced(function*(endpoints: Endpoints) {
  const names = Array.from({ length: 20 }, (_, n) => `e${n}`)
  for (const name of names) {
    endpoints.behaviours.set(name, () => Effect.delay(Effect.succeed({}), 100))
    yield* subscribe(name)
  }
  return names
})

const emitMany = (count: number, systemId = "s1") =>
  Effect.forEach(Array.from({ length: count }), () => Hook.emit(Created, { ...payload, systemIds: [systemId] }), {
    concurrency: 200
  })

const deliveries = (filter: Parameters<Storage["Service"]["listDeliveries"]>[0] = {}) =>
  Effect.flatMap(Storage, (storage) => Effect.orDie(storage.listDeliveries(filter, { cursor: undefined, limit: 500 })))

const count = (filter: Parameters<Storage["Service"]["listDeliveries"]>[0]) =>
  Effect.map(deliveries(filter), (found) => found.length)

const refused = new RowRefused({ message: "a row was refused" })

describe("claims", () => {
  it.effect("whose answer comes while their group is given back are given back with it, and do not count", () => {
    const endpoints = new Endpoints()
    const answer = Latch.makeUnsafe()
    const claims: Array<number> = []
    let asked = 0
    const storage = interfered((storage) => ({
      claim: (options) =>
        Effect.tap(storage.claim(options), ({ claimed }) => {
          claims.push(...claimed.map((one) => one.claims))
          return claimed.length > 0 && asked++ === 0 ? answer.await : Effect.void
        })
    }))
    return Effect.gen(function*() {
      const context = yield* Layer.build(storage)
      const runtime = Effect.gen(function*() {
        const scope = yield* Scope.make()
        const built = yield* Layer.build(layerOn(endpoints, Layer.succeedContext(context))).pipe(Scope.provide(scope))
        return { built, stop: Scope.close(scope, Exit.void) }
      })
      const first = yield* runtime
      const { id } = yield* subscribe("a", undefined, { enabled: false }).pipe(Effect.provide(first.built))
      yield* Hook.emit(Created, payload).pipe(Effect.provide(first.built))
      yield* until("it is held", () => Effect.map(count({ reason: "held" }), (n) => n === 1)).pipe(
        Effect.provide(context)
      )
      yield* Subscriptions.use((service) => service.update(id, { enabled: true })).pipe(Effect.provide(first.built))
      yield* until("it is claimed", () => claims.length === 1)
      const stopping = yield* Effect.forkChild(first.stop, { startImmediately: true })
      yield* answer.open
      yield* until("it has stopped", () => stopping.pollUnsafe() !== undefined, 2000)
      const second = yield* runtime
      yield* until("it is delivered", () => endpoints.seen.length === 1, 5000)
      assert.deepStrictEqual(claims, [1, 1])
      yield* second.stop
    })
  })

  it.effect("that were given back without an answer are made and sent once", () => {
    const endpoints = new Endpoints()
    let lost = 0
    const storage = interfered((storage) => ({
      release: (owner, ids) =>
        Effect.flatMap(
          storage.release(owner, ids),
          () => lost++ === 0 ? Effect.fail(new StorageUnavailable({ message: "the answer was lost" })) : Effect.void
        )
    }))
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", (attempt) =>
        Effect.delay(
          attempt.number === 1
            ? Effect.fail(new Provider.RetryableError({ code: "x", message: "x" }))
            : Effect.succeed({}),
          200
        ))
      const { id } = yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [10, 10, 10] } })
      yield* emitMany(200)
      yield* until("they have begun", () => endpoints.seen.length >= 64)
      yield* Effect.forkChild(Subscriptions.use((service) => service.update(id, { name: "b" })), {
        startImmediately: true
      })
      yield* until("all are recorded", () => Effect.map(count({ status: "success" }), (n) => n === 200), 60_000)
      assert.isAbove(lost, 0)
      const attempts = endpoints.seen.map(({ attempt }) => `${attempt.deliveryId} ${attempt.number}`)
      assert.strictEqual(new Set(attempts).size, attempts.length)
    }).pipe(
      Effect.provide(layerOn(endpoints, storage)),
      Effect.provide(limits({ circuitFailures: 1000, circuitSampleAttempts: 1000 }))
    )
  })

  it.effect("of what is due again before its recording was answered are taken in when it is", () => {
    const endpoints = new Endpoints()
    let delayed = 0
    const storage = interfered((storage) => ({
      record: (outcomes) =>
        Effect.tap(storage.record(outcomes), () => delayed++ === 0 ? Effect.sleep("3 seconds") : Effect.void)
    }))
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", (attempt) =>
        attempt.number === 1
          ? Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "HTTP 500" }))
          : Effect.succeed({}))
      yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [0] } })
      yield* Hook.emit(Created, payload)
      yield* until("it is delivered again", () => endpoints.seen.length === 2, 6000)
      yield* until("it is recorded", () => Effect.map(count({ status: "success" }), (n) => n === 1))
      assert.strictEqual(endpoints.seen.length, 2)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("that memory does not know, for whatever reason, are found by a look now and then", () => {
    const endpoints = new Endpoints()
    let hidden = 0
    const storage = interfered((storage) => ({
      claim: (options) =>
        Effect.map(storage.claim(options), (answer) => {
          if (answer.claimed.length === 0 || hidden++ > 0) return answer
          return { ...answer, claimed: [] }
        })
    }))
    return Effect.gen(function*() {
      const { id } = yield* subscribe("a", undefined, { enabled: false })
      yield* Hook.emit(Created, payload)
      yield* until("it is held", () => Effect.map(count({ reason: "held" }), (n) => n === 1))
      yield* Subscriptions.use((service) => service.update(id, { enabled: true }))
      yield* until("it is delivered", () => endpoints.seen.length === 1, Limits.defaults.takeUpIntervalMs + 5000)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("take in no more bytes of payloads than fit, and all of them in the end", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const hangs = yield* Latch.make()
      endpoints.behaviours.set("a", () => Effect.as(hangs.await, {}))
      const { id } = yield* subscribe("a", undefined, { enabled: false })
      yield* emitMany(60, "x".repeat(970))
      yield* until("all are held", () => Effect.map(count({ reason: "held" }), (n) => n === 60))
      yield* Subscriptions.use((service) => service.update(id, { enabled: true }))
      yield* TestClock.adjust("5 seconds")
      assert.isAtLeast(endpoints.seen.length, 9)
      assert.isAtMost(endpoints.seen.length, 10)
      yield* hangs.open
      yield* until("all are recorded", () => Effect.map(count({ status: "success" }), (n) => n === 60))
    }).pipe(
      Effect.provide(layerOn(endpoints, StorageMemory.layer).pipe(Layer.provide(Limits.layer({ windowBytes: 10_000 }))))
    )
  })

  it.effect("of a superseded owner hold up a disable until its lease must have run out", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Storage
      const { id, version } = yield* subscribe("a")
      const foreign = yield* Id.runnerId
      yield* storage.renewLease(foreign, 10_000)
      const workerGroup = "integration.incident.incident.created"
      const { owner } = yield* storage.takeOver(foreign, { workerGroup, partition: 0 }, 1000)
      const now = yield* storage.now
      const messageId = yield* Id.messageId(now)
      const eventId = "incident.incident.created"
      yield* storage.append([{
        id: messageId,
        eventId,
        tenantId: "default",
        orderingKey: undefined,
        payloadJson: "{}"
      }])
      yield* storage.route({
        version,
        messages: [{
          owner,
          messageId,
          seq: 1,
          matched: 1,
          filtered: 0,
          transformedJson: undefined,
          error: undefined
        }],
        deliveries: [{ id: yield* Id.deliveryId(now), messageId, subscriptionId: id, claimed: true }]
      })
      // This runner takes the group over; the claims are the other one's for as long as its lease.
      const dispatcher = yield* Dispatcher
      yield* Hook.emit(Created, payload)
      yield* until("this runner has the group", () => dispatcher.isOpen(workerGroup))
      yield* Hook.emit(Created, payload)
      yield* until("it delivers what the other one can't have had", () => endpoints.seen.length === 1, 1000)
      const disabling = yield* Effect.forkChild(
        Subscriptions.use((service) => service.update(id, { enabled: false })),
        { startImmediately: true }
      )
      yield* TestClock.adjust(Limits.defaults.leaseMs - 100)
      assert.isUndefined(disabling.pollUnsafe())
      yield* until("it is answered", () => disabling.pollUnsafe() !== undefined, 500)
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })
})

describe("ownership", () => {
  const slow = "10 seconds"

  it.effect("is kept while there is work in memory, however long the sweep's reading takes", () => {
    const endpoints = new Endpoints()
    let takeOvers = 0
    const storage = interfered((storage) => ({
      due: (options) =>
        options.workerGroups === undefined ? Effect.delay(storage.due(options), slow) : storage.due(options),
      takeOver: (...args) => Effect.suspend(() => (takeOvers++, storage.takeOver(...args)))
    }))
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), "8 seconds"))
      yield* subscribe("a")
      yield* emitMany(1)
      yield* TestClock.adjust("9 seconds")
      yield* emitMany(10)
      yield* until("all are recorded", () => Effect.map(count({ status: "success" }), (n) => n === 11), 60_000)
      assert.strictEqual(endpoints.seen.length, 11)
      assert.strictEqual(takeOvers, 1)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("of a group that is being given back is not taken over from itself", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const dispatcher = yield* Dispatcher
      const answer = yield* Latch.make()
      endpoints.behaviours.set("a", () => Effect.as(answer.await, {}))
      yield* subscribe("a")
      const workerGroup = "integration.incident.incident.created"
      const scope = yield* Scope.make()
      yield* Scope.provide(dispatcher.attach(workerGroup), scope)
      yield* emitMany(1)
      yield* until("an attempt is under way", () => endpoints.seen.length === 1)
      yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      const again = yield* Effect.forkScoped(dispatcher.attach(workerGroup), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isUndefined(again.pollUnsafe())
      yield* answer.open
      yield* until("it is attached again", () => again.pollUnsafe() !== undefined, 1000)
      yield* until("the attempt is recorded", () => Effect.map(count({ status: "success" }), (n) => n === 1))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(endpoints.seen.length, 1)
    }).pipe(Effect.scoped, Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("is the later take-over's, also where the earlier one is answered after it", () => {
    const endpoints = new Endpoints()
    const answers = [Latch.makeUnsafe(), Latch.makeUnsafe()] as const
    let asked = 0
    const storage = interfered((storage) => ({
      takeOver: (runnerId, group, patienceMs) =>
        Effect.suspend(() => {
          const answer = answers[asked++]
          return Effect.tap(storage.takeOver(runnerId, group, patienceMs), () => answer?.await ?? Effect.void)
        })
    }))
    return Effect.gen(function*() {
      const dispatcher = yield* Dispatcher
      const workerGroup = "integration.incident.broken"
      const [first, second] = [yield* Scope.make(), yield* Scope.make()]
      yield* subscribe("a", ["incident.broken"])
      yield* Effect.forkChild(Scope.provide(dispatcher.attach(workerGroup), first), { startImmediately: true })
      yield* Effect.forkChild(Scope.provide(dispatcher.attach(workerGroup), second), { startImmediately: true })
      yield* until("both take over", () => asked === 2)
      yield* answers[1].open
      yield* until("the later one has", () => dispatcher.poke(workerGroup))
      yield* answers[0].open
      yield* TestClock.adjust("1 second")
      yield* Scope.close(first, Exit.void)
      yield* Hook.emit(Broken, { n: 1 })
      yield* until("it is recorded", () => Effect.map(count({ status: "success" }), (n) => n === 1))
      // Nobody had to take over anew.
      assert.strictEqual(asked, 2)
      assert.strictEqual(endpoints.seen.length, 1)
    }).pipe(Effect.scoped, Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("begins though whoever asked for it has given up while it was taken over", () => {
    const endpoints = new Endpoints()
    const answer = Latch.makeUnsafe()
    let asked = 0
    const storage = interfered((storage) => ({
      takeOver: (runnerId, group, patienceMs) =>
        Effect.tap(
          storage.takeOver(runnerId, group, patienceMs),
          () => group.workerGroup.startsWith("subscription.") && asked++ === 0 ? answer.await : Effect.void
        )
    }))
    return Effect.gen(function*() {
      const dispatcher = yield* Dispatcher
      // What was spent of its limit is read as it begins: until then it sends nothing.
      const { id } = yield* subscribe("a", undefined, { rateLimit: { messages: 10, intervalMs: 1000 } })
      const scope = yield* Scope.make()
      const asking = yield* Effect.forkChild(Scope.provide(dispatcher.attach(`subscription.${id}`), scope), {
        startImmediately: true
      })
      yield* until("it is being taken over", () => asked === 1)
      asking.interruptUnsafe()
      yield* answer.open
      yield* Fiber.await(asking)
      yield* emitMany(3)
      yield* until("all are recorded", () => Effect.map(count({ status: "success" }), (n) => n === 3), 10_000)
      assert.strictEqual(asked, 1)
    }).pipe(Effect.scoped, Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("that could not be given back is given back later, so that what was left is found", () => {
    const endpoints = new Endpoints()
    const given: Array<Owner> = []
    let away = false
    const failing = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.suspend((): Effect.Effect<A, E | StorageUnavailable> =>
        away ? Effect.fail(new StorageUnavailable({ message: "away" })) : effect
      )
    const storage = interfered((storage) => ({
      due: (options) => failing(storage.due(options)),
      record: (outcomes) => failing(storage.record(outcomes)),
      release: (owner, ids) => failing(storage.release(owner, ids)),
      renewLease: (runnerId, leaseMs) => failing(storage.renewLease(runnerId, leaseMs)),
      giveBack: (owners) =>
        failing(Effect.andThen(Effect.sync(() => void given.push(...owners)), storage.giveBack(owners)))
    }))
    return Effect.gen(function*() {
      const dispatcher = yield* Dispatcher
      const workerGroup = "integration.incident.incident.created"
      endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), 100))
      yield* subscribe("a")
      const scope = yield* Scope.make()
      yield* Scope.provide(dispatcher.attach(workerGroup), scope)
      yield* emitMany(3)
      yield* until("they are under way", () => endpoints.seen.length === 3)
      away = true
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* until("the group is given up", () => closing.pollUnsafe() !== undefined, 20_000)
      away = false
      yield* until("it is given back", () => given.some((owner) => owner.workerGroup === workerGroup), 5000)
      yield* until(
        "what was left is found and done",
        () => Effect.map(count({ status: "success" }), (n) => n === 3),
        20_000
      )
    }).pipe(Effect.scoped, Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("of an idle group goes back at once, however busy the runner is", () => {
    const endpoints = new Endpoints()
    const storage = interfered((storage) => ({
      route: (routing) => Effect.delay(storage.route(routing), 30),
      claim: (options) => Effect.delay(storage.claim(options), 30)
    }))
    return Effect.gen(function*() {
      const dispatcher = yield* Dispatcher
      endpoints.behaviours.set("a", (attempt) =>
        attempt.number === 1
          ? Effect.fail(new Provider.RetryableError({ code: "x", message: "x" }))
          : Effect.succeed({}))
      yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [10] } })
      const scope = yield* Scope.make()
      yield* Scope.provide(dispatcher.attach("integration.incident.broken"), scope)
      let stop = false
      let emitted = 0
      const emitting = yield* Effect.forkScoped(Effect.whileLoop({
        while: () => !stop,
        body: () => Effect.andThen(emitMany(3), Effect.sleep(10)),
        step: () => {
          emitted += 3
        }
      }))
      yield* TestClock.adjust("2 seconds")
      const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* until("it is given back", () => closing.pollUnsafe() !== undefined, 1000)
      stop = true
      yield* until("no more is emitted", () => emitting.pollUnsafe() !== undefined)
      yield* until("all is done", () => endpoints.seen.length === 2 * emitted)
      yield* TestClock.adjust("1 second")
    }).pipe(Effect.scoped, Effect.provide(layerOn(endpoints, storage)))
  })
})

describe("what the database refuses", () => {
  it.effect("of an outcome is recorded without its words, and holds up no other outcome", () => {
    const endpoints = new Endpoints()
    const storage = interfered((storage) => ({
      record: (outcomes) =>
        outcomes.some((outcome) => outcome.attempt.error?.message === "poison")
          ? Effect.fail(refused)
          : storage.record(outcomes)
    }))
    return Effect.gen(function*() {
      let n = 0
      endpoints.behaviours.set("a", () =>
        n++ % 7 === 3
          ? Effect.fail(new Provider.PermanentError({ code: "HttpStatus", message: "poison", statusCode: 400 }))
          : Effect.succeed({}))
      yield* subscribe("a")
      yield* emitMany(50)
      yield* until("all are recorded", () => Effect.map(count({ status: "success" }), (done) => done === 43))
      const failed = yield* deliveries({ status: "failed" })
      assert.strictEqual(failed.length, 7)
      for (const delivery of failed) {
        assert.deepInclude(delivery, { reason: "permanent", lastError: refused.message, attemptCount: 1 })
      }
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("of a message's routing sets that message aside, and holds up no other", () => {
    const endpoints = new Endpoints()
    const storage = interfered((storage) => ({
      route: (routing) =>
        routing.messages.some((message) => message.transformedJson === "{\"doubled\":26}")
          ? Effect.fail(refused)
          : storage.route(routing)
    }))
    return Effect.gen(function*() {
      const storage = yield* Storage
      yield* subscribe("a", ["incident.broken"])
      const ids = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) => Hook.emit(Broken, { n }),
        { concurrency: "unbounded" }
      )
      yield* until("the others are delivered", () => endpoints.seen.length === 19)
      const states = yield* Effect.forEach(
        ids,
        (id) => Effect.map(storage.getMessage(id), (found) => found._tag === "Some" ? found.value.state : undefined)
      )
      for (const [n, state] of states.entries()) {
        if (n === 13) assert.deepInclude(state, { _tag: "SetAside", error: refused.message })
        else assert.strictEqual(state?._tag, "Routed")
      }
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })
})

describe("attempts", () => {
  it.effect("that no provider ends are ended after the longest an attempt may take, as timed out", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", () => Effect.never)
      yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [] } })
      yield* Hook.emit(Created, payload)
      yield* until("it is under way", () => endpoints.seen.length === 1)
      yield* TestClock.adjust(Limits.defaults.attemptTimeoutMs - 1000)
      assert.strictEqual(yield* count({ status: "failed" }), 0)
      yield* until("it failed", () => Effect.map(count({ status: "failed" }), (n) => n === 1), 5000)
      const [failed] = yield* deliveries()
      const found = failed && (yield* Storage.use((storage) => storage.getDelivery(failed.id)))
      const attempts = found?._tag === "Some" ? found.value.attempts : []
      assert.deepStrictEqual(attempts.map((attempt) => attempt.outcome), ["timeout"])
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("wait a little to be recorded together while others are under way, and not once none is", () => {
    const endpoints = new Endpoints()
    const [most, last] = [Latch.makeUnsafe(), Latch.makeUnsafe()]
    const recorded: Array<number> = []
    const storage = interfered((storage) => ({
      record: (outcomes) =>
        Effect.tap(storage.record(outcomes), ({ length }) => Effect.sync(() => recorded.push(length)))
    }))
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", () => (endpoints.seen.length < 20 ? most : last).await.pipe(Effect.as({})))
      yield* subscribe("a")
      yield* emitMany(20)
      yield* until("all are under way", () => endpoints.seen.length === 20)
      yield* most.open
      yield* TestClock.adjust(Limits.defaults.recordGatherMs - 1)
      assert.deepStrictEqual(recorded, [])
      yield* last.open
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(recorded, [20])
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  for (
    const [what, noted] of [
      ["a header without a name", "{\"method\":\"POST\",\"url\":\"u\",\"headers\":[{\"value\":\"v\"}],\"body\":\"b\"}"],
      [
        "a number for a header",
        "{\"method\":\"POST\",\"url\":\"u\",\"headers\":[{\"name\":\"n\",\"value\":1}],\"body\":\"b\"}"
      ],
      ["no body", "{\"method\":\"POST\",\"url\":\"u\",\"headers\":[]}"],
      ["nothing", "null"]
    ] as const
  ) {
    it.effect(`that note ${what} of their request end as they do, without it`, () => {
      const endpoints = new Endpoints()
      return Effect.gen(function*() {
        endpoints.behaviours.set("a", ({ number }) =>
          Effect.andThen(
            Provider.noteRequest(JSON.parse(noted)),
            number === 1 ? Effect.fail(new Provider.RetryableError({ code: "x", message: "away" })) : Effect.succeed({})
          ))
        yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [1000] } })
        yield* emitMany(1)
        yield* until("it is delivered", () => Effect.map(count({ status: "success" }), (n) => n === 1), 5000)
        const [delivered] = yield* deliveries()
        const found = delivered && (yield* Storage.use((storage) => storage.getDelivery(delivered.id)))
        const attempts = found?._tag === "Some" ? found.value.attempts : []
        assert.deepStrictEqual(attempts.map(({ outcome, request }) => [outcome, request]), [
          ["retryable", undefined],
          ["success", undefined]
        ])
      }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
    })
  }

  it.effect("that interrupt themselves are the provider's fault, and follow the schedule", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", () => Effect.interrupt)
      yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [1000] } })
      yield* emitMany(1)
      yield* until("it failed", () => Effect.map(count({ reason: "exhausted" }), (n) => n === 1), 5000)
      assert.strictEqual(endpoints.seen.length, 2)
      assert.deepInclude((yield* deliveries())[0], { lastError: "the provider interrupted its own attempt" })
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  /** A world with a provider that takes its time to bind. */
  const binding = (bind: Effect.Effect<void>, sent: Array<string>) => {
    let bound = 0
    const plugin = Plugin.make("slow", {
      providers: [Provider.make({
        id: "p",
        displayName: "P",
        config: Schema.Struct({}),
        // Once to be saved, once to be used.
        bind: () =>
          Effect.as(
            Effect.suspend(() => bound++ === 0 ? Effect.void : bind),
            { check: Effect.void, deliver: () => Effect.sync(() => (sent.push("sent"), {})) } satisfies Provider.Bound<
              never
            >
          )
      })]
    })
    return Hookline.layer({ plugins: Layer.mergeAll(IncidentPlugin, plugin) }).pipe(
      Layer.provideMerge(StorageMemory.layer),
      Layer.provide(SecretsTest)
    )
  }

  const slowly = Effect.map(
    Subscriptions.use((service) =>
      service.create({ name: "a", events: ["incident.*"], providerId: "slow.p", config: {} })
    ),
    ({ subscription }) => subscription.id
  )

  it.effect("do not begin once a disable was answered, also where binding took long", () => {
    const sent: Array<string> = []
    return Effect.gen(function*() {
      const id = yield* slowly
      yield* emitMany(1)
      yield* TestClock.adjust(500)
      yield* Subscriptions.use((service) => service.update(id, { enabled: false }))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(sent, [])
      yield* Subscriptions.use((service) => service.update(id, { enabled: true }))
      yield* until("it is sent", () => sent.length === 1, 20_000)
    }).pipe(Effect.provide(binding(Effect.sleep("5 seconds"), sent)))
  })

  it.effect("whose binding never ends are ended as timed out", () => {
    const sent: Array<string> = []
    return Effect.gen(function*() {
      const id = yield* slowly
      yield* Subscriptions.use((service) => service.update(id, { retry: { type: "delays", delaysMs: [] } }))
      yield* emitMany(1)
      yield* TestClock.adjust(Limits.defaults.attemptTimeoutMs)
      yield* until("it failed", () => Effect.map(count({ status: "failed" }), (n) => n === 1), 5000)
      assert.deepStrictEqual(sent, [])
    }).pipe(Effect.provide(binding(Effect.never, sent)))
  })

  it.effect("of suspects whose provider is missing hold up no other suspect", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Storage
      const now = yield* storage.now
      const { id, version: _, ...stored } = yield* subscribe("a", undefined, { enabled: false })
      const foreign = yield* Id.subscriptionId(now)
      const subscription = { ...stored, signingSecrets: [], enabled: true, disabledAtMs: undefined }
      yield* storage.createSubscription({ ...subscription, id: foreign, providerId: "missing.provider" })
      yield* emitMany(3)
      yield* until("all are routed", () => Effect.map(deliveries(), (found) => found.length === 6))
      yield* storage.updateSubscription(id, (current) => ({ ...current, enabled: true }))
      const group = { workerGroup: "integration.incident.incident.created", partition: 0 }
      // Two runners that crash while they hold all of it.
      for (let n = 0; n < 2; n++) {
        const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
        yield* TestClock.adjust(0)
        yield* storage.recover([owner], 3)
        yield* storage.claim({
          owners: [owner],
          lanes: [id, foreign].map((subscriptionId) => ({ ...group, subscriptionId, free: 100 })),
          limit: 100,
          bytes: 1e9,
          suspectClaims: 2,
          suspectProviders: []
        })
      }
      yield* until("the others are done", () => Effect.map(count({ status: "success" }), (n) => n === 3), 30_000)
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("of suspects run one at a time, also of those whose claims were made without an answer", () => {
    const endpoints = new Endpoints()
    let mostAtOnce = 0
    let underWay = 0
    let lost = 0
    const storage = interfered((storage) => ({
      claim: (options) =>
        options.suspectProviders.length === 0 || lost >= 3
          ? storage.claim(options)
          : Effect.flatMap(storage.claim(options), (answer) => {
            if (!answer.claimed.some(({ claims }) => claims > 1)) return Effect.succeed(answer)
            lost++
            // As sent again by a driver that gave the first one up.
            return Effect.andThen(storage.claim(options), Effect.fail(new StorageUnavailable({ message: "no answer" })))
          })
    }))
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", () =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            mostAtOnce = Math.max(mostAtOnce, ++underWay)
          }),
          () => Effect.delay(Effect.succeed({}), 100),
          () =>
            Effect.sync(() => {
              underWay--
            })
        ))
      const service = yield* Storage
      const { id } = yield* subscribe("a", undefined, { enabled: false })
      yield* emitMany(5)
      yield* until("all are routed", () => Effect.map(deliveries(), (found) => found.length === 5))
      yield* service.updateSubscription(id, (current) => ({ ...current, enabled: true }))
      const group = { workerGroup: "integration.incident.incident.created", partition: 0 }
      // A runner that crashes while it holds all of it.
      const { owner } = yield* service.takeOver(yield* Id.runnerId, group, 1000)
      const { claimed } = yield* service.claim({
        owners: [owner],
        lanes: [{ ...group, subscriptionId: id, free: 100 }],
        limit: 100,
        bytes: 1e9,
        suspectClaims: 1,
        suspectProviders: []
      })
      assert.strictEqual(claimed.length, 5)
      yield* until("all are done", () => Effect.map(count({ status: "success" }), (n) => n === 5), 120_000)
      assert.strictEqual(mostAtOnce, 1)
      assert.isAbove(lost, 0)
    }).pipe(
      Effect.provide(layerOn(endpoints, storage).pipe(Layer.provide(Limits.layer({ suspectClaims: 1 }))))
    )
  })

  it.effect("of many subscriptions take turns where slots are short", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const names = yield* subscribeTwenty(endpoints)
      yield* emitMany(10)
      yield* until("twice as many attempts as subscriptions have begun", () => endpoints.seen.length >= 48)
      for (const name of names) assert.isAtLeast(endpoints.of(name).length, 1, name)
      yield* until("all are recorded", () => Effect.map(count({ status: "success" }), (n) => n === 200))
    }).pipe(
      Effect.provide(
        layerOn(endpoints, StorageMemory.layer).pipe(Layer.provide(Limits.layer({ slots: 4, firstSlots: 0 })))
      )
    )
  })

  it.effect("follow one another at once where slots are short, however seldom all lanes are looked at", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* subscribeTwenty(endpoints)
      yield* emitMany(1)
      yield* until("the first have begun", () => endpoints.seen.length >= 4)
      yield* until("all have begun", () => endpoints.seen.length === 20, 1000)
      const times = endpoints.seen.map(({ atMs }) => atMs)
      assert.isAtMost(Math.max(...times) - Math.min(...times), 500)
      yield* until("all are recorded", () => Effect.map(count({ status: "success" }), (n) => n === 20))
    }).pipe(
      Effect.provide(
        layerOn(endpoints, StorageMemory.layer).pipe(
          // Two seconds between looks.
          Layer.provide(Limits.layer({ slots: 4, firstSlots: 0, lanesPerMs: 0.01 }))
        )
      )
    )
  })

  it.effect("are recorded while the disable of a gone endpoint's subscription has to wait", () => {
    const endpoints = new Endpoints()
    const storage = interfered(() => ({ updateSubscription: () => Effect.never }))
    return Effect.gen(function*() {
      endpoints.behaviours.set(
        "gone",
        () => Effect.fail(new Provider.GoneError({ code: "HttpStatus", message: "HTTP 410", statusCode: 410 }))
      )
      yield* subscribe("gone")
      yield* subscribe("a")
      yield* emitMany(20)
      yield* until("the others are recorded", () => Effect.map(count({ status: "success" }), (n) => n === 20), 5000)
      yield* until("so are the gone one's", () => Effect.map(count({ reason: "gone" }), (n) => n === 20), 5000)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })
})

describe("worker groups", () => {
  it.effect("more than fit in memory take turns, as those with nothing due leave", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* subscribe("a", ["*"])
      for (let n = 1; n <= 5; n++) {
        yield* Hook.emit(Created, payload)
        yield* Hook.emit(Broken, { n })
        yield* Hook.emit(Throwing, BigInt(n))
      }
      yield* until("all are delivered", () => Effect.map(count({ status: "success" }), (n) => n === 15), 120_000)
    }).pipe(
      Effect.provide(
        layerOn(endpoints, StorageMemory.layer).pipe(
          Layer.provide(Limits.layer({ residentGroups: 1, groupIdleMs: 2000 }))
        )
      )
    )
  })

  it.effect("with work in memory are kept in time where one keeping fails, and not taken over twice", () => {
    const endpoints = new Endpoints()
    const answer = Latch.makeUnsafe()
    let failing = false
    let failed = 0
    let takeOvers = 0
    const storage = interfered((storage) => ({
      takeOver: (runnerId, group, patienceMs) => {
        takeOvers++
        return storage.takeOver(runnerId, group, patienceMs)
      }
    }))
    const cluster = Layer.effect(
      Sharding.Sharding,
      Effect.map(Sharding.Sharding, (sharding): Sharding.Sharding["Service"] => ({
        ...sharding,
        makeClient: (entity) =>
          Effect.map(sharding.makeClient(entity), (client) => (id) =>
            new Proxy(client(id), {
              get: (verbs, verb) => {
                if (verb !== "Keep" || !failing) return Reflect.get(verbs, verb)
                failed++
                failing = false
                return () => Effect.fail(new StorageUnavailable({ message: "it does not answer" }))
              }
            }))
      }))
    ).pipe(Layer.provide(Cluster.single))
    return Effect.gen(function*() {
      endpoints.behaviours.set("a", () => Effect.as(answer.await, {}))
      yield* subscribe("a")
      yield* emitMany(1)
      yield* until("it is under way", () => endpoints.seen.length === 1)
      for (let n = 1; n <= 5; n++) {
        failing = true
        yield* until("a keeping fails", () => failed === n, 5000)
      }
      yield* answer.open
      yield* until("it is recorded", () => Effect.map(count({ status: "success" }), (n) => n === 1))
      assert.strictEqual(takeOvers, 1)
    }).pipe(Effect.provide(
      clustered(endpoints, storage, cluster).pipe(Layer.provide(Limits.layer({ groupIdleMs: 5000 })))
    ))
  })

  it.effect("whose mailbox is full lose hints, and no message", () => {
    const endpoints = new Endpoints()
    const taking = Latch.makeUnsafe()
    const storage = interfered((storage) => ({
      takeOver: (runnerId, group, patienceMs) =>
        Effect.andThen(taking.await, storage.takeOver(runnerId, group, patienceMs))
    }))
    const cluster = Sharding.layer.pipe(
      Layer.provide(Runners.layerNoop),
      Layer.provide([MessageStorage.layerNoop, RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
      Layer.provide(Cluster.settings({ entityMailboxCapacity: 1 }))
    )
    return Effect.gen(function*() {
      yield* subscribe("a")
      yield* emitMany(20)
      const client = yield* Cluster.DispatcherEntity.client
      const { Wake } = client("integration.incident.incident.created")
      const hints = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.forkChild(Effect.result(Wake())))
      yield* TestClock.adjust(1000)
      yield* taking.open
      yield* until("all are delivered", () => Effect.map(count({ status: "success" }), (n) => n === 20), 30_000)
      const answers = yield* Effect.forEach(hints, Fiber.join)
      assert.isTrue(answers.some((answer) => answer._tag === "Failure" && answer.failure._tag === "MailboxFull"))
    }).pipe(Effect.provide(clustered(endpoints, storage, cluster)))
  })
})
