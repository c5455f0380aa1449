import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Logger, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Bindings from "../src/Bindings.ts"
import { Connections } from "../src/Connections.ts"
import * as Hook from "../src/Hook.ts"
import { defaults, layer as limits } from "../src/Limits.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Provider from "../src/Provider.ts"
import * as Registry from "../src/Registry.ts"
import { Secrets } from "../src/Secrets.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { account, Chat, layerOn, room } from "./support/chat.ts"
import { Created, until, within } from "./support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

const emitMany = (count: number) =>
  Effect.forEach(Array.from({ length: count }), () => Hook.emit(Created, payload), { concurrency: 200 })

const world = <A, E>(
  body: (chat: Chat) => Effect.Effect<A, E, Layer.Success<ReturnType<typeof memory>>>,
  overrides: Parameters<typeof limits>[0] = {}
) => {
  const chat = new Chat()
  return within(memory(chat).pipe(Layer.provide(limits(overrides))), body(chat))
}

const memory = (chat: Chat) => layerOn(chat, StorageMemory.layer)

/** Entries of the same millisecond are in no order. */
const later = TestClock.adjust(1)

const audited = Effect.tap(
  Storage.use((storage) => storage.listAudit({}, { cursor: undefined, limit: 100 })),
  () => later
)

/** More than a lane has slots for, so that some wait in memory; and nobody is taken to hang. */
const messages = 2 * defaults.laneSlots
const patient = { slowAfterMs: 60_000 }

