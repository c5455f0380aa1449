/**
 * What is secret stays so: planted texts are looked for in everything that the system says and keeps.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, References, Schema } from "effect"
import { Api } from "../../src/http/Api.ts"
import { needOf } from "../../src/http/Bearer.ts"
import { Storage } from "../../src/Storage.ts"
import { Chat, ChatPlugin } from "../support/chat.ts"
import { Endpoints } from "../support/world.ts"
import { call, emission, eventually, items, server, subscription } from "./support.ts"

const planted = {
  token: "pl4nted-token",
  newToken: "pl4nted-new-token",
  bearer: "pl4nted-bearer",
  password: "pl4nted-password",
  connection: "pl4nted-connection"
}

const text = Schema.decodeUnknownSync(Schema.String)

const readings = Object.values(Api.groups).flatMap((group) =>
  Object.values(group.endpoints).filter(({ method, path }) => method === "GET" && !path.endsWith("/stream"))
)

describe("secrets", () => {
  it.live("are in no answer, no log, no audit entry and no row, but for the answer that makes them", () => {
    const said: Array<string> = []
    const loggers = Layer.succeed(
      Logger.CurrentLoggers,
      new Set([
        Logger.make<unknown, void>(({ cause, message }) => {
          said.push(JSON.stringify(message), Cause.pretty(cause))
        })
      ])
    )
    const endpoints = new Endpoints()
    endpoints.behaviours.set("dies", () => Effect.die(new Error("a bug")))
    const chat = new Chat()
    chat.test = () => Effect.die(new Error(`could not log in with ${planted.connection}`))
    return Effect.gen(function*() {
      const ask = (method: string, path: string, body?: Schema.Json) =>
        Effect.tap(call(method, path, body), ({ headers, text }) =>
          Effect.sync(() => {
            said.push(text, JSON.stringify([...headers]))
          }))
      // -- made: the keys and signing secrets are shown, once
      const shown: Array<string> = []
      const make = (path: string, body: Schema.Json, name?: string) =>
        Effect.map(call("POST", path, body), ({ json, status, text: answer }) => {
          assert.strictEqual(status, 201, answer)
          if (name !== undefined) shown.push(text(json[name]))
          said.push(name === undefined ? answer : answer.replace(text(json[name]), ""))
          return text(json["id"])
        })
      const subscriptions = "/api/v1/subscriptions"
      const own = yield* make(
        subscriptions,
        subscription({ config: { name: "dies", token: planted.token } }),
        "signingSecret"
      )
      yield* make(subscriptions, {
        name: "webhook",
        events: ["*"],
        providerId: "webhook.webhook",
        config: { url: "https://example.com/", authType: "bearer", bearerToken: planted.bearer }
      }, "signingSecret")
      const connection = yield* make("/api/v1/connections", {
        name: "chat",
        providerId: "chat.room",
        config: {
          server: "https://chat.example.com",
          token: planted.connection,
          proxy: { user: "u", password: planted.password }
        }
      })
      const key = yield* make("/api/v1/keys", { name: "reader", scopes: ["read"] }, "key")
      // -- used and changed
      yield* ask("PATCH", `${subscriptions}/${own}`, { config: { token: planted.newToken } })
      yield* ask("PATCH", `${subscriptions}/${own}`, { config: { token: ["wrong", planted.token] } })
      yield* ask("POST", subscriptions, subscription({ config: { name: 1, token: planted.token } }))
      yield* ask("POST", `${subscriptions}/${own}/test`, {})
      yield* ask("POST", `${subscriptions}/preview`, { subscriptionId: own })
      yield* ask("POST", `/api/v1/connections/${connection}/test`)
      yield* ask("PATCH", `/api/v1/connections/${connection}`, { name: "renamed", config: { token: "" } })
      const { json: emitted } = yield* ask("POST", "/api/v1/messages", emission())
      yield* eventually(
        "an attempt has failed",
        ask("GET", "/api/v1/deliveries"),
        ({ json }) => items(json).some((item) => item["status"] !== "pending")
      )
      yield* ask("POST", "/api/v1/session", { key: shown.at(-1) ?? "" })
      yield* ask("DELETE", `/api/v1/keys/${key}`)
      // -- read, whatever there is
      const ids = { subscriptions: own, connections: connection, messages: text(emitted["id"]), keys: key }
      for (const endpoint of readings) {
        assert.isDefined(needOf(endpoint) ?? "anybody")
        const [, , , resource = ""] = endpoint.path.split("/")
        const id = Object.entries(ids).find(([name]) => name === resource)?.[1] ?? "incident.incident.created"
        yield* ask("GET", endpoint.path.replace(":id", id))
      }
      // -- kept
      const storage = yield* Storage
      const page = { cursor: undefined, limit: 100 }
      const rows = yield* Effect.all([
        storage.subscriptions,
        storage.listConnections({}, page),
        storage.listKeys({}, page),
        storage.listAudit({}, page),
        storage.listDeliveries({}, page)
      ])
      said.push(JSON.stringify(rows))
      const all = said.join("\n")
      assert.isAbove(all.length, 20_000)
      // The cookie stands for the key, and is not it.
      for (const secret of [...Object.values(planted), ...shown]) {
        assert.notInclude(all, secret)
        assert.notInclude(all, Buffer.from(secret).toString("base64").replace(/=+$/u, ""))
        assert.notInclude(all, encodeURIComponent(secret).replaceAll("-", "%2D"))
      }
    }).pipe(
      Effect.provide(
        server({ endpoints, plugins: ChatPlugin(chat) }).pipe(
          Layer.provide([loggers, Layer.succeed(References.MinimumLogLevel, "All")])
        )
      )
    )
  })
})
