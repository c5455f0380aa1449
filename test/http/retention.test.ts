import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Schema } from "effect"
import * as Id from "../../src/Id.ts"
import * as Limits from "../../src/Limits.ts"
import * as Provider from "../../src/Provider.ts"
import { dayMs, dayOf } from "../../src/Retention.ts"
import { Storage } from "../../src/Storage.ts"
import { Endpoints } from "../support/world.ts"
import { call, eventually, items, server, subscription } from "./support.ts"

const tenantId = "acme"

/** A server whose endpoint refuses, so that there is something to deliver again; what was routed is settled at once. */
const layer = () => {
  const endpoints = new Endpoints()
  endpoints.behaviours.set("a", () => Effect.fail(new Provider.PermanentError({ code: "No", message: "no" })))
  return server({ endpoints }).pipe(Layer.provideMerge(Limits.layer({ broadcastKeptMs: 0 })))
}

/** Has a message delivered that was emitted some days ago. */
const deliver = Effect.fnUntraced(function*(daysAgo: number) {
  const storage = yield* Storage
  yield* call("POST", "/api/v1/subscriptions", subscription({ tenantId }))
  const id = yield* Id.messageId((yield* storage.now) - daysAgo * dayMs)
  yield* storage.append([{
    id,
    tenantId,
    eventId: "incident.incident.created",
    orderingKey: undefined,
    payloadJson: "{\"incidentId\":\"i1\",\"systemIds\":[]}"
  }])
  const { json } = yield* eventually(
    "it is delivered",
    call("GET", `/api/v1/deliveries?messageId=${id}`),
    ({ json }) => items(json)[0]?.["status"] === "failed"
  )
  return { id, deliveryId: String(items(json)[0]?.["id"]) }
})

const put = (keptDays: Schema.Json, tenant = tenantId) =>
  call("PUT", `/api/v1/retention/tenants/${encodeURIComponent(tenant)}`, { keptDays })

const apply = call("POST", "/api/v1/retention/apply")