describe("a connection", () => {
  it.effect("is stored sealed and shown without its secrets, and each change of it is audited without them", () =>
    world(() =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const storage = yield* Storage
        const created = yield* connections.create(account({ proxy: { user: "u", password: "pl4nted-two" } }))
        const shown = { server: "https://chat.example.com", proxy: { user: "u" } }
        assert.deepStrictEqual(created.config, shown)
        const stored = yield* Effect.fromOption(yield* storage.getConnection(created.id))
        assert.notInclude(JSON.stringify(stored), "pl4nted")
        assert.include(JSON.stringify(stored), "v1:")
        assert.deepStrictEqual(yield* connections.get(created.id), created)
        assert.deepStrictEqual(yield* connections.list({}, { cursor: undefined, limit: 9 }), [created])
        yield* later
        yield* connections.update(created.id, { name: "b", config: { token: "pl4nted-three" } })
        yield* connections.update(created.id, { name: "b" })
        yield* later
        yield* connections.remove(created.id)
        const entries = yield* audited
        assert.deepStrictEqual(
          entries.map(({ action, after, before, resourceId }) => [action, resourceId, before, after]),
          [
            ["connection.delete", created.id, { name: "b", providerId: "chat.room", config: shown }, undefined],
            ["connection.update", created.id, { name: "chat" }, { name: "b" }],
            ["connection.create", created.id, undefined, { name: "chat", providerId: "chat.room", config: shown }]
          ]
        )
        assert.notInclude(JSON.stringify(entries), "pl4nted")
      })
    ))

  it.effect("that is changed in part keeps the rest, blank secrets as they were, and is checked whole", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const seen: Array<string> = []
        chat.test = ({ proxy, server, token }) =>
          Effect.sync(() => void seen.push([server, Redacted.value(token), proxy?.user, proxy?.password].join(" ")))
        const proxy = { user: "u", password: "pl4nted-two" }
        const { id } = yield* connections.create(account({ proxy }))
        yield* connections.update(id, { config: { server: "https://chat.example.com/other", token: "" } })
        yield* connections.test(id)
        yield* connections.update(id, { config: { proxy: { user: "v", password: "" } } })
        yield* connections.test(id)
        yield* connections.update(id, { config: { token: "pl4nted-new", proxy: { user: "w" } } })
        yield* connections.test(id)
        assert.deepStrictEqual(seen, [
          "https://chat.example.com/other pl4nted-one u pl4nted-two",
          "https://chat.example.com/other pl4nted-one v pl4nted-two",
          "https://chat.example.com/other pl4nted-new w "
        ])
        const refused = yield* Effect.forEach([
          { server: "ftp://pl4nted" },
          { token: 1 },
          { tokn: "pl4nted" },
          { proxy: { password: "pl4nted" } },
          "pl4nted"
        ], (config) => Effect.flip(connections.update(id, { config })))
        assert.deepStrictEqual(
          refused.map((error) => error._tag === "ConnectionRefused" ? error.path : error._tag),
          ["config.server", "config.token", "config.tokn", "config.proxy.user", "config"]
        )
        assert.notInclude(JSON.stringify(refused), "pl4nted")
        assert.strictEqual((yield* connections.get(id)).version, 4)
      })
    ))

  it.effect("that is sent to another address has to be given again: who doesn't know it does not learn it", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const seen: Array<string> = []
        chat.test = ({ server, token }) => Effect.sync(() => void seen.push(`${server} ${Redacted.value(token)}`))
        const { id } = yield* connections.create(account({ proxy: { user: "u", password: "pl4nted-two" } }))
        const evil = { server: "https://evil.example.com" }
        for (
          const [config, path] of [
            [evil, "config.token"],
            [{ ...evil, token: "" }, "config.token"],
            [{ ...evil, token: "known", proxy: { user: "u", password: "" } }, "config.proxy.password"],
            [{ server: "https://chat.example.com:8443" }, "config.token"],
            [{ server: "https:chat.example.com.evil.com" }, "config.server"],
            [{ server: "https://chat.example.com@evil.example.com" }, "config.token"],
            [{ ...evil, token: null }, "config.token"]
          ] as const
        ) {
          const error = yield* Effect.flip(connections.update(id, { config }))
          assert.deepInclude(error, { _tag: "ConnectionRefused", path }, JSON.stringify(config))
        }
        assert.strictEqual((yield* connections.get(id)).version, 1)
        yield* connections.update(id, { config: { ...evil, token: "known", proxy: { user: "u" } } })
        yield* connections.test(id)
        assert.deepStrictEqual(seen, ["https://evil.example.com known"])
      })
    ))

  it.effect("is refused for another version than it has; of two changes at once neither is lost", () =>
    world(() =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const { id, version } = yield* connections.create(account())
        yield* connections.update(id, { name: "b" }, { version })
        const late = yield* Effect.flip(connections.update(id, { name: "c" }, { version }))
        assert.deepInclude(late, { _tag: "ConnectionChanged", version: version + 1 })
        yield* Effect.all([
          connections.update(id, { config: { server: "https://chat.example.com/two" } }),
          connections.update(id, { config: { proxy: { user: "u" } } })
        ], { concurrency: "unbounded" })
        const { config } = yield* connections.get(id)
        assert.deepStrictEqual(config, { server: "https://chat.example.com/two", proxy: { user: "u" } })
      })
    ))

  it.effect("is of a provider that has connections, and of one tenant", () =>
    world(() =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const cases = [
          [{ ...account(), providerId: "test.endpoint" }, "providerId"],
          [{ ...account(), providerId: "chat.rom" }, "providerId"],
          [{ ...account(), tenantId: "*" }, "tenantId"],
          [{ ...account(), name: " " }, "name"],
          [{ ...account(), config: {} }, "config.server"],
          [account({ server: `https://${"x".repeat(defaults.configBytes)}` }), "config"]
        ] as const
        for (const [input, path] of cases) {
          const error = yield* Effect.flip(connections.create(input))
          assert.strictEqual(error._tag === "ConnectionRefused" ? error.path : error._tag, path)
        }
      })
    ))

  it.effect("is not deleted while subscriptions use it", () =>
    world(() =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const subscriptions = yield* Subscriptions
        const { id } = yield* connections.create(account())
        const { subscription } = yield* subscriptions.create(room(id))
        const used = yield* Effect.flip(connections.remove(id))
        assert.deepInclude(used, { _tag: "ConnectionUsed", subscriptions: 1 })
        yield* subscriptions.remove(subscription.id)
        yield* connections.remove(id)
        assert.strictEqual((yield* Effect.flip(connections.get(id)))._tag, "ConnectionNotFound")
        assert.strictEqual((yield* Effect.flip(connections.remove(id)))._tag, "ConnectionNotFound")
      })
    ))

  it("whose schema has a secret that is no text is an error at the start", () => {
    const provider = Provider.make({
      id: "p",
      displayName: "P",
      config: Schema.Struct({}),
      connection: Schema.Struct({ pin: Schema.Finite.annotate({ secret: true }) }),
      bind: () => ({ check: Effect.void, deliver: () => Effect.succeed({}) })
    })
    const building = Effect.scoped(Layer.build(
      Plugin.make("bad", { providers: [provider] }).pipe(Layer.provideMerge(Registry.layer))
    ))
    assert.include(Effect.runSync(Effect.flip(building)).message, "connection's config.pin is secret but no text")
  })
})

