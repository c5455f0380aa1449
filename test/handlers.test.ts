import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Core from "../src/Core.ts"
import type { Received } from "../src/Handler.ts"
import * as Hook from "../src/Hook.ts"
import * as Hookline from "../src/Hookline.ts"
import * as IntegrationEvent from "../src/IntegrationEvent.ts"
import { defaults } from "../src/Limits.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Provider from "../src/Provider.ts"
import { PluginError, type Registry } from "../src/Registry.ts"
import * as RetrySchedule from "../src/RetrySchedule.ts"
import { Storage, StorageUnavailable } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { interfered, SecretsTest, until } from "./support/world.ts"

const Opened = Hook.make("opened", { payload: Schema.Struct({ n: Schema.Int, at: Schema.DateTimeUtc }) })

/** No event: for this backend's own use. */
const Internal = Hook.make("internal", { payload: Schema.Struct({ n: Schema.Int }) })

const IncidentPlugin = Plugin.make("incident", {
  hooks: [Opened, Internal],
  events: [IntegrationEvent.make(Opened, { displayName: "Opened", transformPayload: ({ n }) => ({ number: n }) })]
})

const Other = Hook.make("other", { payload: Schema.Struct({ n: Schema.Int }) })

const OtherPlugin = Plugin.make("other", { hooks: [Other] })

/** What a handler was called with. */
interface Call {
  readonly handler: string
  readonly n: number
  readonly received?: Received
}

class Calls extends Context.Service<Calls, { readonly add: (call: Call) => Effect.Effect<void> }>()("test/Calls") {}

const queue = (
  workerGroup: string,
  options: {
    readonly retry?: RetrySchedule.RetrySchedule
    readonly fails?: (received: Received) => Effect.Effect<void, unknown>
  } = {}
) =>
  Hook.on(Internal, ({ n }, received) =>
    Effect.gen(function*() {
      const calls = yield* Calls
      yield* calls.add({ handler: workerGroup, n, received })
      yield* options.fails?.(received) ?? Effect.void
    }), {
    mode: "work-queue",
    workerGroup,
    ...(options.retry === undefined ? {} : { retry: options.retry })
  })

const local = (handler: string, fails: Effect.Effect<void, unknown> = Effect.void) =>
  Hook.on(Internal, ({ n }) =>
    Effect.gen(function*() {
      const calls = yield* Calls
      yield* calls.add({ handler, n })
      yield* fails
    }), { mode: "local" })

type Handlers = ReadonlyArray<ReturnType<typeof queue>>

/** A runtime with a plugin of handlers, on a storage of its own unless one is given. */
const world = (handlers: Handlers, storage: Layer.Layer<Storage> = StorageMemory.layer) =>
  Effect.gen(function*() {
    const calls: Array<Call> = []
    const layer = Hookline.layer({
      plugins: Layer.mergeAll(IncidentPlugin, Plugin.make("sync", { handlers }))
    }).pipe(
      Layer.provideMerge(storage),
      Layer.provide([
        SecretsTest,
        Layer.succeed(Calls, { add: (call) => Effect.sync(() => void calls.push(call)) })
      ])
    )
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const context = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
    return {
      calls,
      context,
      of: (handler: string) => calls.filter((call) => call.handler === handler),
      emit: (n: number) => Effect.provide(Hook.emit(Internal, { n }), context),
      deliveries: Effect.flatMap(Storage, (storage) => storage.listDeliveries({}, { cursor: undefined, limit: 100 }))
        .pipe(Effect.orDie, Effect.provide(context)),
      stop: Scope.close(scope, Exit.void)
    }
  })

const statuses = ({ deliveries }: Effect.Success<ReturnType<typeof world>>) =>
  Effect.map(deliveries, (found) => found.map(({ reason, status }) => reason ?? status).sort())

/** Why a program with such plugins does not start. */
const refusal = (plugins: Layer.Layer<never, PluginError, Registry>) =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(Effect.scoped(Layer.build(
      Hookline.layer({ plugins }).pipe(Layer.provideMerge(StorageMemory.layer), Layer.provide(SecretsTest))
    )))
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    return error instanceof PluginError ? error.message : "it starts"
  })