describe("retention over HTTP", () => {
  it.live("a tenant's shorter term empties bodies, and whatever shows them says so", () =>
    Effect.gen(function*() {
      const { deliveryId, id } = yield* deliver(10)
      assert.deepStrictEqual((yield* put(7)).json, { tenantId, keptDays: 7 })
      assert.deepStrictEqual((yield* call("GET", "/api/v1/retention")).json["tenants"], [{ tenantId, keptDays: 7 }])
      assert.deepStrictEqual(items((yield* call("GET", "/api/v1/retention/tenants")).json), [{ tenantId, keptDays: 7 }])
      assert.deepStrictEqual((yield* apply).json, { dropped: [], bodiesEmptied: 1, more: false })
      const { json: message } = yield* call("GET", `/api/v1/messages/${id}`)
      assert.deepInclude(message, { payload: null, bodyExpired: true, state: "routed" })
      assert.deepInclude(items((yield* call("GET", "/api/v1/messages")).json)[0], { bodyExpired: true })

      const { json: explained, status } = yield* call("GET", `/api/v1/messages/${id}/explain`)
      assert.strictEqual(status, 200)
      assert.deepInclude(items(explained)[0], { verdict: "delivery" })
      const later = yield* call(
        "POST",
        "/api/v1/subscriptions",
        subscription({ tenantId, name: "b", filter: { field: "payload.incidentId", equals: "x" } })
      )
      assert.strictEqual(later.status, 201, later.text)
      assert.deepInclude(items((yield* call("GET", `/api/v1/messages/${id}/explain`)).json)[0], {
        verdict: "no-record"
      })

      const retried = yield* call("POST", `/api/v1/deliveries/${deliveryId}/retry`)
      assert.strictEqual(retried.status, 409)
      assert.include(retried.text, "not kept any more")
      const replay = yield* call("POST", "/api/v1/replays", { filter: { messageId: id } })
      const { json: done } = yield* eventually(
        "the replay has ended",
        call("GET", `/api/v1/replays/${String(replay.json["id"])}`),
        ({ json }) => json["state"] === "completed"
      )
      assert.deepStrictEqual(done["counts"], { matched: 1, replayed: 0, skipped: 1, notKept: 1 })
      const { json: again } = yield* call("GET", `/api/v1/deliveries/${deliveryId}`)
      assert.deepInclude(again, { status: "failed", attemptCount: 1 })

      assert.strictEqual((yield* call("DELETE", `/api/v1/retention/tenants/${tenantId}`)).status, 204)
      assert.strictEqual((yield* call("DELETE", `/api/v1/retention/tenants/${tenantId}`)).status, 404)
      const entries = items((yield* call("GET", "/api/v1/audit")).json)
      assert.deepStrictEqual(
        entries.flatMap(({ action, after, before }) =>
          String(action).startsWith("retention") ? [{ action, before: before ?? null, after: after ?? null }] : []
        ),
        [
          { action: "retention.unset-tenant", before: { keptDays: 7 }, after: null },
          { action: "retention.apply", before: null, after: { dropped: [], bodiesEmptied: 1 } },
          { action: "retention.set-tenant", before: null, after: { keptDays: 7 } }
        ]
      )
    }).pipe(Effect.provide(layer())))

  it.live("a preview of a message whose body has expired is refused", () =>
    Effect.gen(function*() {
      const { id } = yield* deliver(10)
      yield* put(7)
      yield* apply
      const previewed = yield* call("POST", "/api/v1/subscriptions/preview", {
        providerId: "webhook.webhook",
        config: { url: "https://example.com/" },
        messageId: id
      })
      assert.strictEqual(previewed.status, 422, previewed.text)
      assert.strictEqual(previewed.json["path"], "messageId")
    }).pipe(Effect.provide(layer())))

  it.live("shows what has expired, and drops it", () =>
    Effect.gen(function*() {
      const { deliveryId, id } = yield* deliver(40)
      const { json: shown } = yield* call("GET", "/api/v1/retention")
      const day = dayOf(Id.timeOf(id))
      assert.deepInclude(shown, { historyKeptMs: 30 * dayMs, attemptsKeptMs: 30 * dayMs, tenants: [] })
      assert.deepStrictEqual(shown["expired"], [{ day, of: "history", heldBy: [], isDropping: false }])
      assert.deepStrictEqual((yield* apply).json, { dropped: [{ day, of: "history" }], bodiesEmptied: 0, more: false })
      assert.strictEqual((yield* call("GET", `/api/v1/messages/${id}`)).status, 404)
      assert.strictEqual((yield* call("GET", `/api/v1/messages/${id}/explain`)).status, 404)
      // It is of its message's day, whenever it was made; what was counted of it stays.
      assert.strictEqual((yield* call("GET", `/api/v1/deliveries/${deliveryId}`)).status, 404)
      assert.strictEqual((yield* call("POST", `/api/v1/deliveries/${deliveryId}/retry`)).status, 404)
      const { json: stats } = yield* call("GET", `/api/v1/stats?tenantId=${tenantId}`)
      assert.deepInclude(stats["totals"], { failed: 1 })
    }).pipe(Effect.provide(layer())))

  it.live("is for keys of everybody that may administer, and takes whole days of tenants that may be", () =>
    Effect.gen(function*() {
      const refused = ["read", "manage"].map((scope) => ({ scopes: [scope] }))
      for (const input of [...refused, { scopes: ["admin"], tenantId }]) {
        const { json } = yield* call("POST", "/api/v1/keys", { name: "k", ...input })
        const headers = { authorization: `Bearer ${String(json["key"])}` }
        for (const [method, path] of [["GET", ""], ["POST", "/apply"], ["DELETE", "/tenants/acme"]] as const) {
          assert.strictEqual((yield* call(method, `/api/v1/retention${path}`, undefined, headers)).status, 403)
        }
      }
      for (const keptDays of [0, 1.5, 3651, "7"]) assert.strictEqual((yield* put(keptDays)).status, 422)
      for (const tenant of ["*", "a\0b", "t".repeat(300)]) assert.strictEqual((yield* put(7, tenant)).status, 404)
      assert.strictEqual((yield* call("DELETE", "/api/v1/retention/tenants/a%00b")).status, 404)
    }).pipe(Effect.provide(layer())))
})