describe("a subscription", () => {
  it.effect("names a connection of its tenant and its provider, where that has connections", () =>
    world(() =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const subscriptions = yield* Subscriptions
        const { id } = yield* connections.create(account())
        const foreign = yield* connections.create({ ...account(), tenantId: "other" })
        const untested = yield* connections.create({ ...account(), providerId: "chat.untested" })
        const { connectionId: _, ...without } = room(id)
        const plain = { name: "p", events: ["*"], providerId: "test.endpoint", config: { name: "p" } }
        const cases = [
          [without, "connectionId", "delivers through one"],
          [room(foreign.id), "connectionId", "There is no connection"],
          [room("con_1"), "connectionId", "There is no connection"],
          [{ ...room(id), tenantId: "other" }, "connectionId", "There is no connection"],
          [room(untested.id), "connectionId", "of the provider \"chat.untested\""],
          [{ ...plain, connectionId: id }, "connectionId", "has no connections"],
          [room(id, "forbidden"), "config.room", "forbidden"]
        ] as const
        for (const [input, path, message] of cases) {
          const error = yield* Effect.flip(subscriptions.create(input))
          assert.deepInclude(error, { _tag: "SubscriptionRefused", path })
          assert.include(error.message, message)
        }
        yield* later
        const { subscription } = yield* subscriptions.create(room(id))
        assert.strictEqual(subscription.connectionId, id)
        assert.deepStrictEqual((yield* audited)[0]?.after?.["connectionId"], id)
        const moved = yield* Effect.flip(subscriptions.update(subscription.id, { connectionId: foreign.id }))
        assert.deepInclude(moved, { _tag: "SubscriptionRefused", path: "connectionId" })
      })
    ))

  it.effect("delivers with its connection's credentials, and with another's once it is changed to that", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const subscriptions = yield* Subscriptions
        const first = yield* connections.create(account())
        const second = yield* connections.create(account({ token: "pl4nted-two" }))
        const { subscription } = yield* subscriptions.create(room(first.id))
        yield* Hook.emit(Created, payload)
        yield* until("it is posted", () => chat.posted.length === 1)
        const changed = yield* subscriptions.update(subscription.id, { connectionId: second.id })
        assert.strictEqual(changed.connectionId, second.id)
        assert.deepStrictEqual(changed.config, subscription.config)
        yield* Hook.emit(Created, payload)
        yield* until("it is posted", () => chat.posted.length === 2)
        assert.deepStrictEqual(chat.posted.map(({ token }) => token), ["pl4nted-one", "pl4nted-two"])
        assert.deepInclude((yield* audited)[0], {
          before: { connectionId: first.id },
          after: { connectionId: second.id }
        })
      })
    ))

  it.effect("whose connection is of another tenant, or gone, can't be bound: it gets nobody else's credentials", () =>
    world(() =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const storage = yield* Storage
        const subscriptions = yield* Subscriptions
        const { bind } = yield* Bindings.Bindings
        const { id } = yield* connections.create(account())
        const { subscription } = yield* subscriptions.create(room(id))
        const row = yield* Effect.fromOption(yield* storage.getSubscription(subscription.id))
        const connection = yield* Effect.fromOption(yield* storage.getConnection(id))
        yield* bind(row, connection)
        const others = [
          undefined,
          { ...connection, tenantId: "other" },
          { ...connection, providerId: "chat.untested" }
        ]
        for (const other of others) {
          assert.deepInclude(yield* Effect.flip(bind(row, other)), { _tag: "ConfigRefused", path: "connectionId" })
        }
        const moved = yield* connections.create(account())
        const elsewhere = yield* Effect.flip(bind({ ...row, connectionId: moved.id }, { ...connection, id: moved.id }))
        assert.strictEqual(elsewhere._tag, "UnsealError")
      }).pipe(Effect.provide(Bindings.layer))
    ))
})

