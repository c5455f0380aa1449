import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, type Schema } from "effect"
import * as Limits from "../../src/Limits.ts"
import * as Provider from "../../src/Provider.ts"
import { account, Chat, ChatPlugin, room } from "../support/chat.ts"
import { call, emission, eventually, items, server } from "./support.ts"

const chat = new Chat()

const logged: Array<string> = []

const Live = server({ plugins: ChatPlugin(chat) }).pipe(
  Layer.provideMerge(Logger.layer([Logger.make((entry) => void logged.push(JSON.stringify(entry.message)))])),
  Layer.provide(Limits.layer({ connectionTestMs: 300 }))
)

const path = "/api/v1/connections"

/** Every answer of this file: none of them may hold what was planted. */
const answers: Array<string> = []

const ask = (...request: Parameters<typeof call>) =>
  Effect.tap(call(...request), ({ text }) => Effect.sync(() => void answers.push(text)))

/** A key of a tenant, as a header. */
const keyOf = (tenantId: string, scopes: ReadonlyArray<string> = ["manage"]) =>
  Effect.map(
    call("POST", "/api/v1/keys", { name: tenantId, scopes: [...scopes], tenantId }),
    ({ json }) => ({ authorization: `Bearer ${String(json["key"])}` })
  )

const made = (body: Schema.Json = account(), headers: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const created = yield* ask("POST", path, body, headers)
    assert.strictEqual(created.status, 201, created.text)
    return { ...created, id: String(created.json["id"]), at: `${path}/${String(created.json["id"])}` }
  })

