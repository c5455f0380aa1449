import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Webhook } from "standardwebhooks"
import * as Limits from "../../src/Limits.ts"
import * as Provider from "../../src/Provider.ts"
import { Endpoints, until } from "../support/world.ts"
import { call, items, server } from "./support.ts"

const eventId = "incident.incident.created"

const webhook = (extra: Readonly<Record<string, Schema.Json>> = {}) => ({
  name: "a",
  events: ["incident.incident.created"],
  providerId: "webhook.webhook",
  config: { url: "https://example.com/hooks/{{ payload.incidentId }}", authType: "bearer", bearerToken: "pl4nted" },
  ...extra
})

const endpoint = (name: string, extra: Readonly<Record<string, Schema.Json>> = {}) => ({
  name,
  events: ["incident.incident.created"],
  providerId: "test.endpoint",
  config: { name },
  ...extra
})

const emit = (systemIds: ReadonlyArray<string>) =>
  Effect.map(
    call("POST", "/api/v1/messages", { eventId, payload: { incidentId: "i1", systemIds: [...systemIds] } }),
    ({ json }) => String(json["id"])
  )

const Request = Schema.Struct({
  method: Schema.String,
  url: Schema.String,
  headers: Schema.Array(Schema.Struct({ name: Schema.String, value: Schema.String })),
  body: Schema.String
})

const requestOf = (json: Readonly<Record<string, Schema.Json>>) => Schema.decodeUnknownEffect(Request)(json["request"])

const Explained = Schema.Array(Schema.Struct({
  subscription: Schema.Struct({ name: Schema.String }),
  verdict: Schema.String,
  reason: Schema.String,
  delivery: Schema.optionalKey(Schema.Struct({ status: Schema.String }))
}))

const keyOf = (tenantId: string) =>
  Effect.map(
    call("POST", "/api/v1/keys", { name: tenantId, scopes: ["manage"], tenantId }),
    ({ json }) => ({ authorization: `Bearer ${String(json["key"])}` })
  )

const made = (key: Record<string, string>) =>
  Effect.map(
    call("POST", "/api/v1/subscriptions", endpoint("a", { enabled: false }), key),
    ({ json }) => ({ test: `/api/v1/subscriptions/${String(json["id"])}/test` })
  )

describe("a preview", () => {
  it.effect("shows the exact signed request for the event's example, without secrets, and sends nothing", () =>
    Effect.gen(function*() {
      const created = yield* call("POST", "/api/v1/subscriptions", webhook())
      const answer = yield* call("POST", "/api/v1/subscriptions/preview", {
        subscriptionId: created.json["id"] ?? null
      })
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.json["eventId"], eventId)
      const { body, headers, method, url } = yield* requestOf(answer.json)
      assert.deepStrictEqual([method, url], ["POST", "https://example.com/hooks/incidentId"])
      assert.deepInclude(JSON.parse(body), {
        type: eventId,
        data: { incidentId: "incidentId", systemIds: ["systemId"] }
      })
      const sent = Object.fromEntries(headers.map(({ name, value }) => [name, value]))
      // Time stands still here, in 1970; the verifier's does not.
      assert.match(sent["webhook-signature"] ?? "", /^v1,/u)
      assert.strictEqual(sent["authorization"], "Bearer ***")
      assert.notInclude(answer.text, "pl4nted")
    }).pipe(Effect.provide(server())))

  it.live("is signed as the request would be", () =>
    Effect.gen(function*() {
      const created = yield* call("POST", "/api/v1/subscriptions", webhook())
      const answer = yield* call("POST", "/api/v1/subscriptions/preview", {
        subscriptionId: created.json["id"] ?? null
      })
      const { body, headers } = yield* requestOf(answer.json)
      const sent = Object.fromEntries(headers.map(({ name, value }) => [name, value]))
      new Webhook(String(created.json["signingSecret"])).verify(body, sent)
    }).pipe(Effect.provide(server())))

  it.effect("of a configuration that is not stored renders a past message, transformed as it was delivered", () =>
    Effect.gen(function*() {
      const { json } = yield* call("POST", "/api/v1/messages", { eventId: "incident.broken", payload: { n: 21 } })
      yield* TestClock.adjust("1 second")
      const answer = yield* call("POST", "/api/v1/subscriptions/preview", {
        providerId: "webhook.webhook",
        config: { url: "https://example.com/", bodyTemplate: "{\"twice\": {{ payload.doubled }}}" },
        messageId: json["id"] ?? null
      })
      assert.strictEqual((yield* requestOf(answer.json)).body, "{\"twice\": 42}")
    }).pipe(Effect.provide(server())))

  it.effect("says what is wrong and where: templates, payloads, events, ids", () =>
    Effect.gen(function*() {
      const bad = { providerId: "webhook.webhook" }
      const cases: ReadonlyArray<readonly [Readonly<Record<string, Schema.Json>>, number, string | undefined]> = [
        [{ ...bad, config: { url: "https://example.com/{{ paylod.x }}" } }, 422, "config.url"],
        [{ ...bad, config: { url: "https://example.com/", bodyTemplate: "{% if %}" } }, 422, "config.bodyTemplate"],
        [{ ...bad, config: { url: "https://example.com/" }, eventId: "incident.incident.create" }, 422, "eventId"],
        [
          { ...bad, config: { url: "https://example.com/" }, eventId, payload: { incidentId: 1 } },
          422,
          "payload.incidentId"
        ],
        [{ providerId: "nowhere", config: {} }, 422, "providerId"],
        [{ providerId: "test.endpoint", config: { name: "a" } }, 422, "providerId"],
        [{ subscriptionId: "sub_01900000000070008000000000000000" }, 404, undefined],
        [
          { ...bad, config: { url: "https://example.com/" }, messageId: "msg_01900000000070008000000000000000" },
          404,
          undefined
        ],
        [{}, 422, "subscriptionId"]
      ]
      for (const [body, status, path] of cases) {
        const answer = yield* call("POST", "/api/v1/subscriptions/preview", body)
        assert.deepStrictEqual([answer.status, answer.json["path"]], [status, path], answer.text)
      }
    }).pipe(Effect.provide(server())))
})