describe("guarantee 4, a change of a connection binds", () => {
  it.effect("once it is answered no attempt begins with the old credentials, of none of its subscriptions", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const subscriptions = yield* Subscriptions
        const { id } = yield* connections.create(account())
        const rooms = ["a", "b", "c"]
        for (const name of rooms) yield* subscriptions.create(room(id, name))
        yield* chat.open.close
        yield* emitMany(messages)
        const begun = rooms.length * defaults.laneSlots
        yield* until("as many as may be are under way", () => chat.posted.length === begun)
        yield* connections.update(id, { config: { token: "pl4nted-two" } })
        yield* chat.open.open
        yield* until("all are posted", () => chat.posted.length === rooms.length * messages)
        assert.strictEqual(chat.with("pl4nted-one").length, begun)
        assert.strictEqual(chat.with("pl4nted-two").length, rooms.length * messages - begun)
      }), patient))

  it.effect("nor of more than are confirmed one by one: the time of a lease is waited out", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const subscriptions = yield* Subscriptions
        const { id } = yield* connections.create(account())
        yield* subscriptions.create(room(id))
        yield* chat.open.close
        yield* emitMany(messages)
        yield* until("as many as may be are under way", () => chat.posted.length === defaults.laneSlots)
        const updating = yield* Effect.forkChild(connections.update(id, { config: { token: "pl4nted-two" } }))
        yield* TestClock.adjust(defaults.leaseMs - 1)
        assert.isUndefined(updating.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(updating)
        yield* chat.open.open
        yield* until("all are posted", () => chat.posted.length === messages)
        assert.strictEqual(chat.with("pl4nted-one").length, defaults.laneSlots)
      }), { ...patient, connectionConfirms: 0 }))

  it.effect("after the time of a lease, on a runner that hears nothing of it but from the database", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const subscriptions = yield* Subscriptions
        const storage = yield* Storage
        const secrets = yield* Secrets
        const { id } = yield* connections.create(account())
        yield* subscriptions.create(room(id))
        yield* chat.open.close
        yield* emitMany(messages)
        yield* until("as many as may be are under way", () => chat.posted.length === defaults.laneSlots)
        // As another runner's administration does it.
        const token = yield* secrets.seal(Redacted.make("pl4nted-two"), id)
        const config = { server: "https://chat.example.com", token }
        yield* storage.updateConnection(id, (current) => ({ ...current, config }))
        yield* TestClock.adjust(defaults.leaseMs)
        yield* chat.open.open
        yield* until("all are posted", () => chat.posted.length === messages)
        assert.strictEqual(chat.with("pl4nted-one").length, defaults.laneSlots)
      }), patient))

  it.effect("a change of the name alone disturbs no attempt", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const subscriptions = yield* Subscriptions
        const { id } = yield* connections.create(account())
        const { subscription } = yield* subscriptions.create(room(id))
        yield* connections.update(id, { name: "b" })
        assert.strictEqual((yield* subscriptions.get(subscription.id)).version, subscription.version)
        yield* Hook.emit(Created, payload)
        yield* until("it is posted", () => chat.posted.length === 1)
      })
    ))
})

