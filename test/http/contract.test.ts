import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Schema } from "effect"
import { HttpServer } from "effect/http"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Id from "../../src/Id.ts"
import * as Limits from "../../src/Limits.ts"
import * as Provider from "../../src/Provider.ts"
import { StorageUnavailable } from "../../src/Storage.ts"
import { Endpoints } from "../support/world.ts"
import { adminKey, call, emission, eventually, items, server, subscription } from "./support.ts"

const Problem = Schema.Struct({ type: Schema.String, title: Schema.String, status: Schema.Int, detail: Schema.String })

const endpoints = new Endpoints()
endpoints.behaviours.set(
  "broken",
  () => Effect.fail(new Provider.PermanentError({ code: "HttpStatus", message: "HTTP 400", statusCode: 400 }))
)

describe("the HTTP API", () => {
  // Many of its requests are refused.
  const patient = Limits.layer({ addressRefusals: 10_000 })
  layer(Layer.provide(server({ endpoints }), patient), { excludeTestServices: true })((it) => {
    it.effect("events are listed, grouped and described", () =>
      Effect.gen(function*() {
        const all = yield* call("GET", "/api/v1/events")
        assert.strictEqual(all.status, 200)
        assert.deepStrictEqual(items(all.json).map((item) => item["id"]), [
          "hookline.delivery.exhausted",
          "hookline.subscription.disabled",
          "hookline.subscription.failing",
          "hookline.subscription.recovered",
          "incident.broken",
          "incident.incident.created"
        ])
        const grouped = yield* call("GET", "/api/v1/events?groupBy=category")
        assert.include(grouped.text, "\"category\":\"Incidents\"")
        const one = yield* call("GET", "/api/v1/events/incident.incident.created")
        assert.deepInclude(one.json, { displayName: "Incident Created", category: "Incidents" })
        const { json } = yield* call("GET", "/api/v1/events/incident.incident.created/schema")
        assert.deepInclude(json["payloadSchema"], { type: "object" })
        assert.deepInclude(json["availableProperties"], { path: "payload.systemIds[n]", type: "string" })
      }))

    it.effect("an emit is answered with 202 and its id, and a repetition with the same", () =>
      Effect.gen(function*() {
        for (const misspelt of ["idempotency_key", "tenant"]) {
          const refused = yield* call("POST", "/api/v1/messages", emission({ [misspelt]: "a" }))
          assert.strictEqual(refused.status, 422)
        }
        const body = emission({ idempotencyKey: "k1", payload: { incidentId: "i", systemIds: [], extra: 1 } })
        const first = yield* call("POST", "/api/v1/messages", body)
        assert.strictEqual(first.status, 202)
        assert.deepStrictEqual(Object.keys(first.json), ["id"])
        const again = yield* call("POST", "/api/v1/messages", body)
        assert.strictEqual(again.status, 202)
        assert.deepStrictEqual(again.json, first.json)
        const other = yield* call("POST", "/api/v1/messages", emission({ idempotencyKey: "k1" }))
        assert.strictEqual(other.status, 409)
        assert.deepInclude(other.json, { messageId: first.json["id"] })
        const message = yield* call("GET", `/api/v1/messages/${String(first.json["id"])}`)
        assert.deepStrictEqual(message.json["payload"], { incidentId: "i", systemIds: [] })
        const retried = yield* call("POST", `/api/v1/messages/${String(first.json["id"])}/retry`)
        assert.strictEqual(retried.status, 409)
      }))

    it.effect("a delivery is found by each filter, shows its attempts and can be retried when it failed", () =>
      Effect.gen(function*() {
        const created = yield* call(
          "POST",
          "/api/v1/subscriptions",
          subscription({
            name: "broken",
            events: ["incident.broken"],
            config: { name: "broken" }
          })
        )
        assert.strictEqual(created.status, 201)
        const emitted = yield* call("POST", "/api/v1/messages", { eventId: "incident.broken", payload: { n: 1 } })
        const [delivery = {}] = yield* eventually(
          "it failed",
          Effect.map(
            call("GET", `/api/v1/deliveries?status=failed&messageId=${String(emitted.json["id"])}`),
            ({ json }) => items(json)
          ),
          (found) => found.length === 1
        )
        assert.deepInclude(delivery, { reason: "permanent", attemptCount: 1, lastError: "HTTP 400" })
        const at = String(delivery["createdAt"])
        assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u)
        const filters = [
          [`subscriptionId=${String(created.json["id"])}`, 1],
          ["eventId=incident.broken", 1],
          [`from=${at}&to=${at}&eventId=incident.broken`, 1],
          ["from=2100-01-01T00:00:00%2B02:00", 0],
          ["to=2000-01-01T00:00Z", 0],
          ["from=2100-01-01", 0],
          [`status=success&messageId=${String(emitted.json["id"])}`, 0],
          ["tenantId=nobody", 0]
        ] as const
        for (const [query, count] of filters) {
          const found = yield* call("GET", `/api/v1/deliveries?${query}`)
          assert.strictEqual(found.status, 200, found.text)
          assert.strictEqual(items(found.json).length, count, query)
        }
        const path = `/api/v1/deliveries/${String(delivery["id"])}`
        const detail = yield* call("GET", path)
        const [attempt = {}] = Schema.decodeUnknownSync(Schema.Array(Schema.Record(Schema.String, Schema.Json)))(
          detail.json["attempts"]
        )
        assert.deepInclude(attempt, {
          number: 1,
          outcome: "permanent",
          statusCode: 400,
          error: { tag: "HttpStatus", message: "HTTP 400" }
        })
        endpoints.behaviours.delete("broken")
        assert.strictEqual((yield* call("POST", `${path}/retry`)).status, 202)
        yield* eventually(
          "it succeeds",
          Effect.map(call("GET", path), ({ json }) => json["status"]),
          (status) => status === "success"
        )
        assert.strictEqual((yield* call("POST", `${path}/retry`)).status, 409)
      }))

    it.effect("a list goes on page by page, newest first, until nextCursor is null", () =>
      Effect.gen(function*() {
        const made: Array<string> = []
        for (let n = 0; n < 6; n++) {
          const { json } = yield* call(
            "POST",
            "/api/v1/subscriptions",
            subscription({ name: `page ${n}`, tenantId: "pages", enabled: n % 2 === 0 })
          )
          made.push(String(json["id"]))
        }
        const seen: Array<Schema.Json | undefined> = []
        let cursor: string | null = ""
        let pages = 0
        while (cursor !== null) {
          const { json } = yield* call(
            "GET",
            `/api/v1/subscriptions?tenantId=pages&limit=3${cursor === "" ? "" : `&cursor=${cursor}`}`
          )
          seen.push(...items(json).map((item) => item["id"]))
          cursor = Schema.decodeUnknownSync(Schema.NullOr(Schema.String))(json["nextCursor"])
          pages++
        }
        // In the order in which they were made, and of one millisecond in that of their ids.
        assert.deepStrictEqual(seen, made.toSorted().toReversed())
        assert.deepStrictEqual(seen.map((id) => Id.timeOf(String(id))), made.toReversed().map(Id.timeOf))
        assert.strictEqual(pages, 2)
        const enabled = yield* call("GET", "/api/v1/subscriptions?tenantId=pages&enabled=false")
        assert.strictEqual(items(enabled.json).length, 3)
        assert.isNull(enabled.json["nextCursor"])
      }))

    it.effect("a subscription is made, shown, changed, disabled, enabled and deleted", () =>
      Effect.gen(function*() {
        const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        const created = yield* call(
          "POST",
          "/api/v1/subscriptions",
          subscription({
            description: "d",
            events: ["incident.*", "nothing.yet.*", "*"],
            config: { name: "a", token: "pl4nted" },
            retry: { type: "delays", delaysMs: [] },
            signingSecret: secret
          })
        )
        assert.strictEqual(created.status, 201, created.text)
        assert.strictEqual(created.json["signingSecret"], secret)
        const path = `/api/v1/subscriptions/${String(created.json["id"])}`
        const shown = yield* call("GET", path)
        assert.deepInclude(shown.json, {
          name: "a",
          description: "d",
          tenantId: "default",
          enabled: true,
          config: { name: "a" },
          retry: { type: "delays", delaysMs: [] }
        })
        const changed = yield* call("PATCH", path, { name: "b", retry: null, config: { name: "b", token: "" } })
        assert.strictEqual(changed.status, 200, changed.text)
        assert.deepInclude(changed.json, { name: "b", description: "d", config: { name: "b" } })
        assert.notProperty(changed.json, "retry")
        assert.strictEqual((yield* call("POST", `${path}/disable`)).json["enabled"], false)
        assert.strictEqual((yield* call("POST", `${path}/disable`)).json["enabled"], false)
        assert.strictEqual((yield* call("POST", `${path}/enable`)).json["enabled"], true)
        for (
          const [body, field] of [[{ providerId: "x" }, "providerId"], [
            { config: { name: 1 } },
            "config.name"
          ]] as const
        ) {
          const answer = yield* call("PATCH", path, body)
          assert.strictEqual(answer.status, 422)
          assert.strictEqual(answer.json["path"], field)
        }
        const removed = yield* call("DELETE", path)
        assert.strictEqual(removed.status, 204)
        assert.strictEqual(removed.text, "")
        assert.strictEqual((yield* call("GET", path)).status, 404)
        for (const answer of [shown, changed]) {
          assert.notInclude(answer.text, secret)
          assert.notInclude(answer.text, "pl4nted")
        }
      }))

    it.effect("no refused secret comes back in a problem", () =>
      Effect.gen(function*() {
        const bodies = [
          subscription({ signingSecret: "whsec_pl4nted" }),
          subscription({ config: { name: 1, token: "pl4nted" } }),
          subscription({ config: { name: "a", token: ["pl4nted"] } }),
          subscription({ events: [], config: { name: "a", token: "pl4nted" } })
        ]
        for (const body of bodies) {
          const answer = yield* call("POST", "/api/v1/subscriptions", body)
          assert.strictEqual(answer.status, 422)
          assert.notInclude(answer.text, "pl4nted")
        }
      }))

    it.effect("nothing of the API is open without the key, and 401 says how to send it", () =>
      Effect.gen(function*() {
        const keys = ["", "Bearer", "Bearer ", "Bearer wrong", `Bearer ${adminKey}x`, `Basic ${adminKey}`, adminKey]
        const { json } = yield* call("GET", "/openapi.json")
        const paths = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Json)))(
          json["paths"]
        )
        for (const [path, methods] of Object.entries(paths)) {
          for (const method of Object.keys(methods)) {
            // Begun and ended by whoever has none; asked by who watches.
            if (path.startsWith("/health/") || (path === "/api/v1/session" && method !== "get")) continue
            for (const authorization of keys) {
              const answer = yield* call(method.toUpperCase(), path, undefined, { authorization })
              assert.strictEqual(answer.status, 401, `${method} ${path} ${authorization}`)
              assert.strictEqual(answer.type, "application/problem+json")
              assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer/u)
            }
          }
        }
        for (const path of ["/openapi.json", "/health/live"]) {
          assert.strictEqual((yield* call("GET", path, undefined, { authorization: "" })).status, 200)
        }
      }))

    it.effect("openapi.json is 3.1 with named schemas, problems and the bearer key", () =>
      Effect.gen(function*() {
        const { json } = yield* call("GET", "/openapi.json")
        assert.match(String(json["openapi"]), /^3\.1/u)
        const { schemas, securitySchemes } = Schema.decodeUnknownSync(Schema.Struct({
          schemas: Schema.Record(Schema.String, Schema.Json),
          securitySchemes: Schema.Record(Schema.String, Schema.Json)
        }))(json["components"])
        for (const name of ["Event", "Message", "Subscription", "SubscriptionInput", "Delivery", "RetrySchedule"]) {
          assert.property(schemas, name)
        }
        assert.deepInclude(Object.values(securitySchemes)[0], { type: "http", scheme: "bearer" })
        assert.include(JSON.stringify(json["components"]), "application/problem+json")
      }))

    it.effect("HEAD is answered as GET without a body", () =>
      Effect.gen(function*() {
        for (const [path, status] of [["/api/v1/events", 200], ["/health/live", 200], ["/nowhere", 404]] as const) {
          const answer = yield* call("HEAD", path)
          assert.strictEqual(answer.status, status, path)
          assert.strictEqual(answer.text, "")
        }
      }))

    it.effect("answers are not cached and not sniffed", () =>
      Effect.gen(function*() {
        for (const path of ["/api/v1/events", "/api/v1/nowhere", "/health/live"]) {
          const { headers } = yield* call("GET", path)
          assert.strictEqual(headers.get("cache-control"), "no-store")
          assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
        }
      }))

    it.effect("it becomes ready once its runner has a lease", () =>
      Effect.gen(function*() {
        yield* eventually("it is ready", call("GET", "/health/ready"), ({ status }) => status === 200)
      }))

    it.effect("a port that is taken is one clear error", () =>
      Effect.gen(function*() {
        const { address } = yield* HttpServer.HttpServer
        const port = "port" in address ? address.port : 0
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(Layer.fresh(server({ port })))))
        assert.isTrue(Exit.isFailure(exit))
        assert.include(JSON.stringify(exit), `Port ${port} on 127.0.0.1`)
      }))
  })

  it("nothing that the contract or its client imports needs Node, so that a browser can use them", () => {
    const seen = new Set<string>()
    const visit = (file: string): void => {
      if (seen.has(file)) return
      seen.add(file)
      for (
        const [, from = ""] of Fs.readFileSync(file, "utf8").matchAll(
          /^(?:import|export) (?!type )[^"=]*from "([^"]+)"/gmu
        )
      ) {
        if (from.startsWith(".")) visit(Path.resolve(Path.dirname(file), from))
        else assert.match(from, /^effect(\/|$)/u, file)
      }
    }
    for (const file of ["Api.ts", "Client.ts"]) visit(Path.resolve(import.meta.dirname, "../../src/http", file))
    assert.isAbove(seen.size, 5)
  })

  it.live("an empty admin key opens nothing", () =>
    Effect.gen(function*() {
      for (const authorization of ["", "Bearer ", "Bearer x"]) {
        assert.strictEqual((yield* call("GET", "/api/v1/events", undefined, { authorization })).status, 401)
      }
    }).pipe(Effect.provide(server({ key: "" }))))

  it.live("while the database is away the API answers 503 with Retry-After, and is live but not ready", () => {
    const away = Effect.fail(new StorageUnavailable({ message: "The database does not answer." }))
    const change: NonNullable<Parameters<typeof server>[0]>["change"] = (storage) => ({
      ...storage,
      append: () => away,
      createSubscription: () => away,
      listSubscriptions: () => away,
      getDelivery: () => away
    })
    return Effect.gen(function*() {
      const calls = [
        call("POST", "/api/v1/messages", emission()),
        call("POST", "/api/v1/subscriptions", subscription()),
        call("GET", "/api/v1/subscriptions"),
        call("GET", "/api/v1/deliveries/dlv_018f3c1a2b3c7d4e8f90a1b2c3d4e5f6"),
        call("GET", "/health/ready")
      ]
      for (const answer of yield* Effect.all(calls)) {
        assert.strictEqual(answer.status, 503, answer.text)
        assert.strictEqual(answer.type, "application/problem+json")
        assert.strictEqual(answer.headers.get("retry-after"), "1")
        assert.strictEqual(Schema.decodeUnknownSync(Problem)(answer.json).status, 503)
      }
      assert.strictEqual((yield* call("GET", "/health/live")).status, 200)
    }).pipe(Effect.provide(server({ change })))
  })

  it.live("a defect is 500 and tells nothing of itself", () => {
    const change: NonNullable<Parameters<typeof server>[0]>["change"] = (storage) => ({
      ...storage,
      getMessage: () => Effect.die(new Error("pl4nted: the limit was exceeded, RouteNotFound"))
    })
    return Effect.gen(function*() {
      const answer = yield* call("GET", "/api/v1/messages/msg_018f3c1a2b3c7d4e8f90a1b2c3d4e5f6")
      assert.strictEqual(answer.status, 500)
      assert.strictEqual(answer.type, "application/problem+json")
      assert.notInclude(answer.text, "pl4nted")
    }).pipe(Effect.provide(server({ change })))
  })
})