describe("a filter", () => {
  const db = { field: "payload.systemIds", equals: "db" }

  it.effect("decides what a subscription gets, and can be changed and taken away", () => {
    const endpoints = new Endpoints()
    const systems = () => endpoints.seen.map(({ attempt }) => JSON.parse(attempt.message.payloadJson).systemIds.join())
    return Effect.gen(function*() {
      const created = yield* call("POST", "/api/v1/subscriptions", endpoint("a", { filter: db }))
      assert.deepStrictEqual([created.status, created.json["filter"]], [201, db])
      yield* emit(["web"])
      yield* emit(["web", "db"])
      yield* until("the one that it wants is delivered", () => endpoints.seen.length === 1)
      const path = `/api/v1/subscriptions/${created.json["id"]}`
      const changed = yield* call("PATCH", path, { filter: { not: db } })
      assert.deepStrictEqual(changed.json["filter"], { not: db })
      const odd = yield* call("PATCH", path, { filter: { field: "payload.incidentId", atLeast: 1 } })
      assert.strictEqual(odd.status, 422)
      yield* emit(["db"])
      yield* emit(["cache"])
      yield* until("the other one is", () => endpoints.seen.length === 2)
      const cleared = yield* call("PATCH", path, { filter: null })
      assert.notProperty(cleared.json, "filter")
      yield* emit(["db"])
      yield* until("all are", () => endpoints.seen.length === 3)
      assert.deepStrictEqual(systems(), ["web,db", "cache", "db"])
    }).pipe(Effect.provide(server({ endpoints })))
  })

  it.effect("is refused where it can hold for no event, with the nearest name and its place", () =>
    Effect.gen(function*() {
      for (
        const [filter, path, detail] of [
          [{ all: [{ field: "payload.systemIDs", equals: "db" }] }, "filter.all[0].field", "payload.systemIds"],
          [{ field: "payload.incidentId", atLeast: 3 }, "filter.atLeast", "never a number"],
          [{ field: "payload.incidentId", equal: "x" }, "filter", "equals"],
          ["x", "filter", "Expected a filter"]
        ] as const
      ) {
        const answer = yield* call("POST", "/api/v1/subscriptions", endpoint("a", { filter }))
        assert.deepStrictEqual([answer.status, answer.json["path"]], [422, path])
        assert.include(answer.text, detail)
      }
    }).pipe(Effect.provide(server())))

  it.effect("can be tested without saving, on a payload, an example or a past message, and says why it does not hold", () =>
    Effect.gen(function*() {
      const test = (body: Readonly<Record<string, Schema.Json>>) =>
        Effect.map(call("POST", "/api/v1/subscriptions/test-filter", body), ({ json }) => json)
      const payload = { incidentId: "i", systemIds: ["web"] }
      assert.deepStrictEqual(yield* test({ filter: db, eventId, payload: { ...payload, systemIds: ["db"] } }), {
        eventId,
        passes: true
      })
      const failed = yield* test({ filter: db, eventId, payload })
      assert.deepStrictEqual(failed, { eventId, passes: false, reason: "payload.systemIds is \"web\", not \"db\"" })
      assert.deepInclude(yield* test({ filter: db, messageId: yield* emit(["db"]) }), { passes: true })
      assert.deepInclude(yield* test({ filter: db, eventId }), { passes: false })
      // A message that is made up is of the tenant of whoever asks.
      const { json: { key } } = yield* call("POST", "/api/v1/keys", {
        name: "acme",
        scopes: ["manage"],
        tenantId: "acme"
      })
      const answer = yield* call(
        "POST",
        "/api/v1/subscriptions/test-filter",
        { filter: { field: "message.tenantId", equals: "acme" }, eventId },
        { authorization: `Bearer ${String(key)}` }
      )
      assert.deepInclude(answer.json, { passes: true }, answer.text)
    }).pipe(Effect.provide(server())))
})

