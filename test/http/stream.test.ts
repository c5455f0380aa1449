import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { request } from "node:http"
import * as Limits from "../../src/Limits.ts"
import { allTenants } from "../../src/Message.ts"
import * as Provider from "../../src/Provider.ts"
import { subscribe } from "../storage/support.ts"
import { Endpoints } from "../support/world.ts"
import { adminKey, call, emission, eventually, items, port, server, subscription } from "./support.ts"

const Data = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

/** A client of the stream that reads as it is told; `events` are those that have come whole. */
const open = Effect.fnUntraced(
  function*(query = "", options: { readonly read?: boolean; readonly after?: string; readonly key?: string } = {}) {
    const target = { host: "127.0.0.1", port: yield* port, path: `/api/v1/stream${query}`, agent: false }
    return yield* Effect.acquireRelease(
      Effect.callback<{
        readonly status: number
        readonly type: string
        readonly text: () => string
        readonly ended: () => boolean
        readonly events: () => ReadonlyArray<readonly [name: string, data: { readonly [key: string]: Schema.Json }]>
        readonly read: () => void
        readonly leave: () => void
      }>((resume) => {
        const after = options.after === undefined ? {} : { "last-event-id": options.after }
        const headers = { authorization: `Bearer ${options.key ?? adminKey}`, ...after }
        const sent = request({ ...target, headers }, (response) => {
          let text = ""
          let ended = false
          response.setEncoding("utf8").on("end", () => {
            ended = true
          }).on("error", () => {})
          const read = () => {
            response.on("data", (chunk: string) => {
              text += chunk
            })
          }
          if (options.read !== false) read()
          resume(Effect.succeed({
            status: response.statusCode ?? 0,
            type: String(response.headers["content-type"]),
            text: () => text,
            ended: () => ended,
            events: () =>
              [...text.matchAll(/^(?:id: .*\n)?event: (\w+)\ndata: (.*)\n\n/gmu)].map(([, name = "", data = ""]) =>
                [name, Schema.decodeUnknownSync(Data)(data)] as const
              ),
            read,
            leave: () => sent.destroy()
          }))
        })
        sent.on("error", () => {})
        sent.end()
      }),
      ({ leave }) => Effect.sync(leave)
    )
  }
)

const emit = (incidentId = "i1") =>
  call("POST", "/api/v1/messages", emission({ payload: { incidentId, systemIds: [] } }))

const limited = (limits: Partial<Limits.Limits>, endpoints?: Endpoints) =>
  server(endpoints === undefined ? {} : { endpoints }).pipe(Layer.provide(Limits.layer(limits)))

