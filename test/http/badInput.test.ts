import { assert, describe, layer } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import { call, emission, raw, server, subscription } from "./support.ts"

type Case = readonly [
  what: string,
  method: string,
  path: string,
  body: Schema.Json | undefined,
  field: string | undefined
]

const nul = "a\0b"
const half = "a\ud800"
const webhook = (config: { readonly [name: string]: Schema.Json }) =>
  subscription({ providerId: "webhook.webhook", config })

const refused: ReadonlyArray<Case> = [
  ["an unknown event", "POST", "/messages", emission({ eventId: "incident.incident.craeted" }), "eventId"],
  ["a hook that is no event", "POST", "/messages", emission({ eventId: "incident.hidden" }), "eventId"],
  [
    "a payload of the wrong shape",
    "POST",
    "/messages",
    emission({ payload: { incidentId: 1, systemIds: [] } }),
    "payload.incidentId"
  ],
  [
    "a wrong item in a payload",
    "POST",
    "/messages",
    emission({ payload: { incidentId: "", systemIds: ["s", 1] } }),
    "payload.systemIds[1]"
  ],
  ["a message without a payload", "POST", "/messages", { eventId: "incident.incident.created" }, "payload"],
  ["a message that is an array", "POST", "/messages", [], ""],
  ["a NUL in an idempotency key", "POST", "/messages", emission({ idempotencyKey: nul }), "idempotencyKey"],
  ["a NUL in an ordering key", "POST", "/messages", emission({ orderingKey: nul }), "orderingKey"],
  ["a NUL in a tenant", "POST", "/messages", emission({ tenantId: nul }), "tenantId"],
  [
    "an idempotency key that is too long",
    "POST",
    "/messages",
    emission({ idempotencyKey: "k".repeat(257) }),
    "idempotencyKey"
  ],
  ["a delivery in the past", "POST", "/messages", emission({ deliverAt: "2020-01-31T12:00:00Z" }), "deliverAt"],
  ["a delivery after years", "POST", "/messages", emission({ deliverAt: "2099-01-31T12:00:00Z" }), "deliverAt"],
  ["a delivery at no time", "POST", "/messages", emission({ deliverAt: "soon" }), "deliverAt"],
  ["a message that has expired", "POST", "/messages", emission({ expiresAt: "2020-01-31" }), "expiresAt"],
  ["no partition", "PUT", "/events/incident.incident.created/partitions", { partitions: 0 }, "partitions"],
  ["an empty idempotency key", "POST", "/messages", emission({ idempotencyKey: "" }), "idempotencyKey"],
  ["a subscription without a name", "POST", "/subscriptions", {
    events: ["*"],
    providerId: "test.endpoint",
    config: {}
  }, "name"],
  ["a blank name", "POST", "/subscriptions", subscription({ name: "  " }), "name"],
  ["a name that is too long", "POST", "/subscriptions", subscription({ name: "n".repeat(101) }), "name"],
  ["a NUL in a name", "POST", "/subscriptions", subscription({ name: nul }), "name"],
  [
    "half a surrogate pair in an idempotency key",
    "POST",
    "/messages",
    emission({ idempotencyKey: half }),
    "idempotencyKey"
  ],
  ["half a surrogate pair in a name", "POST", "/subscriptions", subscription({ name: half }), "name"],
  [
    "half a surrogate pair in a configuration",
    "POST",
    "/subscriptions",
    subscription({ config: { name: half } }),
    "config.name"
  ],
  ["a NUL in a description", "POST", "/subscriptions", subscription({ description: nul }), "description"],
  ["a NUL in a subscription's tenant", "POST", "/subscriptions", subscription({ tenantId: nul }), "tenantId"],
  ["a NUL in an event", "POST", "/subscriptions", subscription({ events: [nul] }), "events[0]"],
  [
    "a NUL in a configuration",
    "POST",
    "/subscriptions",
    subscription({ config: { name: "a", token: nul } }),
    "config.token"
  ],
  ["no events", "POST", "/subscriptions", subscription({ events: [] }), "events"],
  [
    "too many events",
    "POST",
    "/subscriptions",
    subscription({ events: Array.from({ length: 101 }, (_, i) => `e${i}.*`) }),
    "events"
  ],
  [
    "an unknown event id",
    "POST",
    "/subscriptions",
    subscription({ events: ["*", "incident.incident.craeted"] }),
    "events[1]"
  ],
  ["a malformed pattern", "POST", "/subscriptions", subscription({ events: ["incident*"] }), "events[0]"],
  ["an unknown provider", "POST", "/subscriptions", subscription({ providerId: "test.endpiont" }), "providerId"],
  [
    "a configuration of the wrong shape",
    "POST",
    "/subscriptions",
    subscription({ config: { name: 1 } }),
    "config.name"
  ],
  ["a configuration that is no object", "POST", "/subscriptions", subscription({ config: null }), "config"],
  [
    "a configuration that is too large",
    "POST",
    "/subscriptions",
    subscription({ config: { name: "ä".repeat(33_000) } }),
    "config"
  ],
  ["a loopback target", "POST", "/subscriptions", webhook({ url: "http://127.0.0.1:80/" }), "config.url"],
  ["a private target", "POST", "/subscriptions", webhook({ url: "https://10.0.0.1/" }), "config.url"],
  [
    "a target of metadata, spelled as a number",
    "POST",
    "/subscriptions",
    webhook({ url: "http://2852039166/" }),
    "config.url"
  ],
  ["a target that is no URL", "POST", "/subscriptions", webhook({ url: "nowhere" }), "config.url"],
  ["a malformed secret", "POST", "/subscriptions", subscription({ signingSecret: "whsec_AAAA" }), "signingSecret"],
  [
    "a secret without its prefix",
    "POST",
    "/subscriptions",
    subscription({ signingSecret: "A".repeat(44) }),
    "signingSecret"
  ],
  [
    "a malformed retry schedule",
    "POST",
    "/subscriptions",
    subscription({ retry: { type: "delays", delaysMs: [1, -1] } }),
    "retry.delaysMs[1]"
  ],
  [
    "a preset that does not exist",
    "POST",
    "/subscriptions",
    subscription({ retry: { type: "preset", name: "x" } }),
    "retry.name"
  ],
  ["an unknown property", "POST", "/subscriptions", subscription({ enabeld: false }), "enabeld"],
  ["a filter", "POST", "/subscriptions", subscription({ filter: {} }), "filter"],
  ["order of a text", "POST", "/subscriptions", subscription({ ordered: "yes" }), "ordered"],
  [
    "a rate limit without a time",
    "POST",
    "/subscriptions",
    subscription({ rateLimit: { messages: 1 } }),
    "rateLimit.intervalMs"
  ],
  [
    "a rate limit of nothing",
    "POST",
    "/subscriptions",
    subscription({ rateLimit: { messages: 0, intervalMs: 1 } }),
    "rateLimit.messages"
  ],
  ["no attempt at once", "POST", "/subscriptions", subscription({ maxConcurrency: 0 }), "maxConcurrency"],
  ["a limit of 0", "GET", "/subscriptions?limit=0", undefined, "limit"],
  ["a limit of 101", "GET", "/messages?limit=101", undefined, "limit"],
  ["a limit that is no integer", "GET", "/deliveries?limit=1.5", undefined, "limit"],
  ["an empty limit", "GET", "/deliveries?limit=", undefined, "limit"],
  ["a cursor that no text of the database is", "GET", "/cluster/dispatchers?cursor=%00", undefined, "cursor"],
  ["another list's cursor", "GET", "/deliveries?cursor=msg_018f3c1a2b3c7d4e8f90a1b2c3d4e5f6", undefined, "cursor"],
  ["an unknown status", "GET", "/deliveries?status=done", undefined, "status"],
  ["a malformed id in a filter", "GET", "/deliveries?subscriptionId=sub_1", undefined, "subscriptionId"],
  ["a time without a zone", "GET", "/deliveries?from=2026-01-31T12:00:00", undefined, "from"],
  ["a time that does not exist", "GET", "/deliveries?to=2026-01-31T99:00:00Z", undefined, "to"],
  ["a day that its month does not have", "GET", "/deliveries?from=2026-02-31T00:00:00Z", undefined, "from"],
  ["a NUL in a filter", "GET", "/messages?eventId=a%00b", undefined, "eventId"],
  ["a NUL in a delivery's filter", "GET", "/deliveries?tenantId=a%00b", undefined, "tenantId"],
  ["a NUL in a subscription's filter", "GET", "/subscriptions?tenantId=a%00b", undefined, "tenantId"],
  ["a filter that is given twice", "GET", "/subscriptions?tenantId=a&tenantId=b", undefined, "tenantId"],
  ["a misspelt grouping", "GET", "/events?group=category", undefined, "group"],
  ["a misspelt filter of messages", "GET", "/messages?limit=1&event=a", undefined, "event"],
  ["a misspelt page of an explanation", "GET", `/messages/msg_${"0".repeat(32)}/explain?page=2`, undefined, "page"],
  ["a misspelt filter of subscriptions", "GET", "/subscriptions?enabeld=true", undefined, "enabeld"],
  ["a misspelt filter of deliveries", "GET", "/deliveries?tenantId=a&subscription=b", undefined, "subscription"],
  ["a misspelt filter of the stream", "GET", "/stream?tenant=a", undefined, "tenant"],
  ["a misspelt filter of dispatchers", "GET", "/cluster/dispatchers?runner=a", undefined, "runner"],
  ["a parameter of a route that has none", "GET", "/cluster?runnerId=a", undefined, "runnerId"],
  ["a parameter beside a body", "POST", "/messages?tenantId=a", emission(), "tenantId"],
  ["a parameter that is a property of every object", "GET", "/messages?toString=a", undefined, "toString"]
]

