import { assert, describe, it, layer } from "@effect/vitest"
import { Cause, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../../src/Hook.ts"
import { Limits } from "../../src/Limits.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Provider from "../../src/Provider.ts"
import { Storage } from "../../src/Storage.ts"
import { MemoryTransactions } from "../../src/StorageMemory.ts"
import { Subscriptions } from "../../src/Subscriptions.ts"
import * as Deliveries from "../../src/testing/Deliveries.ts"
import * as Endpoints from "../../src/testing/Endpoints.ts"
import * as HooklineTest from "../../src/testing/HooklineTest.ts"
import * as Requests from "../../src/testing/Requests.ts"
import { Broken, Created, IncidentPlugin } from "../support/world.ts"

const url = "https://example.com/hook"

const payload = { incidentId: "i1", systemIds: ["s1"] }

const TestLayer = HooklineTest.layer({ plugins: IncidentPlugin })

const subscribe = HooklineTest.subscribe({ events: ["incident.*"], url })

describe("HooklineTest", () => {
  it.effect("gives a whole Hookline whose endpoints are scripted and whose requests are recorded, signed", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [500, 200])
      const subscription = yield* subscribe
      const id = yield* Hook.emit(Created, payload)
      yield* Deliveries.settled
      const [delivery] = yield* Deliveries.of(id)
      assert.deepInclude(delivery, { status: "success", subscriptionId: subscription.id })
      assert.deepStrictEqual(delivery?.attempts.map(({ outcome }) => outcome), ["retryable", "success"])
      const requests = yield* Requests.to(url)
      assert.lengthOf(requests, 2)
      const [refused, accepted] = delivery?.attempts ?? []
      assert.deepStrictEqual([refused?.request?.method, refused?.request?.url], ["POST", url])
      assert.strictEqual(refused?.request?.body, requests[0]?.body)
      const sent = accepted?.request?.headers.map(({ name, value }) => `${name}: ${value}`) ?? []
      assert.include(sent, `webhook-id: ${id}`)
      assert.notProperty(accepted?.request, "body", "what was accepted is the message")
      for (const request of requests) {
        assert.deepInclude(request.json, { type: "incident.incident.created", data: payload })
        assert.strictEqual(request.headers["webhook-id"], id)
        yield* Requests.verify(request, subscription.signingSecret)
      }
      const other = yield* subscribe
      const [first] = requests
      if (first === undefined) return
      const error = yield* Effect.flip(Requests.verify(first, other.signingSecret))
      assert.deepInclude(error, { _tag: "SignatureRefused", reason: "no-match" })
    }).pipe(Effect.provide(TestLayer)))

  it.effect("begins anew with each test", () =>
    Effect.gen(function*() {
      assert.isEmpty(yield* Requests.all)
      assert.isEmpty(yield* Deliveries.all)
    }).pipe(Effect.provide(TestLayer)))

  it.effect("lets days of retrying pass in moments", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [500])
      yield* subscribe
      const id = yield* Hook.emit(Created, payload)
      yield* Deliveries.settled
      const [delivery] = yield* Deliveries.of(id)
      assert.deepInclude(delivery, { status: "failed", reason: "exhausted", attemptCount: 10 })
    }).pipe(Effect.provide(TestLayer)), 120_000)

  it.effect("has transactions that roll back", () =>
    Effect.gen(function*() {
      yield* subscribe
      const { withTransaction } = yield* MemoryTransactions
      yield* Effect.ignore(withTransaction(Effect.andThen(Hook.emit(Created, payload), Effect.fail("abort"))))
      const id = yield* withTransaction(Hook.emit(Created, payload))
      yield* Deliveries.settled
      assert.deepStrictEqual((yield* Deliveries.all).map(({ messageId }) => messageId), [id])
    }).pipe(Effect.provide(TestLayer)))

  it.effect("takes subscriptions of other providers, and limits of the test's", () => {
    const seen: Array<string> = []
    const own = Plugin.make("own", {
      providers: [Provider.make({
        id: "list",
        displayName: "List",
        config: Schema.Struct({ mark: Schema.String }),
        bind: ({ mark }): Provider.Bound<never> => ({
          check: Effect.void,
          deliver: ({ message }) =>
            Effect.sync(() => {
              seen.push(`${mark} ${message.payloadJson}`)
              return {}
            })
        })
      })]
    })
    return Effect.gen(function*() {
      yield* HooklineTest.subscribe({ events: ["*"], providerId: "own.list", config: { mark: "a" } })
      yield* Hook.emit(Broken, { n: 1 })
      yield* Deliveries.settled
      assert.deepStrictEqual(seen, [`a {"doubled":2}`])
      assert.strictEqual((yield* Limits).payloadBytes, 100)
      const error = yield* Effect.flip(Hook.emit(Created, { ...payload, incidentId: "x".repeat(100) }))
      assert.strictEqual(error._tag, "PayloadRefused")
    }).pipe(
      Effect.provide(
        HooklineTest.layer({ plugins: Layer.mergeAll(IncidentPlugin, own), limits: { payloadBytes: 100 } })
      )
    )
  })

  it.effect("ends although an endpoint hangs", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [Endpoints.hangs])
      yield* subscribe
      yield* Hook.emit(Created, payload)
      yield* TestClock.adjust(10)
      assert.lengthOf(yield* Requests.to(url), 1)
    }).pipe(Effect.provide(TestLayer)))

  it.effect("delivers what waited when its subscription is enabled again", () =>
    Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const { id } = yield* subscribe
      yield* subscriptions.update(id, { enabled: false })
      yield* Hook.emit(Created, payload)
      yield* Deliveries.settled
      assert.deepInclude((yield* Deliveries.all)[0], { status: "pending", reason: "held" })
      yield* subscriptions.update(id, { enabled: true })
      yield* Deliveries.settled
      assert.deepInclude((yield* Deliveries.all)[0], { status: "success" })
    }).pipe(Effect.provide(TestLayer)))

  it.effect("settles when what follows the outcomes has come too: a subscription whose endpoint is gone is disabled", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [410])
      const { id } = yield* subscribe
      yield* Hook.emit(Created, payload)
      yield* Deliveries.settled
      const subscriptions = yield* Subscriptions
      assert.deepInclude(yield* subscriptions.get(id), { enabled: false, disabledReason: "gone" })
    }).pipe(Effect.provide(TestLayer)))

  it.effect("a message that was set aside is settled", () =>
    Effect.gen(function*() {
      yield* subscribe
      const id = yield* Hook.emit(Broken, { n: -1 })
      yield* Deliveries.settled
      const storage = yield* Storage
      const message = yield* Effect.flatMap(storage.getMessage(id), Effect.fromOption)
      assert.strictEqual(message.state._tag, "SetAside")
    }).pipe(Effect.provide(TestLayer)))

  it.effect("tells what is still open at the end of its bounds", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [503])
      const { id } = yield* HooklineTest.subscribe({
        events: ["*"],
        url,
        retry: { type: "delays", delaysMs: [60_000] }
      })
      const messageId = yield* Hook.emit(Created, payload)
      const exit = yield* Effect.exit(Deliveries.settledWithin({ virtualMs: 10_000 }))
      const text = exit._tag === "Failure" ? Cause.pretty(exit.cause) : "settled"
      assert.include(text, "Not settled after 10000 ms of virtual time")
      assert.include(text, `of ${messageId} (incident.incident.created) to ${id}: retrying after 1 attempts, due in 5`)
      assert.include(text, "last error: HTTP 503")
      assert.notInclude(text, "Faults")
    }).pipe(Effect.provide(TestLayer)))

  it.live("needs the test's clock to settle", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Deliveries.settled)
      assert.include(exit._tag === "Failure" ? Cause.pretty(exit.cause) : "", "it.effect")
    }).pipe(Effect.provide(TestLayer)))
})

layer(TestLayer)("HooklineTest, shared by several tests", (it) => {
  it.effect("serves the first", () => Effect.asVoid(subscribe))

  it.effect("serves the second with what the first has made", () =>
    Effect.gen(function*() {
      const id = yield* Hook.emit(Created, payload)
      yield* Deliveries.settled
      assert.deepInclude((yield* Deliveries.of(id))[0], { status: "success" })
    }))
})