describe("GET stream", () => {
  it.live("tells a key of one tenant nothing of what work queues do with its messages", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("queue", () => Effect.fail(new Provider.PermanentError({ code: "no", message: "db-7" })))
    return Effect.gen(function*() {
      yield* subscribe({ tenantId: allTenants, name: "queue", config: { name: "queue" } })
      yield* call("POST", "/api/v1/subscriptions", subscription())
      const key = yield* call("POST", "/api/v1/keys", { name: "a", scopes: ["read"], tenantId: "default" })
      const bound = yield* open("", { key: String(key.json["key"]) })
      const all = yield* open()
      for (const incidentId of ["i1", "i2"]) yield* emit(incidentId)
      yield* eventually("all is told", Effect.sync(all.events), (found) => found.length === 4)
      yield* eventually("what is the tenant's is told", Effect.sync(bound.events), (found) => found.length === 2)
      assert.notInclude(bound.text(), "db-7")
      assert.include(all.text(), "db-7")
    }).pipe(Effect.provide(server({ endpoints })))
  })

  it.live("tells each outcome as it is recorded, to those who asked for it", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", (attempt) =>
      attempt.number === 1
        ? Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "HTTP 500", statusCode: 500 }))
        : Effect.succeed({ statusCode: 200, externalId: "x-1", response: { headers: {}, body: "thanks" } }))
    return Effect.gen(function*() {
      const created = yield* call(
        "POST",
        "/api/v1/subscriptions",
        subscription({ retry: { type: "delays", delaysMs: [1] } })
      )
      const id = String(created.json["id"])
      const all = yield* open()
      assert.strictEqual(all.status, 200)
      assert.match(all.type, /^text\/event-stream/u)
      const own = yield* open(`?subscriptionId=${id}&eventId=incident.incident.created&tenantId=default`)
      const others = [
        yield* open(`?subscriptionId=sub_${"0".repeat(32)}`),
        yield* open("?eventId=incident.broken"),
        yield* open("?tenantId=other")
      ]
      const emitted = yield* emit()
      for (const client of [all, own]) {
        const [first, second] = yield* eventually(
          "both outcomes",
          Effect.sync(client.events),
          (found) => found.length >= 2
        )
        assert.strictEqual(first?.[0], "delivery")
        assert.deepInclude(first?.[1], {
          messageId: emitted.json["id"],
          subscriptionId: id,
          status: "retrying",
          attemptCount: 1,
          lastError: "HTTP 500"
        })
        assert.deepInclude(first?.[1]["attempt"], { number: 1, outcome: "retryable", statusCode: 500 })
        assert.property(first?.[1], "nextAttemptAt")
        assert.deepInclude(second?.[1], { status: "success", attemptCount: 2, externalId: "x-1" })
        assert.notInclude(client.text(), "thanks")
        const { json } = yield* call("GET", `/api/v1/deliveries/${String(second?.[1]["id"])}`)
        const { attempt, completedAt, ...live } = second?.[1] ?? {}
        const { attempts, completedAt: recordedAt, ...stored } = json
        assert.deepStrictEqual(live, stored)
        assert.match(String(completedAt), /^\d{4}-.*Z$/u)
        assert.isAtLeast(Date.parse(String(recordedAt)), Date.parse(String(completedAt)) - 1)
        assert.isObject(attempt)
        assert.isArray(attempts)
      }
      for (const client of others) assert.deepStrictEqual(client.events(), [])
    }).pipe(Effect.provide(server({ endpoints })))
  })

  it.live("goes on after the outcome that a client saw last, and says where it can't", () =>
    Effect.gen(function*() {
      yield* call("POST", "/api/v1/subscriptions", subscription())
      const client = yield* open()
      yield* emit("i1")
      yield* eventually("the first", Effect.sync(client.events), (found) => found.length === 1)
      const id = /^id: (\S+)$/mu.exec(client.text())?.[1] ?? ""
      client.leave()
      yield* emit("i2")
      yield* eventually(
        "the second is recorded",
        call("GET", "/api/v1/deliveries?status=success"),
        ({ json }) => items(json).length === 2
      )
      const back = yield* open("", { after: id })
      const seen = yield* eventually("the second", Effect.sync(back.events), (found) => found.length === 1)
      assert.strictEqual(seen[0]?.[0], "delivery")
      const elsewhere = yield* open("", { after: "0-1" })
      const told = yield* eventually("the gap", Effect.sync(elsewhere.events), (found) => found.length === 1)
      assert.deepStrictEqual(told[0]?.[0], "gap")
    }).pipe(Effect.provide(server())))

  it.live("shows at once, and again while nothing happens, that it is open", () =>
    Effect.gen(function*() {
      const client = yield* open()
      yield* eventually("three comments", Effect.sync(client.text), (text) => text.split(": open\n\n").length > 3)
    }).pipe(Effect.provide(limited({ liveHeartbeatMs: 10 }))))

  it.live("ends when the key that it was opened with is revoked", () =>
    Effect.gen(function*() {
      const { json: { id, key } } = yield* call("POST", "/api/v1/keys", { name: "reader", scopes: ["read"] })
      const [revoked, good] = [yield* open("", { key: String(key) }), yield* open()]
      yield* eventually("it is open", Effect.sync(revoked.text), (text) => text.split(": open\n\n").length > 2)
      assert.strictEqual((yield* call("DELETE", `/api/v1/keys/${String(id)}`)).status, 204)
      yield* eventually("it ends", Effect.sync(revoked.ended), (ended) => ended)
      assert.isFalse(good.ended())
      assert.strictEqual((yield* open("", { key: String(key) })).status, 401)
    }).pipe(Effect.scoped, Effect.provide(limited({ liveHeartbeatMs: 50 }))))

  it.live("serves a bounded number of clients, and forgets one that has left", () =>
    Effect.gen(function*() {
      // A question for the headers alone leaves nobody listening.
      assert.strictEqual((yield* call("HEAD", "/api/v1/stream")).status, 200)
      const first = yield* open()
      assert.strictEqual(first.status, 200)
      const head = yield* call("HEAD", "/api/v1/stream")
      assert.strictEqual(head.status, 503)
      const refused = yield* call("GET", "/api/v1/stream")
      assert.strictEqual(refused.status, 503)
      assert.include(String(refused.json["detail"]), "1 listeners")
      first.leave()
      yield* eventually("there is room again", open(), ({ status }) => status === 200)
    }).pipe(Effect.provide(limited({ liveListeners: 1 }))))

  it.live("has room for others where the keys of one tenant have their share", () =>
    Effect.gen(function*() {
      const { json: { key } } = yield* call("POST", "/api/v1/keys", { name: "a", scopes: ["read"], tenantId: "acme" })
      const acme = yield* open("", { key: String(key) })
      assert.strictEqual(acme.status, 200)
      const refused = yield* call("GET", "/api/v1/stream", undefined, { authorization: `Bearer ${String(key)}` })
      assert.deepStrictEqual([refused.status, refused.headers.get("retry-after")], [429, "1"])
      assert.include(String(refused.json["detail"]), "1 listeners of this tenant")
      assert.strictEqual((yield* open()).status, 200)
      acme.leave()
      yield* eventually("it has room again", open("", { key: String(key) }), ({ status }) => status === 200)
    }).pipe(Effect.provide(limited({ liveListenersPerTenant: 1 }))))

  it.live("a client that does not read misses outcomes, is told how many, and holds nobody up", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", () => Effect.succeed({ externalId: "x".repeat(100_000) }))
    const count = 300
    return Effect.gen(function*() {
      yield* call("POST", "/api/v1/subscriptions", subscription())
      const slow = yield* open("", { read: false })
      const quick = yield* open()
      for (let n = 0; n < count; n++) yield* emit(`i${n}`)
      yield* eventually(
        "all are recorded",
        Effect.map(call("GET", "/api/v1/deliveries?limit=100"), ({ json }) => items(json)),
        (found) => endpoints.seen.length === count && found.every((item) => item["status"] === "success")
      )
      yield* eventually(
        "the quick one has the last",
        Effect.sync(quick.events),
        (found) => found.some(([, data]) => data["messageId"] === endpoints.seen.at(-1)?.attempt.message.id)
      )
      slow.read()
      const told = () =>
        slow.events().reduce((sum, [name, data]) => sum + (name === "dropped" ? Number(data["count"]) : 1), 0)
      yield* eventually("every outcome is told or counted", Effect.sync(told), (sum) => sum === count)
      const dropped = slow.events().filter(([name]) => name === "dropped")
      assert.isAtLeast(dropped.length, 1)
    }).pipe(Effect.provide(limited({ liveBuffer: 5 }, endpoints)))
  }, 20_000)

  it.live("ends when the server stops, also where a client does not read", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", () => Effect.succeed({ externalId: "x".repeat(100_000) }))
    return Effect.gen(function*() {
      const client = yield* Effect.gen(function*() {
        yield* call("POST", "/api/v1/subscriptions", subscription())
        const client = yield* open()
        yield* open("", { read: false })
        for (let n = 0; n < 200; n++) yield* emit(`i${n}`)
        yield* eventually("all were sent", Effect.sync(() => endpoints.seen.length), (seen) => seen === 200)
        return client
      }).pipe(Effect.provide(limited({}, endpoints)))
      yield* eventually("it has ended", Effect.sync(client.ended), (ended) => ended)
    })
  }, 15_000)

  it.live("a filter that is no id is refused", () =>
    Effect.gen(function*() {
      const answer = yield* call("GET", "/api/v1/stream?subscriptionId=x")
      assert.strictEqual(answer.status, 422)
      assert.strictEqual(answer.json["path"], "subscriptionId")
    }).pipe(Effect.provide(server())))
})