describe("bad input", () => {
  layer(server(), { excludeTestServices: true })((it) => {
    for (const [what, method, path, body, field] of refused) {
      it.effect(`${what} is refused with 422 at its field`, () =>
        Effect.gen(function*() {
          const answer = yield* call(method, `/api/v1${path}`, body)
          assert.strictEqual(answer.status, 422, answer.text)
          assert.strictEqual(answer.type, "application/problem+json")
          assert.deepInclude(answer.json, { status: 422, path: field })
          for (const name of ["type", "title", "detail"]) assert.isString(answer.json[name])
        }))
    }

    it.effect("an unknown name is answered with the nearest known one", () =>
      Effect.gen(function*() {
        const event = yield* call("POST", "/api/v1/messages", emission({ eventId: "incident.incident.craeted" }))
        assert.include(event.text, "did you mean \\\"incident.incident.created\\\"?")
        const provider = yield* call("POST", "/api/v1/subscriptions", subscription({ providerId: "x.y" }))
        assert.include(provider.text, "webhook.webhook, test.endpoint")
        const filter = yield* call("GET", "/api/v1/deliveries?subscription=a")
        assert.include(filter.text, "did you mean \\\"subscriptionId\\\"?")
        const order = yield* call("GET", "/api/v1/subscriptions?sort=name")
        assert.include(order.text, "there are limit, cursor, tenantId, enabled")
      }))

    it.effect("who has no key is not told the parameters", () =>
      Effect.gen(function*() {
        const answer = yield* call("GET", "/api/v1/deliveries?tenant=a", undefined, { authorization: "Bearer no" })
        assert.strictEqual(answer.status, 401, answer.text)
      }))

    it.effect("a body that is no JSON is 400", () =>
      Effect.gen(function*() {
        for (const body of ["{oops", "", "undefined", "{\"a\":1}}"]) {
          for (const path of ["/api/v1/messages", "/api/v1/subscriptions"]) {
            const answer = yield* call("POST", path, body)
            assert.strictEqual(answer.status, 400, `${path} ${body}: ${answer.text}`)
            assert.strictEqual(answer.type, "application/problem+json")
          }
        }
      }))

    it.effect("a body that is not declared as JSON is 415 and says what to send", () =>
      Effect.gen(function*() {
        const answer = yield* call("POST", "/api/v1/messages", emission(), { "content-type": "text/plain" })
        assert.strictEqual(answer.status, 415)
        assert.strictEqual(answer.type, "application/problem+json")
        assert.include(answer.text, "application/json")
      }))

    it.effect("a body over the limit is 413, whether its length is declared or not", () =>
      Effect.gen(function*() {
        const large = JSON.stringify(emission({ payload: { incidentId: "x".repeat(1_100_000), systemIds: [] } }))
        const chunked = new ReadableStream({
          start: (controller) => {
            for (let at = 0; at < large.length; at += 100_000) {
              controller.enqueue(new TextEncoder().encode(large.slice(at, at + 100_000)))
            }
            controller.close()
          }
        })
        for (const body of [large, chunked]) {
          const answer = yield* call("POST", "/api/v1/messages", body)
          assert.strictEqual(answer.status, 413, answer.text)
          assert.strictEqual(answer.type, "application/problem+json")
        }
      }))

    it.effect("JSON that is nested too deep to be read is refused and is no fault of the server's", () =>
      Effect.gen(function*() {
        for (const depth of [1000, 3000, 10_000, 50_000, 200_000]) {
          const payload = "[".repeat(depth) + "]".repeat(depth)
          const answers = [
            yield* call("POST", "/api/v1/messages", `{"eventId":"incident.broken","payload":${payload}}`),
            yield* call(
              "POST",
              "/api/v1/subscriptions",
              `{"name":"a","events":["*"],"providerId":"test.endpoint","config":{"name":"a","token":${payload}}}`
            )
          ]
          for (const answer of answers) assert.include([400, 422], answer.status, `${depth}: ${answer.text}`)
        }
        assert.strictEqual((yield* call("GET", "/health/live")).status, 200)
      }))

    it.effect("a NUL inside a payload's text is legal JSON and comes back as it went", () =>
      Effect.gen(function*() {
        const payload = { incidentId: "i1", systemIds: [nul] }
        const answer = yield* call("POST", "/api/v1/messages", emission({ payload }))
        assert.strictEqual(answer.status, 202, answer.text)
        const read = yield* call("GET", `/api/v1/messages/${String(answer.json["id"])}`)
        assert.deepStrictEqual(read.json["payload"], payload)
      }))

    it.effect("a malformed or unknown id in a path is 404", () =>
      Effect.gen(function*() {
        const uuid = "018f3c1a2b3c7d4e8f90a1b2c3d4e5f6"
        const paths = [
          ["GET", "/messages/msg_1"],
          ["GET", `/messages/msg_${uuid}`],
          ["GET", `/messages/sub_${uuid}`],
          ["POST", `/messages/msg_${uuid}/retry`],
          ["GET", `/subscriptions/sub_${uuid}`],
          ["GET", "/subscriptions/%00"],
          ["DELETE", `/subscriptions/sub_${uuid}`],
          ["POST", `/subscriptions/sub_${uuid}/enable`],
          ["POST", "/subscriptions/nothing/disable"],
          ["GET", `/deliveries/dlv_${uuid}`],
          ["POST", `/deliveries/dlv_${uuid}/retry`],
          ["GET", "/events/incident.nothing"],
          ["GET", `/events/${"x".repeat(5000)}/schema`],
          ["GET", "/nowhere"]
        ] as const
        for (const [method, path] of paths) {
          const answer = yield* call(method, `/api/v1${path}`)
          assert.strictEqual(answer.status, 404, `${method} ${path}: ${answer.text}`)
          assert.strictEqual(answer.type, "application/problem+json")
          assert.isString(answer.json["detail"])
        }
        const patched = yield* call("PATCH", `/api/v1/subscriptions/sub_${uuid}`, {})
        assert.strictEqual(patched.status, 404)
      }))

    it.effect("a path with a malformed escape is a problem and no failure", () =>
      Effect.gen(function*() {
        for (const path of ["/api/v1/events/%zz", "/api/v1/messages/%e0%a4", "/%", "//"]) {
          const answer = yield* raw("GET", path)
          assert.include([400, 404], answer.status, path)
          assert.strictEqual(answer.type, "application/problem+json")
        }
      }))

    it.effect("a method that a route does not have is 405 and says which it has", () =>
      Effect.gen(function*() {
        const cases = [
          ["PUT", "/api/v1/messages", "GET, HEAD, POST"],
          ["DELETE", "/api/v1/events", "GET, HEAD"],
          ["GET", "/api/v1/subscriptions/sub_1/enable", "POST"],
          ["PUT", "/api/v1/subscriptions/sub_1", "DELETE, GET, HEAD, PATCH"],
          ["POST", "/health/live", "GET, HEAD"],
          ["POST", "/openapi.json", "GET, HEAD"]
        ] as const
        for (const [method, path, allow] of cases) {
          const answer = yield* call(method, path)
          assert.strictEqual(answer.status, 405, `${method} ${path}: ${answer.text}`)
          assert.strictEqual(answer.type, "application/problem+json")
          assert.strictEqual(answer.headers.get("allow"), allow)
        }
      }))
  })
})
