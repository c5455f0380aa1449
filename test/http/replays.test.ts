import { assert, describe, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { PermanentError } from "../../src/Provider.ts"
import { Endpoints } from "../support/world.ts"
import { call, eventually, items, server, subscription } from "./support.ts"

const endpoints = new Endpoints()
const refused = () => Effect.fail(new PermanentError({ code: "HttpStatus", message: "HTTP 400" }))

/** A key with a scope for a tenant, as the headers that carry it. */
const keyOf = Effect.fnUntraced(function*(tenantId: string, scopes: ReadonlyArray<string> = ["manage"]) {
  const made = yield* call("POST", "/api/v1/keys", { name: tenantId, scopes, tenantId })
  assert.strictEqual(made.status, 201, made.text)
  return { authorization: `Bearer ${String(made.json["key"])}` }
})

const Counts = Schema.Struct({
  matched: Schema.Int,
  replayed: Schema.Int,
  skipped: Schema.Int,
  notKept: Schema.Int
})

const countsOf = (json: { readonly [name: string]: Schema.Json }) => Schema.decodeUnknownSync(Counts)(json["counts"])

/** Subscribes an endpoint of a tenant that refuses, and fails so many deliveries. */
const failed = Effect.fnUntraced(function*(tenantId: string, count: number) {
  endpoints.behaviours.set(tenantId, refused)
  const made = yield* call(
    "POST",
    "/api/v1/subscriptions",
    subscription({ name: tenantId, tenantId, events: ["incident.broken"], config: { name: tenantId } })
  )
  assert.strictEqual(made.status, 201, made.text)
  const subscriptionId = String(made.json["id"])
  const sent = yield* Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) => call("POST", "/api/v1/messages", { eventId: "incident.broken", payload: { n }, tenantId })
  )
  const failures = `/api/v1/deliveries?status=failed&subscriptionId=${subscriptionId}`
  yield* eventually("all have failed", call("GET", failures), ({ json }) => items(json).length === count)
  endpoints.behaviours.delete(tenantId)
  return { subscriptionId, messageId: String(sent[0]?.json["id"]) }
})