/** Tests and resolvers that go wrong, with what is told of each. */
const wrong = [
  [
    "fails",
    Effect.fail(new Provider.PermanentError({ code: "HttpStatus", message: "HTTP 401: pl4nted-one is wrong" }))
  ],
  ["throws", Effect.die(new Error("oops, pl4nted-one"))],
  [
    "tells what it sent",
    Effect.fail(
      new Provider.RetryableError({
        code: "HttpStatus",
        message: `HTTP 403: Basic ${btoa("me@example.com:pl4nted-one")} is no good`
      })
    )
  ],
  ["interrupts itself", Effect.interrupt],
  ["hangs", Effect.never],
  ["hangs and can't be interrupted", Effect.uninterruptible(Effect.never)]
] as const

/** Lets virtual time pass until an effect has ended, but no more than it may take. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* until("it is answered", () => fiber.pollUnsafe() !== undefined, defaults.connectionTestMs + 100)
    return yield* Fiber.join(fiber)
  })

describe("a test of credentials", () => {
  it.effect("tells what the provider tells, or that it has no test", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const { id } = yield* connections.create(account())
        assert.deepStrictEqual(yield* connections.test(id), { success: true, message: "Connected as hookline" })
        chat.test = () => Effect.void
        assert.deepStrictEqual(yield* connections.test(id), { success: true, message: undefined })
        chat.test = ({ token }) => Effect.succeed({ message: `Connected with ${Redacted.value(token)}` })
        const { config } = account({ token: "pl4nted-unsaved" })
        assert.deepStrictEqual(yield* connections.testConfig("chat.room", config), {
          success: true,
          message: "Connected with ***"
        })
        const untested = yield* connections.create({ ...account(), providerId: "chat.untested" })
        for (
          const answer of [
            yield* connections.test(untested.id),
            yield* connections.testConfig("chat.untested", config),
            yield* connections.testConfig("test.endpoint", {})
          ]
        ) {
          assert.isTrue(answer.success)
          assert.match(answer.message ?? "", /^The provider "\S+" does not support connection testing$/u)
        }
        const refused = yield* Effect.flip(connections.testConfig("chat.room", { server: "https://a" }))
        assert.deepInclude(refused, { _tag: "ConnectionRefused", path: "config.token" })
        assert.deepInclude(yield* Effect.flip(connections.testConfig("chat.rooms", {})), { path: "providerId" })
      })
    ))

  it.effect("that fails, throws or hangs is an answer, in time, and no secret is told or logged", () => {
    const logged: Array<string> = []
    const logger = Logger.make((entry) => void logged.push(JSON.stringify(entry.message)))
    return world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const { id } = yield* connections.create(account())
        const answers: Array<unknown> = []
        for (const [what, failing] of wrong) {
          chat.test = () => failing
          const answer = yield* inTime(connections.test(id))
          assert.isFalse(answer.success, what)
          assert.isNotEmpty(answer.message)
          answers.push(answer)
        }
        assert.notInclude(JSON.stringify(answers), "pl4nted")
        assert.notInclude(JSON.stringify(answers), btoa("me@example.com:pl4nted-one"))
        assert.include(JSON.stringify(answers), "HTTP 401: *** is wrong")
        assert.include(JSON.stringify(answers), `no answer within ${defaults.connectionTestMs} ms`)
        assert.isTrue(logged.some((line) => line.includes("oops, ***")))
        assert.notInclude(logged.join("\n"), "pl4nted")
      })
    ).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("whose answer makes no sense is the provider's fault", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const { id } = yield* connections.create(account())
        const senseless: ReadonlyArray<unknown> = [{ message: 1 }, "fine", null]
        for (const value of senseless) {
          // As a provider in JavaScript may answer.
          Object.assign(chat, { test: () => Effect.succeed(value) })
          assert.isFalse((yield* connections.test(id)).success)
        }
        for (const value of [undefined, 1, Promise.resolve()]) {
          Object.assign(chat, { test: () => value })
          assert.isFalse((yield* connections.test(id)).success)
        }
      })
    ))

  it.effect("waits for no other that hangs; and so many at once are all that a runner takes on, for their time", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const { id } = yield* connections.create(account())
        const answers = yield* Latch.make()
        chat.test = () => Effect.uninterruptible(answers.await)
        const hanging = yield* Effect.forEach([1, 2], () =>
          Effect.forkChild(connections.test(id), { startImmediately: true }))
        assert.deepInclude(yield* Effect.flip(connections.test(id)), { _tag: "NoPlace", ofTenant: false })
        const options = connections.options(id, { resolver: "rooms", context: {} })
        assert.strictEqual((yield* Effect.flip(options))._tag, "NoPlace")
        yield* TestClock.adjust(defaults.connectionTestMs)
        for (const fiber of hanging) {
          assert.isFalse((yield* Fiber.join(fiber)).success)
        }
        // What can't be interrupted has had its time.
        chat.test = () =>
          Effect.succeed({})
        assert.isTrue((yield* connections.test(id)).success)
        yield* answers.open
      }), { tests: 2 }))
})

describe("options", () => {
  it.effect("are what the resolver tells by the context, with the connection's credentials", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const { id } = yield* connections.create(account())
        chat.rooms = ({ server }, { space }) =>
          Effect.succeed([{ value: "r1", label: `${space} on ${server}`, description: "d" }, {
            value: "r2",
            label: "2"
          }])
        assert.deepStrictEqual(yield* connections.options(id, { resolver: "rooms", context: { space: "ops" } }), [
          { value: "r1", label: "ops on https://chat.example.com", description: "d" },
          { value: "r2", label: "2" }
        ])
        for (const resolver of ["room", "constructor", "__proto__"]) {
          const unknown = yield* Effect.flip(connections.options(id, { resolver, context: {} }))
          assert.deepInclude(unknown, { _tag: "ConnectionRefused", path: "resolver" })
          assert.include(unknown.message, "rooms")
        }
      })
    ))

  it.effect("that can't be told are a failure in time, without secrets", () =>
    world((chat) =>
      Effect.gen(function*() {
        const connections = yield* Connections
        const { id } = yield* connections.create(account())
        const failures: Array<unknown> = []
        const ask = connections.options(id, { resolver: "rooms", context: {} })
        for (const [what, failing] of wrong) {
          chat.rooms = () => failing
          const failed = yield* inTime(Effect.flip(ask))
          assert.strictEqual(failed._tag, "ProbeFailed", what)
          failures.push(failed.message)
        }
        for (const value of [[{ value: 1, label: "a" }], {}, undefined]) {
          Object.assign(chat, { rooms: () => Effect.succeed(value) })
          assert.strictEqual((yield* Effect.flip(ask))._tag, "ProbeFailed")
        }
        chat.rooms = () => Effect.succeed(Array.from({ length: 4 }, (_, n) => ({ value: String(n), label: "" })))
        assert.include((yield* Effect.flip(ask)).message, "more than 3 options")
        chat.rooms = ({ token }) => Effect.succeed([{ value: "r", label: `of ${Redacted.value(token)}` }])
        assert.deepStrictEqual(yield* ask, [{ value: "r", label: "of ***" }])
        assert.notInclude(JSON.stringify(failures), "pl4nted")
      }), { connectionOptions: 3 }))
})