describe("an explanation", () => {
  it.effect("says of each subscription whether it got the message, and why not", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const subscribe = (name: string, extra: Readonly<Record<string, Schema.Json>> = {}) =>
        call("POST", "/api/v1/subscriptions", endpoint(name, extra))
      yield* subscribe("gets it")
      yield* subscribe("filtered", { filter: { field: "payload.systemIds", equals: "db" } })
      yield* subscribe("elsewhere", { events: ["incident.broken"] })
      yield* subscribe("held", { enabled: false })
      const id = yield* emit(["web"])
      yield* until("it is delivered", () => endpoints.seen.length === 1)
      yield* TestClock.adjust("1 second")
      yield* subscribe("later")
      const answer = yield* call("GET", `/api/v1/messages/${id}/explain`)
      assert.strictEqual(answer.status, 200)
      const items = yield* Schema.decodeUnknownEffect(Explained)(answer.json["items"])
      const told = Object.fromEntries(items.map(({ delivery, reason, subscription, verdict }) => [
        subscription.name,
        [verdict, delivery?.status ?? "", reason]
      ]))
      assert.deepStrictEqual(told, {
        "gets it": ["delivery", "success", "success after 1 attempt"],
        filtered: ["filtered", "", "payload.systemIds is \"web\", not \"db\""],
        elsewhere: ["not-subscribed", "", `it wants incident.broken, not ${eventId}`],
        held: ["delivery", "pending", "the subscription is disabled: the delivery waits until it is enabled"],
        later: [
          "changed-since",
          "",
          "it was made after the message was routed; it would get the message now"
        ]
      })
      const { json: message } = yield* call("GET", `/api/v1/messages/${id}`)
      assert.deepInclude(message, { matched: 2, filtered: 1 })
      const page = yield* call("GET", `/api/v1/messages/${id}/explain?limit=2`)
      assert.strictEqual((yield* Schema.decodeUnknownEffect(Explained)(page.json["items"])).length, 2)
      const next = yield* call("GET", `/api/v1/messages/${id}/explain?limit=4&cursor=${page.json["nextCursor"]}`)
      assert.strictEqual((yield* Schema.decodeUnknownEffect(Explained)(next.json["items"])).length, 3)
      assert.isNull(next.json["nextCursor"])
    }).pipe(Effect.provide(server({ endpoints })))
  })

  it.effect("tells of a message whose routing failed, and of one that does not exist", () =>
    Effect.gen(function*() {
      yield* call("POST", "/api/v1/subscriptions", endpoint("a", { events: ["incident.*"] }))
      const { json } = yield* call("POST", "/api/v1/messages", { eventId: "incident.broken", payload: { n: -1 } })
      yield* TestClock.adjust("2 seconds")
      const answer = yield* call("GET", `/api/v1/messages/${json["id"]}/explain`)
      const [item] = yield* Schema.decodeUnknownEffect(Explained)(answer.json["items"])
      assert.deepInclude(item, { verdict: "set-aside", reason: "the message's routing failed: no negative numbers" })
      const missing = yield* call("GET", "/api/v1/messages/msg_01900000000070008000000000000000/explain")
      assert.strictEqual(missing.status, 404)
    }).pipe(Effect.provide(server())))
})