const ignored = (hook: Hook.Hook<{ readonly n: number }>, workerGroup: string) =>
  Hook.on(hook, () => Effect.void, { mode: "work-queue", workerGroup })

describe("a work queue", () => {
  it.effect("gets each message once; two queues on one hook each get every message", () =>
    Effect.gen(function*() {
      const runtime = yield* world([queue("mails"), queue("index")])
      for (let n = 0; n < 5; n++) yield* runtime.emit(n)
      yield* until("all are handled", () => runtime.calls.length >= 10)
      yield* TestClock.adjust("10 seconds")
      for (const name of ["mails", "index"]) {
        assert.deepStrictEqual(runtime.of(name).map(({ n }) => n).sort(), [0, 1, 2, 3, 4])
      }
      assert.deepStrictEqual(new Set(yield* statuses(runtime)), new Set(["success"]))
    }))

  it.effect("hears the payload as it was emitted, also of a hook whose event transforms it, and of every tenant", () =>
    Effect.gen(function*() {
      const heard: Array<unknown> = []
      const handler = Hook.on(Opened, (payload, { tenantId }) => Effect.sync(() => heard.push([payload.n, tenantId])), {
        mode: "work-queue",
        workerGroup: "opened"
      })
      const runtime = yield* world([handler])
      const at = yield* Schema.decodeEffect(Schema.DateTimeUtcFromString)("2026-01-31T12:00:00Z")
      yield* Effect.provide(Hook.emit(Opened, { n: 1, at }), runtime.context)
      yield* Effect.provide(Hook.emit(Opened, { n: 2, at }, { tenantId: "other" }), runtime.context)
      yield* until("both are handled", () => heard.length === 2)
      assert.deepStrictEqual(heard, [[1, "default"], [2, "other"]])
      const refused = yield* Effect.flip(Hook.emit(Opened, { n: 3, at }, { tenantId: "*" })).pipe(
        Effect.provide(runtime.context)
      )
      assert.deepInclude(refused, { _tag: "PayloadRefused", path: "tenantId" })
    }))

  it.effect("tries three times unless it says otherwise; the delivery has failed then, and a retry by hand begins anew", () =>
    Effect.gen(function*() {
      let broken = true
      const fails = () => broken ? Effect.fail(new Error("no connection")) : Effect.void
      const retry = RetrySchedule.delays([10])
      const runtime = yield* world([queue("usual", { fails }), queue("twice", { fails, retry })])
      const id = yield* runtime.emit(1)
      yield* until(
        "both have given up",
        () => Effect.map(statuses(runtime), (found) => found.join() === "exhausted,exhausted")
      )
      assert.deepStrictEqual(runtime.of("usual").map(({ received }) => received?.attempt), [1, 2, 3])
      assert.deepStrictEqual(runtime.of("twice").map(({ received }) => received?.attempt), [1, 2])
      assert.deepStrictEqual(new Set(runtime.calls.map(({ received }) => received?.messageId)), new Set([id]))
      const [delivery] = yield* runtime.deliveries
      assert.include(delivery?.lastError, "no connection")
      broken = false
      for (const { id } of yield* runtime.deliveries) {
        yield* Effect.provide(Storage.use((storage) => storage.retryDelivery(id)), runtime.context)
      }
      yield* until(
        "both are handled",
        () => Effect.map(statuses(runtime), (found) => found.join() === "success,success")
      )
    }))

  it.effect("whose tries are exhausted is told of to the message's tenant, by Hookline's own event", () =>
    Effect.gen(function*() {
      const heard: Array<unknown> = []
      const runtime = yield* world([
        queue("fails", { fails: () => Effect.fail(new Error("no connection")), retry: RetrySchedule.delays([]) }),
        Hook.on(
          Core.DeliveryExhausted,
          ({ eventId, lastError }, { tenantId }) => Effect.sync(() => heard.push([eventId, tenantId, lastError])),
          { mode: "work-queue", workerGroup: "ops" }
        )
      ])
      yield* Effect.provide(Hook.emit(Internal, { n: 1 }, { tenantId: "acme" }), runtime.context)
      yield* until("it is told", () => heard.length === 1)
      assert.deepStrictEqual(heard, [["incident.internal", "acme", "no connection"]])
    }))

  it.effect("may emit itself", () =>
    Effect.gen(function*() {
      const runtime = yield* world([
        Hook.on(Opened, ({ n }) => Hook.emit(Internal, { n }), { mode: "work-queue", workerGroup: "forward" }),
        Hook.on(Internal, ({ n }) => n < 3 ? Hook.emit(Internal, { n: n + 1 }) : Effect.void),
        queue("mails")
      ])
      const at = yield* Schema.decodeEffect(Schema.DateTimeUtcFromString)("2026-01-31T12:00:00Z")
      yield* Effect.provide(Hook.emit(Opened, { n: 1, at }), runtime.context)
      yield* until("all are handled", () => runtime.calls.length === 3)
      assert.deepStrictEqual(runtime.calls.map(({ n }) => n), [1, 2, 3])
    }))

  it.effect("survives a handler that throws, one that is no Effect, one that never ends, and one that says that retrying is of no use", () =>
    Effect.gen(function*() {
      const retry = RetrySchedule.delays([])
      const runtime = yield* world([
        queue("throws", {
          retry,
          fails: () => {
            throw new Error("a bug")
          }
        }),
        // As a plugin in JavaScript may.
        Hook.on(Internal, () => JSON.parse("{}"), { mode: "work-queue", workerGroup: "forgets", retry }),
        queue("hangs", { retry, fails: () => Effect.never }),
        queue("refuses", {
          fails: () =>
            Effect.fail(new Provider.PermanentError({ code: "Unknown", message: "there is no such incident" }))
        }),
        queue("works")
      ])
      yield* runtime.emit(1)
      yield* until(
        "each has its outcome",
        () =>
          Effect.map(statuses(runtime), (found) => found.join() === "exhausted,exhausted,exhausted,permanent,success"),
        defaults.attemptTimeoutMs + 30_000
      )
      const errors = (yield* runtime.deliveries).map(({ lastError }) => lastError ?? "")
      for (const text of ["a bug", "returned no Effect", "took longer than", "there is no such incident"]) {
        assert.isTrue(errors.some((error) => error.includes(text)), text)
      }
    }))

  it.effect("goes on where something that it called is gone: nothing but an operator disables it", () =>
    Effect.gen(function*() {
      const runtime = yield* world([
        queue("calls", {
          fails: () =>
            Effect.fail(
              new Provider.GoneError({
                code: "HttpStatus",
                message: "410",
                statusCode: 410,
                response: { headers: {}, body: "no more" }
              })
            )
        })
      ])
      for (const count of [1, 2]) {
        yield* runtime.emit(1)
        yield* until(
          "it is refused",
          () =>
            Effect.map(
              statuses(runtime),
              (found) => found.join() === Array.from({ length: count }, () => "permanent").join()
            )
        )
      }
    }))

  it.effect("misses nothing while nobody runs, and is one queue however often it starts", () =>
    Effect.gen(function*() {
      const storage = Layer.succeedContext(yield* Layer.build(StorageMemory.layer))
      const [first, other] = yield* Effect.all([world([queue("mails")], storage), world([queue("mails")], storage)], {
        concurrency: 2
      })
      yield* first.emit(1)
      yield* until("it is handled", () => first.calls.length + other.calls.length === 1)
      yield* first.stop
      yield* other.stop
      const without = yield* world([], storage)
      yield* without.emit(2)
      yield* until("it waits for its code", () =>
        Effect.map(statuses(without), (found) => found.join() === "code-missing,success"))
      yield* without.stop
      const next = yield* world([queue("mails")], storage)
      yield* until("it is handled", () =>
        next.calls.length === 1)
      assert.deepStrictEqual(next.calls.map(({ n }) => n), [2])
    }))

  it.effect("can be disabled and enabled, and is otherwise its handler's", () =>
    Effect.gen(function*() {
      const runtime = yield* world([queue("mails")])
      yield* Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        const [own] = yield* subscriptions.list({}, { cursor: undefined, limit: 10 })
        if (!own) return yield* Effect.die("it has no subscription")
        assert.deepInclude(own, { name: "sync.mails", providerId: "sync.queue.mails", events: ["incident.internal"] })
        const path = (refused: Effect.Effect<unknown, unknown>) =>
          Effect.map(Effect.flip(refused), (error) => error instanceof Object && "path" in error ? error.path : error)
        assert.strictEqual(yield* path(subscriptions.update(own.id, { events: ["*"] })), "events")
        assert.strictEqual(yield* path(subscriptions.remove(own.id)), "id")
        assert.strictEqual(yield* path(subscriptions.rotateSecret(own.id, {})), "id")
        const input = { name: "mine", events: ["incident.opened"], providerId: own.providerId, config: {} }
        assert.strictEqual(yield* path(subscriptions.create(input)), "providerId")
        yield* subscriptions.update(own.id, { enabled: false })
        yield* runtime.emit(1)
        yield* until("it is held", () => Effect.map(statuses(runtime), (found) => found.join() === "held"))
        yield* subscriptions.update(own.id, { enabled: true })
        yield* until("it is handled", () => runtime.calls.length === 1)
      }).pipe(Effect.provide(runtime.context))
    }))

  it.effect("is refused at start where its name is taken, malformed, or its hook is nobody's", () =>
    Effect.gen(function*() {
      const twice = Plugin.make("sync", { handlers: [ignored(Internal, "a"), ignored(Other, "a")] })
      const message = yield* refusal(Layer.mergeAll(IncidentPlugin, OtherPlugin, twice))
      for (const text of [`work queues "a"`, `the hook "internal"`, `the hook "other"`]) assert.include(message, text)
      const malformed = Plugin.make("sync", { handlers: [ignored(Internal, "a b")] })
      assert.include(yield* refusal(Layer.mergeAll(IncidentPlugin, malformed)), `malformed id "a b"`)
      const stray = Plugin.make("sync", { handlers: [ignored(Other, "a")] })
      assert.include(yield* refusal(Layer.mergeAll(IncidentPlugin, stray)), `handles the hook "other"`)
      const same = Plugin.make("index", { handlers: [ignored(Internal, "a")] })
      const one = Plugin.make("sync", { handlers: [ignored(Internal, "a")] })
      assert.strictEqual(yield* refusal(Layer.mergeAll(IncidentPlugin, one, same)), "it starts")
    }))
})

