import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Endpoints } from "../support/world.ts"
import { call, emission, eventually, server, subscription } from "./support.ts"

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

const endpoints = new Endpoints()

describe("the header traceparent of an emit", () => {
  layer(server({ endpoints }), { excludeTestServices: true })((it) => {
    it.effect("is kept with the message, told with it, and goes to its endpoints", () =>
      Effect.gen(function*() {
        yield* call("POST", "/api/v1/subscriptions", subscription())
        const emitted = yield* call("POST", "/api/v1/messages", emission(), { traceparent })
        const id = String(emitted.json["id"])
        const read = yield* call("GET", `/api/v1/messages/${id}`)
        assert.strictEqual(read.json["traceparent"], traceparent)
        const seen = Effect.sync(() => endpoints.seen.find(({ attempt }) => attempt.message.id === id))
        const found = yield* eventually("it was attempted", seen, (one) => one !== undefined)
        assert.strictEqual(found?.attempt.traceparent, traceparent)
      }))

    it.effect("is as good as none where it is malformed or not sampled, and refuses nothing", () =>
      Effect.gen(function*() {
        for (const wrong of ["", "x", traceparent.replace(/1$/u, "0"), `${traceparent}-more`]) {
          const emitted = yield* call("POST", "/api/v1/messages", emission(), { traceparent: wrong })
          assert.strictEqual(emitted.status, 202)
          const read = yield* call("GET", `/api/v1/messages/${String(emitted.json["id"])}`)
          assert.notProperty(read.json, "traceparent")
        }
      }))
  })
})