describe("a rotation of the signing secret", () => {
  it.effect("lets both secrets sign until the overlap has passed, then the new one alone", () => {
    const endpoints = new Endpoints()
    const secretsOf = (n: number) => endpoints.seen[n]?.attempt.signingSecrets.length
    return Effect.gen(function*() {
      const created = yield* call("POST", "/api/v1/subscriptions", endpoint("a"))
      const path = `/api/v1/subscriptions/${created.json["id"]}/rotate-secret`
      const rotated = yield* call("POST", path, {})
      assert.strictEqual(rotated.status, 200)
      assert.match(String(rotated.json["signingSecret"]), /^whsec_/u)
      assert.notStrictEqual(rotated.json["signingSecret"], created.json["signingSecret"])
      yield* emit(["a"])
      yield* until("the first is delivered", () => endpoints.seen.length === 1)
      assert.strictEqual(secretsOf(0), 2)
      yield* TestClock.adjust(5000)
      yield* emit(["a"])
      yield* until("the second is delivered", () => endpoints.seen.length === 2)
      assert.strictEqual(secretsOf(1), 1)
      yield* call("POST", path, { overlapMs: 0 })
      yield* emit(["a"])
      yield* until("the third is delivered", () => endpoints.seen.length === 3)
      assert.strictEqual(secretsOf(2), 1)
      const shown = yield* call("GET", `/api/v1/subscriptions/${created.json["id"]}`)
      assert.notInclude(shown.text, "whsec_")
    }).pipe(Effect.provide(server({ endpoints }).pipe(Layer.provide(Limits.layer({ rotationOverlapMs: 5000 })))))
  })

  it.effect("of a private key makes another pair and shows the public keys; what is malformed is refused", () =>
    Effect.gen(function*() {
      const seed = Buffer.alloc(32, 7).toString("base64")
      const created = yield* call("POST", "/api/v1/subscriptions", endpoint("a", { signingSecret: `whsk_${seed}` }))
      assert.strictEqual(created.status, 201)
      const path = `/api/v1/subscriptions/${created.json["id"]}/rotate-secret`
      const rotated = yield* call("POST", path, {})
      assert.match(String(rotated.json["signingSecret"]), /^whsk_/u)
      const keys = yield* Schema.decodeUnknownEffect(Schema.Array(Schema.String))(rotated.json["signingPublicKeys"])
      assert.strictEqual(keys.length, 2)
      assert.isTrue(keys.every((key) => key.startsWith("whpk_")))
      const last = yield* call("POST", path, { overlapMs: 0 })
      assert.lengthOf(yield* Schema.decodeUnknownEffect(Schema.Array(Schema.String))(last.json["signingPublicKeys"]), 1)
      for (
        const [body, field] of [
          [{ signingSecret: "whsec_short" }, "signingSecret"],
          [{ overlapMs: -1 }, "overlapMs"],
          [{ overlapMs: Limits.defaults.rotationOverlapMaxMs + 1 }, "overlapMs"]
        ] as const
      ) {
        const answer = yield* call("POST", path, body)
        assert.deepStrictEqual([answer.status, answer.json["path"]], [422, field])
      }
      assert.strictEqual((yield* call("POST", path.replace("sub_0", "sub_f"), {})).status, 404)
    }).pipe(Effect.provide(server())))
})

