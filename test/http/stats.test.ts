import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Limits from "../../src/Limits.ts"
import { call, emission, eventually, items, server, subscription } from "./support.ts"

const Row = Schema.Record(Schema.String, Schema.Json)

const rows = (value: Schema.Json | undefined) => Schema.decodeUnknownSync(Schema.Array(Row))(value)

const row = (value: Schema.Json | undefined) => Schema.decodeUnknownSync(Row)(value)

/** Has so many messages of a tenant delivered. */
const deliver = Effect.fnUntraced(function*(tenantId: string, count: number) {
  const made = yield* call("POST", "/api/v1/subscriptions", subscription({ tenantId }))
  for (let n = 0; n < count; n++) yield* call("POST", "/api/v1/messages", emission({ tenantId }))
  yield* eventually(
    `the messages of ${tenantId} are delivered`,
    call("GET", `/api/v1/stats?tenantId=${tenantId}`),
    ({ json }) => row(json["totals"])["success"] === count
  )
  return String(made.json["id"])
})

/** The headers of a key that is bound to a tenant. */
const bound = Effect.fnUntraced(function*(tenantId: string) {
  const { json } = yield* call("POST", "/api/v1/keys", { name: "k", scopes: ["read"], tenantId })
  return { authorization: `Bearer ${String(json["key"])}` }
})

describe("GET stats", () => {
  layer(server(), { excludeTestServices: true })((it) => {
    it.effect("tells how deliveries ended, by event, provider and subscription, and as a series", () =>
      Effect.gen(function*() {
        const subscriptionId = yield* deliver("a", 3)
        const { json, status } = yield* call("GET", "/api/v1/stats?tenantId=a&hours=48")
        assert.strictEqual(status, 200)
        const ended = { deliveries: 3, success: 3, failed: 0, cancelled: 0, attempts: 3 }
        assert.deepStrictEqual(json["totals"], { ...ended, pending: 0, retrying: 0, waitingAtLeast: false })
        assert.deepStrictEqual(json["byEvent"], [{ eventId: "incident.incident.created", ...ended }])
        assert.deepStrictEqual(json["byProvider"], [{ providerId: "test.endpoint", ...ended }])
        assert.deepStrictEqual(json["bySubscription"], [
          { subscriptionId, name: "a", providerId: "test.endpoint", ...ended }
        ])
        const series = rows(json["series"])
        assert.strictEqual(series.length, 49)
        assert.strictEqual(json["stepMs"], 3_600_000)
        assert.strictEqual(series[0]?.["at"], json["from"])
        assert.match(String(json["to"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u)
        assert.strictEqual(series.reduce((sum, one) => sum + Number(one["attempts"]), 0), 3)
        for (const query of [`subscriptionId=${subscriptionId}`, "providerId=test.endpoint&hours=1&tenantId=a"]) {
          const found = yield* call("GET", `/api/v1/stats?${query}`)
          assert.strictEqual(row(found.json["totals"])["deliveries"], 3, query)
        }
        const none = yield* call("GET", "/api/v1/stats?eventId=no.such")
        assert.strictEqual(row(none.json["totals"])["deliveries"], 0)
      }))

    it.effect("shows a key that is bound to a tenant nothing of others", () =>
      Effect.gen(function*() {
        const elsewhere = yield* deliver("b", 1)
        const own = yield* deliver("c", 2)
        const headers = yield* bound("c")
        const { json } = yield* call("GET", "/api/v1/stats", undefined, headers)
        assert.strictEqual(row(json["totals"])["deliveries"], 2)
        assert.deepStrictEqual(rows(json["bySubscription"]).map((one) => one["subscriptionId"]), [own])
        const other = yield* call("GET", `/api/v1/stats?subscriptionId=${elsewhere}`, undefined, headers)
        assert.strictEqual(row(other.json["totals"])["deliveries"], 0)
        assert.strictEqual((yield* call("GET", "/api/v1/stats?tenantId=b", undefined, headers)).status, 403)
      }))

    it.effect("refuses hours that are none, and what it does not know", () =>
      Effect.gen(function*() {
        for (const query of ["hours=0", "hours=721", "hours=x", "hours=1.5", "subscriptionId=x", "since=1"]) {
          const { status, type } = yield* call("GET", `/api/v1/stats?${query}`)
          assert.strictEqual(status, 422, query)
          assert.strictEqual(type, "application/problem+json")
        }
      }))
  })
})

describe("lists whose filter leaves little", () => {
  it.live("answer short pages, whose cursors lead to all there is", () =>
    Effect.gen(function*() {
      yield* deliver("rare", 1)
      yield* deliver("common", 7)
      for (const path of ["deliveries?tenantId=rare", "messages?tenantId=rare", "audit?tenantId=rare"]) {
        const found: Array<Schema.Json> = []
        let next = ""
        let pages = 0
        do {
          const page = yield* call("GET", `/api/v1/${path}&limit=2${next}`)
          assert.strictEqual(page.status, 200)
          found.push(...items(page.json))
          const cursor = page.json["nextCursor"]
          next = typeof cursor === "string" ? `&cursor=${cursor}` : ""
          pages++
        } while (next !== "")
        assert.strictEqual(found.length, 1, path)
        assert.isAbove(path.startsWith("messages") ? 2 : pages, 1, path)
      }
    }).pipe(Effect.provide(server().pipe(Layer.provide(Limits.layer({ listLook: 1 }))))))
})