describe("a broadcast handler", () => {
  const everywhere = (handler: string, fails: Effect.Effect<void, unknown> = Effect.void) =>
    Hook.on(Internal, ({ n }, received) =>
      Effect.gen(function*() {
        const calls = yield* Calls
        yield* calls.add({ handler, n, received })
        yield* fails
      }))

  it.effect("hears in every process what is emitted in any, once and in order, whatever a failure does", () =>
    Effect.gen(function*() {
      const storage = Layer.succeedContext(yield* Layer.build(StorageMemory.layer))
      const handlers = [everywhere("works"), everywhere("fails", Effect.fail("no")), queue("mails")]
      const [here, there] = [yield* world(handlers, storage), yield* world(handlers, storage)]
      for (let n = 0; n < 250; n++) yield* (n % 2 === 0 ? here : there).emit(n)
      const heard = () => [here, there].flatMap(({ of }) => [of("works"), of("fails")])
      yield* until("all have heard all", () => heard().every((calls) => calls.length >= 250))
      yield* TestClock.adjust("5 seconds")
      for (const calls of heard()) {
        assert.deepStrictEqual(calls.map(({ n }) => n), Array.from({ length: 250 }, (_, n) => n))
      }
      yield* until("the queue is done", () => here.of("mails").length + there.of("mails").length === 250)
    }))

  it.effect("begins with what is emitted once it is up, and another's start takes nothing from it", () =>
    Effect.gen(function*() {
      const storage = Layer.succeedContext(yield* Layer.build(StorageMemory.layer))
      const first = yield* world([everywhere("it")], storage)
      yield* first.emit(1)
      yield* until("it is heard", () => first.calls.length === 1)
      const second = yield* world([everywhere("it")], storage)
      yield* second.emit(2)
      yield* until("both have heard it", () => first.calls.length + second.calls.length === 3)
      yield* first.stop
      yield* second.emit(3)
      yield* until("the other hears on", () => second.calls.length === 2)
      assert.deepStrictEqual(first.calls.map(({ n }) => n), [1, 2])
      assert.deepStrictEqual(second.calls.map(({ n }) => n), [2, 3])
    }))

  it.effect("misses nothing while the database is away, and says what it missed when it was too far behind", () =>
    Effect.gen(function*() {
      let away = false
      const storage = interfered((storage) => ({
        hear: (cursors, limit) =>
          Effect.suspend(() =>
            away ? Effect.fail(new StorageUnavailable({ message: "away" })) : storage.hear(cursors, limit)
          )
      }))
      const runtime = yield* world([everywhere("it")], storage)
      yield* runtime.emit(0)
      yield* until("it is heard", () => runtime.calls.length === 1)
      away = true
      yield* runtime.emit(1)
      yield* TestClock.adjust("10 seconds")
      away = false
      yield* runtime.emit(2)
      yield* until("both are heard", () => runtime.calls.length === 3)
      assert.deepStrictEqual(runtime.calls.map(({ n }) => n), [0, 1, 2])
      away = true
      yield* runtime.emit(3)
      yield* TestClock.adjust(defaults.broadcastKeptMs + 120_000)
      away = false
      yield* runtime.emit(4)
      yield* until("the last is heard", () => runtime.calls.length === 4)
      assert.deepStrictEqual(runtime.calls.map(({ n }) => n), [0, 1, 2, 4])
    }))

  it.effect("that is slow holds up no other", () =>
    Effect.gen(function*() {
      const runtime = yield* world([everywhere("slow", Effect.never), everywhere("quick")])
      for (let n = 0; n < 5; n++) yield* runtime.emit(n)
      yield* until("the other has heard all", () => runtime.of("quick").length === 5)
      assert.strictEqual(runtime.of("slow").length, 1)
    }))
})