describe("replays over HTTP", () => {
  layer(server({ endpoints }), { excludeTestServices: true })((it) => {
    it.effect("a dry run counts and makes nothing; a replay is made, seen through and listed", () =>
      Effect.gen(function*() {
        const { subscriptionId } = yield* failed("whole", 3)
        const filter = { subscriptionId, from: "2020-01-01", to: "2100-01-01T00:00:00+02:00" }
        const counted = yield* call("POST", "/api/v1/replays", { filter, dryRun: true })
        assert.strictEqual(counted.status, 200, counted.text)
        assert.deepStrictEqual(counted.json, { matched: 3 })
        assert.deepStrictEqual(items((yield* call("GET", "/api/v1/replays")).json), [])
        const made = yield* call("POST", "/api/v1/replays", { filter, freshWebhookId: true })
        assert.strictEqual(made.status, 201, made.text)
        assert.match(String(made.json["id"]), /^rpl_[0-9a-f]{32}$/u)
        assert.deepInclude(made.json, {
          state: "running",
          freshWebhookId: true,
          counts: { matched: 0, replayed: 0, skipped: 0, notKept: 0 },
          filter: { subscriptionId, status: "failed", from: "2020-01-01T00:00:00.000Z", to: "2099-12-31T22:00:00.000Z" }
        })
        const path = `/api/v1/replays/${String(made.json["id"])}`
        const done = yield* eventually("it is done", call("GET", path), ({ json }) => json["state"] === "completed")
        assert.deepStrictEqual(countsOf(done.json), { matched: 3, replayed: 3, skipped: 0, notKept: 0 })
        assert.isString(done.json["completedAt"])
        assert.isString(done.json["reachedAt"])
        const succeeded = `/api/v1/deliveries?status=success&subscriptionId=${subscriptionId}`
        yield* eventually("all have arrived", call("GET", succeeded), ({ json }) => items(json).length === 3)
        const listed = yield* call("GET", "/api/v1/replays?state=completed")
        assert.deepStrictEqual(items(listed.json).map(({ id }) => id), [made.json["id"]])
        for (const change of ["pause", "resume", "cancel"]) {
          const refused = yield* call("POST", `${path}/${change}`)
          assert.strictEqual(refused.status, 409, refused.text)
          assert.include(refused.text, "this one is completed")
        }
        const audit = yield* call("GET", `/api/v1/audit?resourceId=${String(made.json["id"])}`)
        assert.deepStrictEqual(items(audit.json).map(({ action }) => action), ["replay.create"])
      }))

    it.effect("a key of a tenant replays its tenant's deliveries only, and sees no other's replays", () =>
      Effect.gen(function*() {
        const acme = yield* failed("acme", 2)
        const bolt = yield* failed("bolt", 2)
        const key = yield* keyOf("acme")
        const filter = { eventId: "incident.broken", from: "2020-01-01" }
        const count = yield* call("POST", "/api/v1/replays", { filter, dryRun: true }, key)
        assert.deepStrictEqual(count.json, { matched: 2 })
        const made = yield* call("POST", "/api/v1/replays", { filter }, key)
        assert.deepInclude(made.json, { tenantId: "acme" })
        const path = `/api/v1/replays/${String(made.json["id"])}`
        yield* eventually("it is done", call("GET", path, undefined, key), ({ json }) => json["state"] === "completed")
        const left = (subscriptionId: string) =>
          call("GET", `/api/v1/deliveries?status=failed&subscriptionId=${subscriptionId}`)
        assert.strictEqual(items((yield* left(acme.subscriptionId)).json).length, 0)
        assert.strictEqual(items((yield* left(bolt.subscriptionId)).json).length, 2)
        for (const [name, value] of [["subscriptionId", bolt.subscriptionId], ["messageId", bolt.messageId]] as const) {
          const refused = yield* call("POST", "/api/v1/replays", { filter: { [name]: value } }, key)
          assert.strictEqual(refused.status, 422, refused.text)
          assert.deepInclude(refused.json, { path: `filter.${name}` })
        }
        const theirs = yield* call("POST", "/api/v1/replays", { filter, tenantId: "bolt" }, key)
        assert.strictEqual(theirs.status, 403)
        const other = yield* keyOf("bolt")
        assert.strictEqual((yield* call("GET", path, undefined, other)).status, 404)
        for (const change of ["pause", "resume", "cancel"]) {
          assert.strictEqual((yield* call("POST", `${path}/${change}`, undefined, other)).status, 404)
        }
        assert.deepStrictEqual(items((yield* call("GET", "/api/v1/replays", undefined, other)).json), [])
        const mine = items((yield* call("GET", "/api/v1/replays", undefined, key)).json)
        assert.deepStrictEqual(mine.map(({ id }) => id), [made.json["id"]])
        const reader = yield* keyOf("acme", ["read"])
        assert.strictEqual((yield* call("GET", path, undefined, reader)).status, 200)
        assert.strictEqual((yield* call("POST", "/api/v1/replays", { filter }, reader)).status, 403)
      }))

    it.effect("what makes no sense is refused with its field", () =>
      Effect.gen(function*() {
        const { subscriptionId } = yield* failed("refusing", 1)
        const cases: ReadonlyArray<readonly [body: { readonly [name: string]: Schema.Json }, path: string]> = [
          [{}, "filter"],
          [{ filter: {} }, "filter"],
          [{ filter: { status: "success", reason: "expired", from: "2020-01-01" } }, "filter.reason"],
          [{ filter: { subscriptionId, reason: "held" } }, "filter.reason"],
          [{ filter: { subscriptionId, status: "pending" } }, "filter.status"],
          [{ filter: { from: "2020-01-02", to: "2020-01-01" } }, "filter.to"],
          [{ filter: { from: "yesterday" } }, "filter.from"],
          [{ filter: { subscription: subscriptionId } }, "filter.subscription"],
          [{ filter: { subscriptionId }, dry: true }, "dry"]
        ]
        for (const [body, path] of cases) {
          const refused = yield* call("POST", "/api/v1/replays", body)
          assert.strictEqual(refused.status, 422, JSON.stringify(body))
          assert.deepInclude(refused.json, { path }, refused.text)
        }
        assert.strictEqual((yield* call("GET", "/api/v1/replays/rpl_x")).status, 404)
        assert.strictEqual((yield* call("GET", "/api/v1/replays?state=done")).status, 422)
      }))
  })
})