describe("what is tried", () => {
  it.effect("is there for who asks, or is not: as if it did not exist where it is another tenant's", () =>
    Effect.gen(function*() {
      const north = yield* keyOf("north")
      const body = { eventId, tenantId: "south", payload: { incidentId: "i1", systemIds: [] } }
      const messageId = String((yield* call("POST", "/api/v1/messages", body)).json["id"])
      const nobody = "msg_01a2166f85a37caf9e96398f0cb18d67"
      for (const providerId of ["test.endpoint", "no.such"]) {
        const asked = (id: string) =>
          call("POST", "/api/v1/subscriptions/preview", { providerId, config: { name: "a" }, messageId: id }, north)
        const [others, none] = [yield* asked(messageId), yield* asked(nobody)]
        assert.strictEqual(none.status, 404, none.text)
        assert.strictEqual(others.text.replaceAll(messageId, nobody), none.text)
        const connectionId = "con_01a2166f85a37caf9e96398f0cb18d67"
        const unconnected = yield* call(
          "POST",
          "/api/v1/subscriptions/preview",
          { providerId, config: {}, connectionId },
          north
        )
        assert.strictEqual(unconnected.status, 404, unconnected.text)
      }
      // A key of all tenants finds both, and sends nothing of one to the other.
      const { test } = yield* made(north)
      const sent = yield* call("POST", test, { messageId })
      assert.deepStrictEqual([sent.status, sent.json["path"]], [422, "messageId"])
    }).pipe(Effect.provide(server())))

  it.effect("is not said twice: what would be ignored is refused", () =>
    Effect.gen(function*() {
      const created = yield* call("POST", "/api/v1/subscriptions", webhook())
      const subscriptionId = String(created.json["id"])
      const messageId = yield* emit(["s1"])
      for (
        const [body, path] of [
          [{ subscriptionId, config: { url: "https://example.com" } }, "config"],
          [{ subscriptionId, messageId, eventId }, "messageId"],
          [{ subscriptionId, messageId, orderingKey: "a" }, "messageId"]
        ] as const
      ) {
        const { json, status } = yield* call("POST", "/api/v1/subscriptions/preview", body)
        assert.deepStrictEqual([status, json["path"]], [422, path])
      }
    }).pipe(Effect.provide(server())))
})

