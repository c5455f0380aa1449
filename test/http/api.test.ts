import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"
import { Webhook as StandardWebhook } from "standardwebhooks"
import { Webhook } from "svix"
import * as EgressNode from "../../src/egress/EgressNode.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as Auth from "../../src/http/Auth.ts"
import * as Server from "../../src/http/Server.ts"
import * as WebhookPlugin from "../../src/plugins/webhook/index.ts"
import * as StorageMemory from "../../src/StorageMemory.ts"
import { IncidentPlugin, SecretsTest } from "../support/world.ts"

const adminKey = "hk_test"

const Live = Server.layer({ port: 0, host: "127.0.0.1" }).pipe(
  Layer.provide(Auth.layer({ adminKey: Redacted.make(adminKey) })),
  Layer.provide(Hookline.layer({ plugins: Layer.mergeAll(IncidentPlugin, WebhookPlugin.plugin) })),
  Layer.provideMerge(StorageMemory.layer),
  Layer.provide([SecretsTest, EgressNode.layer({ allow: ["127.0.0.0/8"] })])
)

const Json = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const { address } = yield* HttpServer.HttpServer
    const port = address._tag === "UnixPathAddress" ? 0 : address.port
    const response = yield* Effect.promise(() =>
      fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
      })
    )
    const text = yield* Effect.promise(() => response.text())
    return {
      status: response.status,
      type: response.headers.get("content-type"),
      text,
      json: text === "" ? {} : Schema.decodeUnknownSync(Json)(text)
    }
  })

interface Received {
  readonly headers: Record<string, string>
  readonly body: string
}

