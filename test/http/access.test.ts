/**
 * Who may do what: keys, their scopes, and the tenants that they are bound to.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Api } from "../../src/http/Api.ts"
import { needOf } from "../../src/http/Bearer.ts"
import * as Limits from "../../src/Limits.ts"
import { Endpoints } from "../support/world.ts"
import { adminKey, call, emission, eventually, items, server, subscription } from "./support.ts"

const text = Schema.decodeUnknownSync(Schema.String)

/** Makes a key and tells it. */
const keyFor = Effect.fnUntraced(function*(scopes: ReadonlyArray<string>, tenantId?: string) {
  const { json, status } = yield* call("POST", "/api/v1/keys", {
    name: `${scopes.join(" ")} of ${tenantId ?? "all"}`,
    scopes,
    ...(tenantId === undefined ? {} : { tenantId })
  })
  assert.strictEqual(status, 201, JSON.stringify(json))
  return { id: text(json["id"]), key: text(json["key"]) }
})

const as = (key: string) => ({ authorization: `Bearer ${key}` })

/** One request to each route, with an id that nothing has. */
const routes = Object.values(Api.groups).flatMap((group) =>
  Object.values(group.endpoints).map((endpoint) => ({
    method: endpoint.method,
    path: endpoint.path.replaceAll(":id", "nothing"),
    need: needOf(endpoint)
  }))
)

/** Waits for the next millisecond: what is noted within one is in no order. */
const later = Effect.sync(() => {
  for (const before = Date.now(); Date.now() === before;);
})