describe("a subscription", () => {
  it.effect("is tried with one attempt, whose outcome is answered and stands in no log", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set(
      "gone",
      () => Effect.fail(new Provider.GoneError({ code: "HttpStatus", message: "HTTP 410", statusCode: 410 }))
    )
    endpoints.behaviours.set("odd", () => Effect.die(new Error("a bug")))
    endpoints.behaviours.set("hangs", () => Effect.never)
    const anything = JSON.parse
    endpoints.behaviours.set("answers nothing", () => Effect.as(Effect.void, anything("null")))
    endpoints.behaviours.set("fails with a text", () => Effect.fail(anything(`"no"`)))
    endpoints.behaviours.set("is no effect", () => anything("1"))
    endpoints.behaviours.set("throws", () => {
      throw new Error("long ".repeat(1000))
    })
    return Effect.gen(function*() {
      const trial = (name: string, sample: Readonly<Record<string, Schema.Json>> = {}) =>
        Effect.gen(function*() {
          const { json } = yield* call("POST", "/api/v1/subscriptions", endpoint(name, { enabled: false }))
          const id = String(json["id"])
          const answer = yield* call("POST", `/api/v1/subscriptions/${id}/test`, sample)
          return { ...answer, id }
        })
      const well = yield* trial("well", { payload: { incidentId: "i-7", systemIds: [] } })
      assert.deepInclude(well.json, { eventId, outcome: "success", statusCode: 200 })
      const [seen] = endpoints.of("well")
      assert.strictEqual(seen?.attempt.message.payloadJson, `{"incidentId":"i-7","systemIds":[]}`)
      assert.strictEqual(seen?.attempt.message.id, well.json["messageId"])
      const gone = yield* trial("gone")
      assert.deepInclude(gone.json, {
        outcome: "gone",
        statusCode: 410,
        error: { tag: "HttpStatus", message: "HTTP 410" }
      })
      assert.deepInclude((yield* trial("odd")).json, { outcome: "retryable" })
      const hanging = yield* Effect.forkChild(trial("hangs"))
      yield* until("it takes too long", () => hanging.pollUnsafe() !== undefined, Limits.defaults.trialMs + 60_000)
      assert.deepInclude((yield* Fiber.join(hanging)).json, { outcome: "timeout" })
      // It stays as it was, and nothing of it is in the log.
      const still = yield* call("GET", `/api/v1/subscriptions/${gone.id}`)
      assert.notProperty(still.json, "disabledReason")
      assert.deepStrictEqual((yield* call("GET", "/api/v1/deliveries")).json["items"], [])
      const audit = yield* call("GET", `/api/v1/audit?resourceId=${gone.id}&action=subscription.test`)
      assert.include(audit.text, "\"action\":\"subscription.test\"")
      // JavaScript may answer anything, and fail with anything.
      for (const name of ["answers nothing", "fails with a text", "is no effect", "throws"]) {
        const senseless = yield* trial(name)
        assert.deepInclude(senseless.json, { outcome: "retryable" }, name)
        assert.include(senseless.text, "ProviderDefect", name)
        assert.isBelow(senseless.text.length, 1000, name)
      }
      const wrong = yield* trial("well", { payload: { incidentId: 1 } })
      assert.deepStrictEqual([wrong.status, wrong.json["path"]], [422, "payload.incidentId"])
    }).pipe(Effect.provide(server({ endpoints })))
  })

  it.effect("is tried while there is a place for it: one tenant's keys have a share, and a test that can't be ended its time", () => {
    const endpoints = new Endpoints()
    const end = Latch.makeUnsafe()
    endpoints.behaviours.set("a", () => Effect.uninterruptible(Effect.as(end.await, {})))
    const body = Effect.gen(function*() {
      const north = yield* keyOf("north")
      const path = (yield* made(north)).test
      const hanging = yield* Effect.forkChild(call("POST", path, {}, north))
      yield* until("it has begun", () => endpoints.of("a").length === 1)
      const second = yield* call("POST", path, {}, north)
      assert.deepStrictEqual([second.status, second.headers.get("retry-after")], [429, "1"], second.text)
      // What was refused is not noted.
      const audit = yield* call("GET", "/api/v1/audit?action=subscription.test")
      assert.lengthOf(items(audit.json), 1)
      const south = yield* keyOf("south")
      const other = (yield* made(south)).test
      const beside = yield* Effect.forkChild(call("POST", other, {}, south))
      yield* until("another tenant's has, too", () => endpoints.of("a").length === 2)
      const third = yield* call("POST", path, {})
      assert.deepStrictEqual([third.status, third.headers.get("retry-after")], [503, "1"], third.text)
      yield* until(
        "their time is over",
        () => hanging.pollUnsafe() !== undefined && beside.pollUnsafe() !== undefined,
        Limits.defaults.trialMs + 60_000
      )
      assert.deepInclude((yield* Fiber.join(hanging)).json, { outcome: "timeout" })
      endpoints.behaviours.set("a", () => Effect.succeed({}))
      assert.deepInclude((yield* call("POST", path, {}, north)).json, { outcome: "success" })
      yield* end.open
    })
    return body.pipe(
      Effect.provide(server({ endpoints }).pipe(Layer.provide(Limits.layer({ tests: 2, testsPerTenant: 1 }))))
    )
  })

  it.effect("'s retry schedule is shown before it is saved", () =>
    Effect.gen(function*() {
      const show = (retry: Schema.Json) => call("POST", "/api/v1/subscriptions/preview-schedule", { retry })
      const delays = yield* show({ type: "delays", delaysMs: [1000, 5000] })
      assert.deepStrictEqual(delays.json, { attempts: 3, delaysMs: [1000, 5000], totalMs: 6000 })
      const growing = yield* show({
        type: "exponential",
        baseMs: 1000,
        factor: 2,
        capMs: 3000,
        maxAttempts: 4,
        jitter: 0
      })
      assert.deepStrictEqual(growing.json, { attempts: 4, delaysMs: [1000, 2000, 3000], totalMs: 6000 })
      assert.deepStrictEqual((yield* show({ type: "delays", delaysMs: [-1] })).status, 422)
    }).pipe(Effect.provide(server())))

  it.effect("can be made from what the event's schema shows: an example fits it", () =>
    Effect.gen(function*() {
      const { json } = yield* call("GET", `/api/v1/events/${eventId}/schema`)
      assert.deepStrictEqual(json["example"], { incidentId: "incidentId", systemIds: ["systemId"] })
      const emitted = yield* call("POST", "/api/v1/messages", { eventId, payload: json["example"] ?? null })
      assert.strictEqual(emitted.status, 202)
    }).pipe(Effect.provide(server())))
})