/** A receiver that answers by script and tells what came. */
const receiver = (answer: (n: number) => { readonly status: number; readonly headers?: Record<string, string> }) =>
  Effect.acquireRelease(
    Effect.callback<{ url: string; received: Array<Received>; close: () => void }>((resume) => {
      const received: Array<Received> = []
      const server = createServer((request, response) => {
        let body = ""
        request.on("data", (chunk: Buffer) => {
          body += chunk.toString()
        })
        request.on("end", () => {
          const headers = Object.fromEntries(Object.entries(request.headers).map(([k, v]) => [k, String(v)]))
          received.push({ headers, body })
          const { headers: extra, status } = answer(received.length)
          response.writeHead(status, { "content-type": "application/json", ...extra }).end("{\"id\":\"ext-1\"}")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({
          url: `http://127.0.0.1:${port}/`,
          received,
          close: () => {
            server.closeAllConnections()
            server.close()
          }
        }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const eventually = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function*() {
    for (let n = 0; n < 500; n++) {
      if (yield* condition) return
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* Effect.sleep("10 millis")
    }
    assert.fail(`it did not come to pass: ${what}`)
  })

const subscription = (url: string, extra = {}) => ({
  name: "a",
  events: ["incident.incident.created"],
  providerId: "webhook.webhook",
  config: { url },
  ...extra
})

const emission = { eventId: "incident.incident.created", payload: { incidentId: "i1", systemIds: ["s"] } }

describe("the HTTP API", () => {
  it.live("a message emitted over it arrives signed, as third parties verify it, and its delivery tells all", () =>
    Effect.gen(function*() {
      const endpoint = yield* receiver(() => ({ status: 200 }))
      const created = yield* call("POST", "/api/v1/subscriptions", subscription(endpoint.url))
      assert.strictEqual(created.status, 201)
      const secret = String(created.json["signingSecret"])
      const emitted = yield* call("POST", "/api/v1/messages", emission)
      assert.strictEqual(emitted.status, 202)
      yield* eventually("it arrives", Effect.sync(() => endpoint.received.length === 1))
      const [{ body, headers } = { body: "", headers: {} }] = endpoint.received
      assert.strictEqual(headers["webhook-id"], emitted.json["id"])
      assert.deepStrictEqual(new StandardWebhook(secret).verify(body, headers), JSON.parse(body))
      assert.doesNotThrow(() => new Webhook(secret).verify(body, headers))
      assert.throws(() => new Webhook(secret).verify(`${body} `, headers))
      assert.deepInclude(JSON.parse(body), { type: emission.eventId, data: emission.payload })
      const delivery = () => call("GET", `/api/v1/deliveries?messageId=${emitted.json["id"]}&status=success`)
      yield* eventually("it is recorded", Effect.map(delivery(), ({ json }) => JSON.stringify(json).includes("dlv_")))
      const [item] = Schema.decodeUnknownSync(Schema.Array(Schema.Record(Schema.String, Schema.Json)))(
        (yield* delivery()).json["items"]
      )
      assert.strictEqual(item?.["externalId"], "ext-1")
      const detail = yield* call("GET", `/api/v1/deliveries/${String(item?.["id"])}`)
      assert.include(detail.text, "\"statusCode\":200")
    }).pipe(Effect.provide(Live)))

  it.live("Retry-After is honoured where it is later than the schedule", () =>
    Effect.gen(function*() {
      const endpoint = yield* receiver((n) =>
        n === 1 ? { status: 429, headers: { "retry-after": "1.5" } } : { status: 200 }
      )
      yield* call(
        "POST",
        "/api/v1/subscriptions",
        subscription(endpoint.url, { retry: { type: "delays", delaysMs: [100] } })
      )
      const emitted = yield* call("POST", "/api/v1/messages", emission)
      yield* eventually(
        "it waits",
        Effect.map(
          call("GET", `/api/v1/deliveries?messageId=${emitted.json["id"]}&status=retrying`),
          ({ text }) => text.includes("nextAttemptAt")
        )
      )
      yield* eventually("it arrives", Effect.sync(() => endpoint.received.length === 2))
      const [first, second] = endpoint.received
      assert.strictEqual(first?.headers["webhook-id"], second?.headers["webhook-id"])
    }).pipe(Effect.provide(Live)))

  it.live("bad input is answered with a problem that names the field", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [string, string, unknown, number, string | undefined]> = [
        ["POST", "/api/v1/messages", "{oops", 400, undefined],
        ["POST", "/api/v1/messages", { ...emission, eventId: "incident.incident.craeted" }, 422, "eventId"],
        [
          "POST",
          "/api/v1/messages",
          { ...emission, payload: { incidentId: 1, systemIds: [] } },
          422,
          "payload.incidentId"
        ],
        ["POST", "/api/v1/messages", { ...emission, idempotencyKey: "a\0" }, 422, "idempotencyKey"],
        ["POST", "/api/v1/messages", { ...emission, payload: "x".repeat(1_100_000) }, 413, undefined],
        ["POST", "/api/v1/subscriptions", subscription("http://10.0.0.1/"), 422, "config.url"],
        ["POST", "/api/v1/subscriptions", subscription("http://[::ffff:169.254.169.254]/"), 422, "config.url"],
        ["POST", "/api/v1/subscriptions", subscription("ftp://example.com/"), 422, "config.url"],
        [
          "POST",
          "/api/v1/subscriptions",
          subscription("http://127.0.0.1/", { signingSecret: "whsec_x" }),
          422,
          "signingSecret"
        ],
        ["POST", "/api/v1/subscriptions", subscription("http://127.0.0.1/", { ordered: 1 }), 422, "ordered"],
        ["POST", "/api/v1/subscriptions", subscription("http://127.0.0.1/", { filter: {} }), 422, "filter"],
        ["POST", "/api/v1/subscriptions", subscription("http://127.0.0.1/", { name: "a\0" }), 422, "name"],
        [
          "POST",
          "/api/v1/subscriptions",
          subscription("http://127.0.0.1/", { retry: { type: "delays", delaysMs: [-1] } }),
          422,
          "retry.delaysMs[0]"
        ],
        ["POST", "/api/v1/subscriptions", subscription("http://127.0.0.1/", { providerId: "x.y" }), 422, "providerId"],
        ["GET", "/api/v1/deliveries?limit=101", undefined, 422, "limit"],
        ["GET", "/api/v1/deliveries?cursor=x", undefined, 422, "cursor"],
        ["GET", "/api/v1/deliveries/dlv_x", undefined, 404, undefined],
        ["GET", "/api/v1/nowhere", undefined, 404, undefined]
      ]
      for (const [method, path, body, status, field] of cases) {
        const answer = yield* call(method, path, body)
        const what = `${method} ${path} ${JSON.stringify(body)?.slice(0, 200)}: ${answer.text}`
        assert.strictEqual(answer.status, status, what)
        assert.strictEqual(answer.type, "application/problem+json", what)
        if (field !== undefined) assert.strictEqual(answer.json["path"], field, what)
      }
    }).pipe(Effect.provide(Live)))

  it.live("nobody gets in without the key", () =>
    Effect.gen(function*() {
      for (const authorization of ["", "Bearer wrong", `Bearer ${adminKey}x`, adminKey]) {
        const answer = yield* call("GET", "/api/v1/subscriptions", undefined, { authorization })
        assert.strictEqual(answer.status, 401)
        assert.strictEqual(answer.type, "application/problem+json")
      }
      assert.strictEqual((yield* call("GET", "/health/live", undefined, { authorization: "" })).status, 200)
      assert.strictEqual((yield* call("GET", "/openapi.json", undefined, { authorization: "" })).status, 200)
    }).pipe(Effect.provide(Live)))

  it.live("a secret is shown in the answer that creates it and nowhere else", () =>
    Effect.gen(function*() {
      const created = yield* call(
        "POST",
        "/api/v1/subscriptions",
        subscription("http://127.0.0.1:1/", {
          config: { url: "http://127.0.0.1:1/", authType: "bearer", bearerToken: "pl4nted" }
        })
      )
      assert.notInclude(created.text, "pl4nted")
      const secret = String(created.json["signingSecret"])
      const path = `/api/v1/subscriptions/${String(created.json["id"])}`
      const answers = [
        yield* call("GET", path),
        yield* call("PATCH", path, { config: { timeoutMs: 2000 } }),
        yield* call("POST", `${path}/disable`),
        yield* call("GET", "/api/v1/subscriptions")
      ]
      for (const answer of answers) {
        assert.strictEqual(answer.status, 200)
        assert.notInclude(answer.text, "pl4nted")
        assert.notInclude(answer.text, secret)
        assert.include(answer.text, "\"enabled\"")
      }
      assert.strictEqual((yield* call("DELETE", path)).status, 204)
      assert.strictEqual((yield* call("GET", path)).status, 404)
    }).pipe(Effect.provide(Live)))
})