describe("access to the HTTP API", () => {
  layer(server({ endpoints: new Endpoints() }), { excludeTestServices: true })((it) => {
    it.effect("a key is shown once, kept without itself, and opens what its scopes say", () =>
      Effect.gen(function*() {
        const made = yield* call("POST", "/api/v1/keys", {
          name: "dashboard",
          scopes: ["read"],
          expiresAt: "2999-01-01T00:00:00Z"
        })
        assert.strictEqual(made.status, 201)
        const key = text(made.json["key"])
        assert.match(key, /^hk_[\w-]{43}$/u)
        assert.strictEqual(made.json["prefix"], key.slice(0, 11))
        const shown = yield* call("GET", `/api/v1/keys/${text(made.json["id"])}`)
        const listed = yield* call("GET", "/api/v1/keys")
        const audit = yield* call("GET", "/api/v1/audit")
        for (const { status, text } of [shown, listed, audit]) {
          assert.strictEqual(status, 200)
          assert.include(text, key.slice(0, 11))
          assert.notInclude(text, key)
        }
        assert.strictEqual((yield* call("GET", "/api/v1/events", undefined, as(key))).status, 200)
        const refused = yield* call("POST", "/api/v1/messages", emission(), as(key))
        assert.strictEqual(refused.status, 403)
        assert.deepInclude(refused.json, { type: "https://hookline.dev/problems/forbidden" })
        assert.include(refused.text, "\\\"emit\\\"")
      }))

    it.effect("each route asks for its scope: none opens to a key without it, and none refuses one that has it", () =>
      Effect.gen(function*() {
        const keys = {
          admin: yield* keyFor(["admin"]),
          manage: yield* keyFor(["manage"]),
          read: yield* keyFor(["read"]),
          emit: yield* keyFor(["emit"])
        }
        const opens = {
          admin: ["admin"],
          manage: ["admin", "manage"],
          read: ["admin", "manage", "read"],
          emit: ["admin", "emit"]
        }
        for (const { method, need, path } of routes) {
          // A stream has no end; a session is begun by those who have none.
          if (path.endsWith("/stream") || (path.endsWith("/session") && method !== "GET")) continue
          for (const [scope, { key }] of Object.entries(keys)) {
            const body = method === "GET" || method === "DELETE" ? undefined : {}
            const { status } = yield* call(method, path, body, as(key))
            const isOpen = need === undefined || opens[need.scope].includes(scope)
            assert.strictEqual(status !== 403, isOpen, `${method} ${path} with ${scope} answers ${status}`)
          }
        }
      }))

    it.effect("a key that is revoked, expired, made up or left out opens nothing", () =>
      Effect.gen(function*() {
        const { id, key } = yield* keyFor(["admin"])
        const read = (credential: string) => call("GET", "/api/v1/events", undefined, as(credential))
        assert.strictEqual((yield* read(key)).status, 200)
        assert.strictEqual((yield* call("DELETE", `/api/v1/keys/${id}`)).status, 204)
        assert.strictEqual((yield* call("DELETE", `/api/v1/keys/${id}`)).status, 204)
        const kept = yield* call("GET", `/api/v1/keys/${id}`)
        assert.isString(kept.json["revokedAt"])
        for (const credential of [key, key.slice(0, -1), `hk_${"A".repeat(43)}`, "", `${adminKey}x`]) {
          const { headers, status } = yield* read(credential)
          assert.strictEqual(status, 401)
          assert.include(headers.get("www-authenticate") ?? "", "Bearer")
        }
      }))

    it.effect("what is wrong with a new key is told at its field", () =>
      Effect.gen(function*() {
        const wrong = [
          ["name", { name: " ", scopes: ["read"] }],
          ["scopes", { name: "a", scopes: [] }],
          ["scopes[0]", { name: "a", scopes: ["root"] }],
          ["expiresAt", { name: "a", scopes: ["read"], expiresAt: "2001-01-01T00:00:00Z" }],
          ["tenantId", { name: "a", scopes: ["read"], tenantId: "" }],
          // What stands for all tenants is no tenant's name: a key for all of them is made by naming none.
          ["tenantId", { name: "a", scopes: ["read"], tenantId: "*" }]
        ] as const
        for (const [path, body] of wrong) {
          const { json, status } = yield* call("POST", "/api/v1/keys", body)
          assert.deepStrictEqual([status, json["path"]], [422, path], JSON.stringify(json))
        }
      }))

    it.effect("a key that is bound to a tenant makes and sees its own, and of others nothing", () =>
      Effect.gen(function*() {
        const [north, south] = [yield* keyFor(["admin"], "north"), yield* keyFor(["admin"], "south")]
        const made = yield* call("POST", "/api/v1/subscriptions", subscription(), as(north.key))
        assert.deepInclude(made.json, { tenantId: "north" })
        const other = yield* call("POST", "/api/v1/subscriptions", subscription(), as(south.key))
        const emitted = yield* call("POST", "/api/v1/messages", emission(), as(north.key))
        const mine = yield* eventually(
          "the delivery is made",
          call("GET", "/api/v1/deliveries", undefined, as(north.key)),
          ({ json }) => items(json).length === 1
        )
        const [delivery] = items(mine.json)
        const ids = {
          subscriptions: text(made.json["id"]),
          messages: text(emitted.json["id"]),
          deliveries: text(delivery?.["id"]),
          keys: north.id
        }
        // Everything that names one of them answers as if it was not there.
        for (const { method, path } of routes) {
          const [, , , resource = ""] = path.split("/")
          const id = Object.entries(ids).find(([name]) => name === resource)?.[1]
          if (!path.includes("nothing") || id === undefined) continue
          const body = method === "GET" || method === "DELETE" ? undefined : {}
          const { status, text } = yield* call(method, path.replace("nothing", id), body, as(south.key))
          assert.strictEqual(status, 404, `${method} ${path}`)
          assert.notInclude(text, "north")
        }
        for (const resource of ["subscriptions", "messages", "deliveries", "keys", "audit"]) {
          const { json, text: all } = yield* call("GET", `/api/v1/${resource}?limit=100`, undefined, as(south.key))
          for (const id of [...Object.values(ids), "north"]) assert.notInclude(all, id, resource)
          for (const item of items(json)) assert.strictEqual(item["tenantId"], "south", resource)
          const asked = yield* call("GET", `/api/v1/${resource}?tenantId=north`, undefined, as(south.key))
          assert.strictEqual(asked.status, 403, resource)
        }
        for (
          const [path, body] of [
            ["subscriptions", subscription({ tenantId: "north" })],
            ["messages", emission({ tenantId: "north" })],
            ["keys", { name: "a", scopes: ["read"], tenantId: "north" }]
          ] as const
        ) {
          assert.strictEqual((yield* call("POST", `/api/v1/${path}`, body, as(south.key))).status, 403, path)
        }
        for (const path of ["cluster", "cluster/dispatchers"]) {
          assert.strictEqual((yield* call("GET", `/api/v1/${path}`, undefined, as(south.key))).status, 403, path)
        }
        const sample = { messageId: ids.messages }
        for (
          const [path, body] of [
            ["preview", { subscriptionId: ids.subscriptions }],
            ["preview", { subscriptionId: text(other.json["id"]), ...sample }],
            ["test-filter", { filter: { field: "payload.incidentId", equals: "a" }, ...sample }]
          ] as const
        ) {
          const { status } = yield* call("POST", `/api/v1/subscriptions/${path}`, body, as(south.key))
          assert.strictEqual(status, 404, path)
        }
        // Nothing has happened to what was asked for.
        const still = yield* call("GET", `/api/v1/subscriptions/${ids.subscriptions}`, undefined, as(north.key))
        assert.deepInclude(still.json, { enabled: true })
        assert.deepInclude((yield* call("GET", `/api/v1/keys/${north.id}`)).json, { tenantId: "north" })
      }))

    it.effect("two editors don't overwrite each other", () =>
      Effect.gen(function*() {
        const made = yield* call("POST", "/api/v1/subscriptions", subscription())
        const path = `/api/v1/subscriptions/${text(made.json["id"])}`
        const tag = made.headers.get("etag") ?? ""
        assert.strictEqual((yield* call("GET", path)).headers.get("etag"), tag)
        const first = yield* call("PATCH", path, { name: "first" }, { "if-match": tag })
        assert.strictEqual(first.status, 200)
        const second = yield* call("PATCH", path, { name: "second" }, { "if-match": tag })
        assert.deepStrictEqual(
          [second.status, second.json["type"]],
          [412, "https://hookline.dev/problems/precondition-failed"]
        )
        assert.deepInclude((yield* call("GET", path)).json, { name: "first" })
        const newer = { "if-match": first.headers.get("etag") ?? "" }
        assert.strictEqual((yield* call("POST", `${path}/disable`, undefined, newer)).status, 200)
        assert.strictEqual((yield* call("PATCH", path, { name: "third" }, { "if-match": "*" })).status, 200)
        assert.strictEqual((yield* call("PATCH", path, { name: "x" }, { "if-match": "W/\"a\"" })).status, 412)
      }))

    it.effect("a subscription is deleted, or its secret rotated, by If-Match only where nobody else has changed it", () =>
      Effect.gen(function*() {
        const made = yield* call("POST", "/api/v1/subscriptions", subscription())
        const path = `/api/v1/subscriptions/${text(made.json["id"])}`
        const seen = { "if-match": made.headers.get("etag") ?? "" }
        const rotated = yield* call("POST", `${path}/rotate-secret`, {}, seen)
        assert.strictEqual(rotated.status, 200, rotated.text)
        for (
          const [method, to, body] of [["POST", `${path}/rotate-secret`, {}], ["DELETE", path, undefined]] as const
        ) {
          const late = yield* call(method, to, body, seen)
          assert.deepStrictEqual(
            [late.status, late.json["type"], late.headers.get("etag")],
            [412, "https://hookline.dev/problems/precondition-failed", rotated.headers.get("etag")],
            method
          )
          assert.strictEqual((yield* call(method, to, body, { "if-match": "W/\"1\"" })).status, 412, method)
        }
        assert.strictEqual((yield* call("GET", path)).headers.get("etag"), rotated.headers.get("etag"))
        const again = yield* call("POST", `${path}/rotate-secret`, {}, { "if-match": "*" })
        const newest = { "if-match": again.headers.get("etag") ?? "" }
        assert.strictEqual((yield* call("DELETE", path, undefined, newest)).status, 204)
        assert.strictEqual((yield* call("DELETE", path, undefined, newest)).status, 404)
      }))

    it.effect("the audit log says who changed what, with what differs", () =>
      Effect.gen(function*() {
        const { id: keyId, key } = yield* keyFor(["manage"])
        const made = yield* call(
          "POST",
          "/api/v1/subscriptions",
          subscription({ config: { name: "a", token: "pl4nted" } }),
          as(key)
        )
        const id = text(made.json["id"])
        yield* later
        yield* call("PATCH", `/api/v1/subscriptions/${id}`, { name: "renamed" }, as(key))
        yield* later
        yield* call("POST", `/api/v1/subscriptions/${id}/enable`, undefined, as(key))
        yield* later
        yield* call("POST", `/api/v1/subscriptions/${id}/disable`)
        yield* later
        yield* call("POST", `/api/v1/subscriptions/${id}/rotate-secret`, {}, as(key))
        yield* later
        yield* call("DELETE", `/api/v1/subscriptions/${id}`, undefined, as(key))
        const log = yield* call("GET", `/api/v1/audit?resourceId=${id}`)
        const entries = items(log.json).toReversed()
        assert.deepStrictEqual(entries.map((entry) => entry["action"]), [
          "subscription.create",
          "subscription.update",
          // Nothing differs; that it was asked for is told all the same.
          "subscription.update",
          "subscription.update",
          "subscription.rotate-secret",
          "subscription.delete"
        ])
        const actor = { kind: "key", id: keyId, name: "manage of all" }
        assert.deepInclude(entries[1], {
          actor,
          before: { name: "a" },
          after: { name: "renamed" },
          tenantId: "default"
        })
        assert.deepInclude(entries[2], { before: {}, after: {} })
        assert.deepInclude(entries[3], {
          actor: { kind: "admin-key" },
          before: { enabled: true },
          after: { enabled: false }
        })
        assert.notInclude(log.text, "pl4nted")
        const mine = yield* call("GET", `/api/v1/audit?actorId=${keyId}&action=subscription.delete`)
        assert.deepStrictEqual(items(mine.json).map((entry) => entry["resourceId"]), [id])
      }))
  })

  layer(
    server({ endpoints: new Endpoints() }).pipe(
      Layer.provide(
        Limits.layer({ keyRequests: 20, keyRequestsMs: 60_000, addressRefusals: 5, addressRefusalsMs: 60_000 })
      )
    ),
    { excludeTestServices: true }
  )((it) => {
    it.effect("a key has so many requests in a time, told with each answer, and others have theirs", () =>
      Effect.gen(function*() {
        const { key } = yield* keyFor(["read"])
        const read = call("GET", "/api/v1/session", undefined, as(key))
        const first = yield* read
        assert.deepStrictEqual(first.status, 200)
        assert.strictEqual(first.headers.get("ratelimit-policy"), "\"requests\";q=20;w=60")
        assert.match(first.headers.get("ratelimit") ?? "", /^"requests";r=19;t=\d+$/u)
        for (let n = 1; n < 20; n++) assert.strictEqual((yield* read).status, 200)
        const refused = yield* read
        assert.deepStrictEqual(
          [refused.status, refused.json["type"], refused.type],
          [429, "https://hookline.dev/problems/too-many-requests", "application/problem+json"]
        )
        assert.isAtLeast(Number(refused.headers.get("retry-after")), 1)
        assert.strictEqual((yield* call("GET", "/api/v1/session")).status, 200)
      }))

    it.effect("whoever guesses keys is soon not listened to, and whoever has one is", () =>
      Effect.gen(function*() {
        const guess = (n: number) =>
          n % 2 === 0
            ? call("GET", "/api/v1/events", undefined, as(`hk_${"B".repeat(42)}${n}`))
            : call("POST", "/api/v1/session", { key: `hk_${"C".repeat(42)}${n}` }, { authorization: "" })
        const statuses = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], (n) =>
          Effect.map(guess(n), ({ status }) => status))
        assert.deepStrictEqual(statuses, [401, 401, 401, 401, 401, 429, 429, 429])
        assert.strictEqual((yield* call("GET", "/api/v1/session")).status, 200)
      }))
  })

  layer(server({ endpoints: new Endpoints() }), { excludeTestServices: true })((it) => {
    const cookieOf = (headers: Headers) => (headers.get("set-cookie") ?? "").split(";", 1)[0] ?? ""
    const nobody = { authorization: "" }

    it.effect("a browser's session is worth what its key is, and is taken from pages of the same origin alone", () =>
      Effect.gen(function*() {
        const { id, key } = yield* keyFor(["manage"], "north")
        const begun = yield* call("POST", "/api/v1/session", { key }, nobody)
        assert.deepStrictEqual([begun.status, begun.json["tenantId"], begun.json["scopes"]], [200, "north", ["manage"]])
        assert.match(begun.headers.get("set-cookie") ?? "", /; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/u)
        assert.notInclude(begun.text, key)
        const cookie = cookieOf(begun.headers)
        assert.notInclude(cookie, key)
        const session = { ...nobody, cookie }
        const who = yield* call("GET", "/api/v1/session", undefined, session)
        assert.deepInclude(who.json, { actor: { kind: "key", id, name: "manage of north" }, tenantId: "north" })
        const create = (headers: Record<string, string>) =>
          Effect.map(
            call("POST", "/api/v1/subscriptions", subscription(), { ...session, ...headers }),
            (made) => made.status
          )
        assert.strictEqual(yield* create({ "sec-fetch-site": "same-origin" }), 201)
        for (const site of ["cross-site", "same-site", "none"]) {
          assert.strictEqual(yield* create({ "sec-fetch-site": site }), 403)
        }
        assert.strictEqual(yield* create({ "sec-fetch-site": "same-origin", cookie: `${cookie}x` }), 401)
        assert.strictEqual((yield* call("GET", "/api/v1/audit", undefined, session)).status, 403)
        const ended = yield* call("DELETE", "/api/v1/session", undefined, session)
        assert.deepStrictEqual([ended.status, cookieOf(ended.headers)], [204, "hookline_session="])
        yield* call("DELETE", `/api/v1/keys/${id}`)
        assert.strictEqual((yield* call("GET", "/api/v1/session", undefined, session)).status, 401)
      }))

    it.effect("over TLS the cookie is secure, and the admin key begins a session too", () =>
      Effect.gen(function*() {
        const begin = (proto: string) =>
          call("POST", "/api/v1/session", { key: adminKey }, { ...nobody, "x-forwarded-proto": proto })
        const begun = yield* begin("https")
        for (const { headers } of [begun, yield* begin("https, http")]) {
          assert.include(headers.get("set-cookie") ?? "", "; Secure")
        }
        const who = yield* call("GET", "/api/v1/keys", undefined, { ...nobody, cookie: cookieOf(begun.headers) })
        assert.strictEqual(who.status, 200)
        for (const wrong of [{ key: "hk_wrong" }, { key: "" }]) {
          assert.strictEqual((yield* call("POST", "/api/v1/session", wrong, nobody)).status, 401)
        }
      }))
  })
})