describe("a process that only emits", () => {
  it.effect("hears locally and what is broadcast, and leaves the work queues to runners", () =>
    Effect.gen(function*() {
      const storage = Layer.succeedContext(yield* Layer.build(StorageMemory.layer))
      const handlers = [
        local("local"),
        Hook.on(Internal, ({ n }) => Calls.use(({ add }) => add({ handler: "all", n })))
      ]
      const calls: Array<Call> = []
      const emitter = yield* Layer.build(Layer.fresh(
        Hookline.emitter({
          plugins: Layer.mergeAll(IncidentPlugin, Plugin.make("sync", { handlers: [...handlers, queue("mails")] }))
        }).pipe(
          Layer.provide([storage, Layer.succeed(Calls, { add: (call) => Effect.sync(() => void calls.push(call)) })])
        )
      ))
      yield* Effect.provide(Hook.emit(Internal, { n: 1 }), emitter)
      yield* until("it is heard here", () => calls.length === 1)
      const runner = yield* world([queue("mails")], storage)
      yield* until("it is handled there", () => runner.calls.length === 1)
      yield* until("what was routed is heard here", () => calls.length === 2)
      assert.deepStrictEqual(calls.map(({ handler }) => handler), ["local", "all"])
    }))
})

describe("Hookline's own hooks", () => {
  const hears = (told: Array<string>, plugin: string, stop: Effect.Effect<void> = Effect.void) =>
    Plugin.make(plugin, {
      handlers: [
        Hook.on(Core.PluginLoaded, ({ pluginId }) => Effect.sync(() => told.push(`${plugin}: ${pluginId} loaded`)), {
          mode: "local"
        }),
        Hook.on(Core.RunnerStopping, () => Effect.andThen(stop, Effect.sync(() => told.push(`${plugin}: stopping`))), {
          mode: "local"
        }),
        Hook.on(Core.PluginStopping, ({ pluginId }) => Effect.sync(() => told.push(`${plugin}: ${pluginId} stops`)), {
          mode: "local"
        })
      ]
    })

  const running = (plugins: Layer.Layer<never, PluginError, Registry>) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        Hookline.layer({ plugins }).pipe(Layer.provideMerge(StorageMemory.layer), Layer.provide(SecretsTest)),
        scope
      )
      return { context, stop: Scope.close(scope, Exit.void) }
    })

  it.effect("tell when the plugins are up, and in reverse when the program stops, while all still works", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const { stop } = yield* running(Layer.mergeAll(IncidentPlugin, hears(told, "sync")))
      yield* until("both are told of", () => told.length === 2)
      assert.deepStrictEqual(told.splice(0), ["sync: incident loaded", "sync: sync loaded"])
      yield* stop
      assert.deepStrictEqual(told, ["sync: stopping", "sync: sync stops", "sync: incident stops"])
    }))

  it.effect("give a stop's handlers the time of a drain", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const { stop } = yield* running(Layer.mergeAll(IncidentPlugin, hears(told, "sync", Effect.never)))
      const stopping = yield* Effect.forkChild(stop, { startImmediately: true })
      yield* TestClock.adjust(defaults.drainTimeoutMs - 100)
      assert.isUndefined(stopping.pollUnsafe())
      yield* until("it has stopped", () => stopping.pollUnsafe() !== undefined, 2000)
    }))

  it.effect("are local, and Hookline's to tell", () =>
    Effect.gen(function*() {
      const deaf = Plugin.make("sync", { handlers: [Hook.on(Core.RunnerStopping, () => Effect.void)] })
      assert.include(yield* refusal(deaf), "with mode broadcast, but it is told in this process alone")
      const early = Plugin.make("sync", {
        handlers: [Hook.on(Core.SubscriptionFailing, () => Effect.void, { mode: "local" })]
      })
      assert.include(yield* refusal(early), "with mode local, but it is told through the database")
      const { context, stop } = yield* running(IncidentPlugin)
      const emits = [
        Hook.emit(Core.RunnerStopping, {}),
        Hook.Hooks.use((hooks) => hooks.emitJson("hookline.runner.stopping", {}))
      ]
      for (const emit of emits) {
        assert.strictEqual((yield* Effect.flip(Effect.provide(emit, context)))._tag, "HookNotRegistered")
      }
      yield* stop
    }))
})

describe("a local handler", () => {
  it.effect("hears what is emitted in its process, durably or not; one that fails disturbs no other", () =>
    Effect.gen(function*() {
      const runtime = yield* world([
        local("fails", Effect.fail("no")),
        local("dies", Effect.die(new Error("a bug"))),
        local("works")
      ])
      yield* runtime.emit(1)
      yield* Effect.provide(Hook.emitLocal(Internal, { n: 2 }), runtime.context)
      yield* until("all have heard both", () => runtime.calls.length === 6)
      for (const name of ["fails", "dies", "works"]) {
        assert.deepStrictEqual(runtime.of(name).map(({ n }) => n), [1, 2])
      }
      assert.deepStrictEqual(yield* runtime.deliveries, [])
    }))

  it.effect("hears nothing of what another process emits", () =>
    Effect.gen(function*() {
      const storage = Layer.succeedContext(yield* Layer.build(StorageMemory.layer))
      const here = yield* world([local("here"), queue("mails")], storage)
      const there = yield* world([queue("mails")], storage)
      yield* there.emit(1)
      yield* until("it is handled", () => here.of("mails").length + there.of("mails").length === 1)
      assert.deepStrictEqual(here.of("here"), [])
    }))
})