describe("connections over HTTP", () => {
  layer(Live, { excludeTestServices: true })((it) => {
    it.effect("are made, listed by provider, shown, changed in part and deleted, without their secrets", () =>
      Effect.gen(function*() {
        const { at, headers, id, json } = yield* made(account({ proxy: { user: "u", password: "pl4nted-two" } }))
        assert.match(id, /^con_[0-9a-f]{32}$/u)
        assert.strictEqual(headers.get("etag"), "\"1\"")
        assert.deepInclude(json, { name: "chat", providerId: "chat.room", tenantId: "default" })
        assert.deepStrictEqual(json["config"], { server: "https://chat.example.com", proxy: { user: "u" } })
        const other = yield* made({ ...account(), providerId: "chat.untested" })
        const idsOf = (query: string) =>
          Effect.map(ask("GET", `${path}?${query}`), ({ json }) => items(json).map((one) => one["id"]))
        assert.deepStrictEqual(yield* idsOf("providerId=chat.room"), [id])
        assert.sameMembers([...(yield* idsOf("tenantId=default"))], [id, other.id])
        assert.deepStrictEqual(yield* idsOf("providerId=chat.nowhere"), [])
        const first = yield* ask("GET", `${path}?limit=1`)
        assert.deepStrictEqual(yield* idsOf(`limit=1&cursor=${String(first.json["nextCursor"])}`), [id])
        const shown = yield* ask("GET", at)
        assert.deepStrictEqual(shown.json, json)
        const evil = yield* ask("PATCH", at, { config: { server: "https://evil.example.com", token: "" } })
        assert.deepStrictEqual([evil.status, evil.json["path"]], [422, "config.token"], evil.text)
        const server = "https://chat.example.com/b"
        const changed = yield* ask("PATCH", at, { name: "b", config: { server, token: "" } })
        assert.strictEqual(changed.status, 200, changed.text)
        assert.strictEqual(changed.headers.get("etag"), "\"2\"")
        assert.deepStrictEqual(changed.json["config"], { server, proxy: { user: "u" } })
        for (const one of [at, other.at]) assert.strictEqual((yield* ask("DELETE", one)).status, 204)
        for (const method of ["GET", "DELETE", "PATCH"]) {
          assert.strictEqual((yield* ask(method, at, method === "PATCH" ? {} : undefined)).status, 404, method)
        }
      }))

    it.effect("are changed by If-Match only where nobody else has changed them", () =>
      Effect.gen(function*() {
        const { at, headers } = yield* made()
        const etag = { "if-match": headers.get("etag") ?? "" }
        assert.strictEqual((yield* ask("PATCH", at, { name: "b" }, etag)).status, 200)
        const late = yield* ask("PATCH", at, { name: "c" }, etag)
        assert.strictEqual(late.status, 412)
        assert.include(late.text, "version 2")
        assert.strictEqual(late.headers.get("etag"), "\"2\"")
        assert.strictEqual((yield* ask("PATCH", at, { name: "c" }, { "if-match": "*" })).status, 200)
      }))

    it.effect("are deleted by If-Match only where nobody else has changed them", () =>
      Effect.gen(function*() {
        const { at, headers } = yield* made()
        const changed = yield* ask("PATCH", at, { name: "b" })
        const late = yield* ask("DELETE", at, undefined, { "if-match": headers.get("etag") ?? "" })
        assert.deepInclude(late.json, { status: 412, type: "https://hookline.dev/problems/precondition-failed" })
        assert.strictEqual(late.headers.get("etag"), changed.headers.get("etag"))
        assert.strictEqual((yield* ask("DELETE", at, undefined, { "if-match": "2" })).status, 412)
        assert.deepInclude((yield* ask("GET", at)).json, { name: "b" })
        const seen = { "if-match": changed.headers.get("etag") ?? "" }
        assert.strictEqual((yield* ask("DELETE", at, undefined, seen)).status, 204)
        assert.strictEqual((yield* ask("DELETE", at, undefined, seen)).status, 404)
      }))

    it.effect("that are refused say where, and repeat no secret", () =>
      Effect.gen(function*() {
        const { at } = yield* made()
        const cases: ReadonlyArray<readonly [string, string, Schema.Json, string]> = [
          ["POST", path, { ...account(), providerId: "webhook.webhook" }, "providerId"],
          ["POST", path, { ...account(), providerId: "nowhere.at" }, "providerId"],
          ["POST", path, account({ server: "http://pl4nted" }), "config.server"],
          ["POST", path, account({ tokn: "pl4nted" }), "config.tokn"],
          ["POST", path, { ...account(), secret: "pl4nted" }, "secret"],
          ["POST", path, { ...account(), name: "" }, "name"],
          ["PATCH", at, { config: { token: ["pl4nted"] } }, "config.token"],
          ["PATCH", at, { providerId: "chat.untested" }, "providerId"],
          ["POST", `${at}/options`, { resolver: "romms" }, "resolver"],
          ["POST", `${at}/options`, { resolver: "rooms", context: "pl4nted" }, "context"],
          ["POST", "/api/v1/providers/chat.room/test", { config: { server: "https://a" } }, "config.token"],
          ["POST", "/api/v1/providers/chat.room/test", { token: "pl4nted" }, "token"],
          ["GET", `${path}?provider=chat.room`, null, "provider"]
        ]
        for (const [method, to, body, field] of cases) {
          const answer = yield* ask(method, to, method === "GET" ? undefined : body)
          assert.strictEqual(answer.status, 422, `${method} ${to} ${answer.text}`)
          assert.strictEqual(answer.type, "application/problem+json")
          assert.strictEqual(answer.json["path"], field, answer.text)
        }
        for (const id of ["con_1", `con_${"0".repeat(12)}7${"0".repeat(3)}8${"0".repeat(15)}`]) {
          for (const action of ["test", "options"]) {
            const answer = yield* ask("POST", `${path}/${id}/${action}`, { resolver: "rooms" })
            assert.strictEqual(answer.status, 404, answer.text)
          }
        }
      }))

    it.effect("are not deleted while a subscription uses them, and the answer says how many do", () =>
      Effect.gen(function*() {
        const { at, id } = yield* made()
        const second = yield* made(account({ token: "pl4nted-two" }))
        const subscribed = yield* ask("POST", "/api/v1/subscriptions", room(id))
        assert.strictEqual(subscribed.status, 201, subscribed.text)
        assert.strictEqual(subscribed.json["connectionId"], id)
        const users = (connectionId: string, key?: Record<string, string>) =>
          Effect.map(
            ask("GET", `/api/v1/subscriptions?connectionId=${connectionId}`, undefined, key),
            ({ json }) => items(json).map((one) => one["id"])
          )
        assert.deepStrictEqual(yield* users(id), [subscribed.json["id"]])
        assert.deepStrictEqual(yield* users(second.id), [])
        assert.deepStrictEqual(yield* users(id, yield* keyOf("other")), [])
        assert.deepInclude((yield* ask("GET", "/api/v1/subscriptions?connectionId=x")).json, { path: "connectionId" })
        const used = yield* ask("DELETE", at)
        assert.strictEqual(used.status, 409)
        assert.strictEqual(used.json["subscriptions"], 1)
        const to = `/api/v1/subscriptions/${String(subscribed.json["id"])}`
        const moved = yield* ask("PATCH", to, { connectionId: second.id })
        assert.strictEqual(moved.json["connectionId"], second.id, moved.text)
        assert.strictEqual((yield* ask("DELETE", at)).status, 204)
        yield* ask("POST", "/api/v1/messages", emission())
        yield* eventually("it is posted", Effect.sync(() => chat.with("pl4nted-two").length), (n) => n === 1)
        yield* ask("DELETE", to)
      }))

    it.effect("of one tenant are nothing to another, nor to its subscriptions", () =>
      Effect.gen(function*() {
        const [acme, other] = [yield* keyOf("acme"), yield* keyOf("other")]
        const { at, id, json } = yield* made(account(), acme)
        assert.strictEqual(json["tenantId"], "acme")
        assert.deepStrictEqual(items((yield* ask("GET", path, undefined, acme)).json).map((one) => one["id"]), [id])
        assert.deepStrictEqual(items((yield* ask("GET", path, undefined, other)).json), [])
        assert.strictEqual((yield* ask("GET", `${path}?tenantId=acme`, undefined, other)).status, 403)
        assert.strictEqual((yield* ask("POST", path, { ...account(), tenantId: "acme" }, other)).status, 403)
        const asked: ReadonlyArray<readonly [string, string, Schema.Json?]> = [
          ["GET", at],
          ["PATCH", at, { name: "b" }],
          ["DELETE", at],
          ["POST", `${at}/test`],
          ["POST", `${at}/options`, { resolver: "rooms" }]
        ]
        for (const [method, to, body] of asked) {
          assert.strictEqual((yield* ask(method, to, body, other)).status, 404, `${method} ${to}`)
        }
        const foreign = yield* ask("POST", "/api/v1/subscriptions", room(id), other)
        assert.deepStrictEqual([foreign.status, foreign.json["path"]], [422, "connectionId"])
        const preview = { providerId: "chat.room", config: { room: "a" }, connectionId: id }
        assert.strictEqual((yield* ask("POST", "/api/v1/subscriptions/preview", preview, other)).status, 404)
        const mine = yield* ask("POST", "/api/v1/subscriptions", room(id), acme)
        assert.strictEqual(mine.status, 201, mine.text)
        const theirs = yield* made(account(), other)
        const to = `/api/v1/subscriptions/${String(mine.json["id"])}`
        const moved = yield* ask("PATCH", to, { connectionId: theirs.id })
        assert.deepStrictEqual([moved.status, moved.json["path"]], [422, "connectionId"])
        const reader = yield* keyOf("acme", ["read"])
        assert.strictEqual((yield* ask("GET", at, undefined, reader)).status, 200)
        for (const [method, to, body] of asked.slice(1)) {
          assert.strictEqual((yield* ask(method, to, body, reader)).status, 403, `${method} ${to}`)
        }
      }))

    it.effect("previews show what would be sent through them, and are refused without one", () =>
      Effect.gen(function*() {
        const { id } = yield* made(account({ server: "https://seen.example.com" }))
        const preview = (body: { readonly [name: string]: Schema.Json }) =>
          ask("POST", "/api/v1/subscriptions/preview", { eventId: emission().eventId, ...body })
        const subscribed = yield* ask("POST", "/api/v1/subscriptions", { ...room(id), enabled: false })
        const unsaved = { providerId: "chat.room", config: { room: "a" } }
        for (
          const shown of [
            yield* preview({ ...unsaved, connectionId: id }),
            yield* preview({ subscriptionId: subscribed.json["id"] ?? null })
          ]
        ) {
          assert.strictEqual(shown.status, 200, shown.text)
          assert.deepInclude(shown.json["request"], { method: "POST", url: "https://seen.example.com/rooms/a" })
        }
        const without = yield* preview(unsaved)
        assert.deepStrictEqual([without.status, without.json["path"]], [422, "connectionId"])
      }))

    it.effect("a test is an answer, whatever the provider does", () =>
      Effect.gen(function*() {
        const { at } = yield* made()
        const unsaved = { config: account({ token: "pl4nted-unsaved" }).config }
        chat.test = ({ token }) => Effect.succeed({ message: `Hello ${Redacted.value(token)}` })
        const saved = yield* ask("POST", `${at}/test`)
        assert.deepStrictEqual([saved.status, saved.json], [200, { success: true, message: "Hello ***" }])
        const before = yield* ask("POST", "/api/v1/providers/chat.room/test", unsaved)
        assert.deepStrictEqual([before.status, before.json], [200, { success: true, message: "Hello ***" }])
        const untested = yield* ask("POST", "/api/v1/providers/webhook.webhook/test", { config: {} })
        assert.deepInclude(untested.json, { success: true })
        assert.include(untested.text, "does not support connection testing")
        assert.strictEqual((yield* ask("POST", "/api/v1/providers/chat.rom/test", unsaved)).status, 404)
        const failures = [
          (token: string) =>
            Effect.fail(new Provider.PermanentError({ code: "HttpStatus", message: `HTTP 401: no ${token}` })),
          (token: string) => Effect.die(new Error(`no ${token}`)),
          () => Effect.never,
          () => Effect.uninterruptible(Effect.never)
        ]
        for (const failing of failures) {
          chat.test = ({ token }) => failing(Redacted.value(token))
          for (
            const answer of [
              yield* ask("POST", `${at}/test`),
              yield* ask("POST", "/api/v1/providers/chat.room/test", unsaved)
            ]
          ) {
            assert.strictEqual(answer.status, 200, answer.text)
            assert.strictEqual(answer.json["success"], false)
            assert.isString(answer.json["message"])
          }
        }
      }))

    it.effect("options are told by the context, and a resolver that fails, throws or hangs is a problem of its own", () =>
      Effect.gen(function*() {
        const { at } = yield* made()
        chat.rooms = (_, { space }) => Effect.succeed([{ value: "r1", label: `Room 1 of ${space}` }])
        const told = yield* ask("POST", `${at}/options`, { resolver: "rooms", context: { space: "ops" } })
        assert.deepStrictEqual(told.json, { items: [{ value: "r1", label: "Room 1 of ops" }], nextCursor: null })
        const failures = [
          (token: string) =>
            Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: `HTTP 503: no ${token}` })),
          (token: string) => Effect.die(new Error(`no ${token}`)),
          () => Effect.never
        ]
        for (const failing of failures) {
          chat.rooms = ({ token }) => failing(Redacted.value(token))
          const answer = yield* ask("POST", `${at}/options`, { resolver: "rooms" })
          assert.strictEqual(answer.status, 422)
          assert.strictEqual(answer.json["type"], "https://hookline.dev/problems/provider-failed")
          assert.isNotEmpty(answer.json["detail"])
        }
      }))

    it.effect("a provider shows what its connections are, which resolvers it has, and whether it can test", () =>
      Effect.gen(function*() {
        const { json } = yield* ask("GET", "/api/v1/providers/chat.room")
        assert.deepInclude(json, { optionResolvers: ["rooms"], supportsTest: true })
        assert.deepStrictEqual(json["connectionSecretFields"], ["config.token", "config.proxy.password"])
        assert.deepInclude(json["connectionSchema"], { type: "object", required: ["server", "token"] })
        const untested = yield* ask("GET", "/api/v1/providers/chat.untested")
        assert.deepInclude(untested.json, { optionResolvers: [], supportsTest: false })
        const webhook = yield* ask("GET", "/api/v1/providers/webhook.webhook")
        assert.deepInclude(webhook.json, { optionResolvers: [], supportsTest: false })
        assert.notProperty(webhook.json, "connectionSchema")
      }))

    it.effect("no secret that was planted is in an answer, in the log, or in the audit log", () =>
      Effect.gen(function*() {
        const audit = yield* call("GET", "/api/v1/audit?limit=100")
        const actions = items(audit.json).map((entry) => entry["action"])
        assert.includeMembers(actions, ["connection.create", "connection.update", "connection.delete"])
        assert.notInclude(audit.text, "pl4nted")
        assert.isAbove(answers.length, 60)
        assert.deepStrictEqual(answers.filter((text) => text.includes("pl4nted")), [])
        assert.isTrue(logged.some((line) => line.includes("no ***")), "what threw was logged")
        assert.deepStrictEqual(logged.filter((line) => line.includes("pl4nted")), [])
      }))
  })
})
