import { assert, describe, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { defaults } from "../../src/Limits.ts"
import { Endpoints } from "../support/world.ts"
import { call, emission, eventually, items, server, subscription } from "./support.ts"

const endpoints = new Endpoints()

const ids = (json: { readonly [name: string]: Schema.Json }) =>
  Schema.decodeUnknownSync(Schema.Array(Schema.String))(json["ids"])

const send = (messages: ReadonlyArray<Schema.Json>, headers?: Record<string, string>) =>
  call("POST", "/api/v1/messages/batch", { messages }, headers)

const stored = (tenantId: string) =>
  Effect.map(call("GET", `/api/v1/messages?limit=100&tenantId=${tenantId}`), ({ json }) => items(json))

describe("a batch of messages over HTTP", () => {
  layer(server({ endpoints }), { excludeTestServices: true })((it) => {
    it.effect("is stored whole, answered with the ids in order, and delivered", () =>
      Effect.gen(function*() {
        yield* call("POST", "/api/v1/subscriptions", subscription({ tenantId: "whole" }))
        const messages = Array.from({ length: 20 }, (_, n) =>
          emission({ tenantId: "whole", payload: { incidentId: `i${n}`, systemIds: [] } }))
        const answer = yield* send(messages)
        assert.strictEqual(answer.status, 202, answer.text)
        assert.strictEqual(new Set(ids(answer.json)).size, 20)
        const found = new Map((yield* stored("whole")).map((one) => [one["id"], one["payload"]]))
        assert.deepStrictEqual(
          ids(answer.json).map((id) =>
            found.get(id)
          ),
          messages.map(({ payload }) => payload)
        )
        yield* eventually("all have arrived", Effect.sync(() => endpoints.of("a").length), (count) => count === 20)
      }))

    it.effect("gives a repeated key its message, and stores nothing where one contradicts another", () =>
      Effect.gen(function*() {
        const one = (key: string, incidentId = "i1") =>
          emission({ tenantId: "keyed", idempotencyKey: key, payload: { incidentId, systemIds: [] } })
        const [a = "", b = "", again] = ids((yield* send([one("a"), one("b"), one("a")])).json)
        assert.strictEqual(again, a)
        assert.deepStrictEqual(ids((yield* send([one("b"), one("a")])).json), [b, a])
        const conflict = yield* send([one("c"), one("b", "other")])
        assert.strictEqual(conflict.status, 409, conflict.text)
        assert.deepInclude(conflict.json, { messageId: b })
        assert.include(conflict.text, "messages[1].idempotencyKey")
        const within = yield* send([one("d"), one("d", "other")])
        assert.strictEqual(within.status, 409, within.text)
        assert.strictEqual((yield* stored("keyed")).length, 2)
      }))

    it.effect("is refused whole for one message, by its place", () =>
      Effect.gen(function*() {
        const good = emission({ tenantId: "refused" })
        const cases: ReadonlyArray<readonly [messages: ReadonlyArray<Schema.Json>, path: string]> = [
          [[], "messages"],
          [[good, { ...good, eventId: "incident.incident.craeted" }], "messages[1].eventId"],
          [[good, { ...good, eventId: "hookline.delivery.exhausted" }], "messages[1].eventId"],
          [
            [good, good, { ...good, payload: { incidentId: "i", systemIds: ["a", 1] } }],
            "messages[2].payload.systemIds[1]"
          ],
          [[{ ...good, tenantId: "*" }], "messages[0].tenantId"],
          [[good, { ...good, expiresAt: "2020-01-01" }], "messages[1].expiresAt"],
          [[good, { ...good, idempotencyKey: "" }], "messages[1].idempotencyKey"],
          [[good, { ...good, idempotency_key: "a" }], "messages[1].idempotency_key"],
          [Array.from({ length: defaults.batchMessages + 1 }, () => good), "messages"]
        ]
        for (const [messages, path] of cases) {
          const answer = yield* send(messages)
          assert.strictEqual(answer.status, 422, answer.text)
          assert.deepInclude(answer.json, { path }, answer.text)
        }
        assert.strictEqual((yield* stored("refused")).length, 0)
      }))

    it.effect("is its key's tenant's, and needs the scope to emit", () =>
      Effect.gen(function*() {
        const made = yield* call("POST", "/api/v1/keys", { name: "a", scopes: ["emit"], tenantId: "bound" })
        const key = { authorization: `Bearer ${String(made.json["key"])}` }
        assert.strictEqual((yield* send([emission(), emission({ tenantId: "bound" })], key)).status, 202)
        assert.strictEqual((yield* stored("bound")).length, 2)
        assert.strictEqual((yield* send([emission(), emission({ tenantId: "other" })], key)).status, 403)
        assert.strictEqual((yield* stored("bound")).length, 2)
        const reading = yield* call("POST", "/api/v1/keys", { name: "b", scopes: ["read"] })
        const reader = { authorization: `Bearer ${String(reading.json["key"])}` }
        assert.strictEqual((yield* send([emission()], reader)).status, 403)
      }))

    it.effect("may be larger than a message may be, which itself is bounded as ever", () =>
      Effect.gen(function*() {
        const of = (bytes: number) =>
          emission({ tenantId: "large", payload: { incidentId: "i", systemIds: ["x".repeat(bytes)] } })
        const half = of(defaults.payloadBytes / 2)
        assert.strictEqual((yield* send([half, half, half])).status, 202)
        const one = yield* send([of(1), of(defaults.payloadBytes)])
        assert.strictEqual(one.status, 422, one.text)
        assert.deepInclude(one.json, { path: "messages[1].payload" })
        const all = yield* send(Array.from({ length: 17 }, () => half))
        assert.strictEqual(all.status, 413)
        assert.include(all.text, `at most ${defaults.batchBytes} bytes`)
        const single = yield* call("POST", "/api/v1/messages", of(defaults.payloadBytes))
        assert.strictEqual(single.status, 413)
        assert.include(single.text, `at most ${defaults.payloadBytes} bytes`)
      }))
  })
})
