import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Egress, type EgressRequest } from "../../src/Egress.ts"
import * as EgressNode from "../../src/egress/EgressNode.ts"
import * as Note from "../../src/Note.ts"
import { authority } from "../support/certificates.ts"
import { served, servedTls } from "../support/served.ts"

const allow = ["127.0.0.0/8"]

const named = EgressNode.layer({
  allow,
  resolve: (_hostname, callback) => callback(null, [{ address: "127.0.0.1", family: 4 }])
})

/** Sends a request, and tells what was noted of it. */
const send = Effect.fnUntraced(function*(request: Partial<EgressRequest> & Pick<EgressRequest, "url">) {
  const egress = yield* Egress
  const note = Note.make()
  const exit = yield* Effect.exit(
    egress.send({ method: "POST", headers: [], body: "{}", ...request }).pipe(Effect.provideService(Note.Note, note))
  )
  return { exit, phases: note.phases ?? {} }
})

describe("the phases of a request", () => {
  it.live("are those of its own connection, and without them where it was open already", () =>
    Effect.gen(function*() {
      const { port } = yield* served((_, response) => void response.end("ok"))
      const url = `http://named.test:${port}/`
      const first = yield* send({ url })
      assert.deepStrictEqual(Object.keys(first.phases), ["lookupMs", "connectMs", "firstByteMs", "totalMs"])
      const { connectMs = 0, firstByteMs = 0, lookupMs = 0, totalMs = 0 } = first.phases
      assert.isAtMost(lookupMs + connectMs + firstByteMs, totalMs + 0.1)
      const literal = yield* send({ url: `http://127.0.0.1:${port}/` })
      assert.deepStrictEqual(Object.keys(literal.phases), ["connectMs", "firstByteMs", "totalMs"])
      // A request that begins as the one before it ends may find that one's connection not free yet.
      const again = yield* send({ url }).pipe(
        Effect.repeat({ times: 5, until: ({ phases }) => !("connectMs" in phases) })
      )
      assert.deepStrictEqual(Object.keys(again.phases), ["firstByteMs", "totalMs"])
    }).pipe(Effect.provide(named)))

  it.live("tell the handshake of TLS apart", () =>
    Effect.gen(function*() {
      const ours = authority("ours")
      const { certificate, privateKey } = ours.server()
      const { port } = yield* servedTls(
        { cert: certificate, key: privateKey },
        (_, response) => void response.end("ok")
      )
      const { phases } = yield* send({ url: `https://127.0.0.1:${port}/`, tls: { authorities: ours.certificate } })
      assert.deepStrictEqual(Object.keys(phases), ["connectMs", "tlsMs", "firstByteMs", "totalMs"])
      assert.isAbove(phases.tlsMs ?? 0, 0)
    }).pipe(Effect.provide(named)))

  it.live("are told of one that got no answer, as far as it came", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const { port } = yield* served(() => void Deferred.doneUnsafe(asked, Effect.void))
      const sending = yield* Effect.forkChild(send({ url: `http://named.test:${port}/`, timeoutMs: 500 }))
      yield* Deferred.await(asked)
      const { exit, phases } = yield* Fiber.join(sending)
      assert.strictEqual(exit._tag, "Failure")
      assert.deepStrictEqual(Object.keys(phases), ["lookupMs", "connectMs", "totalMs"])
      assert.isAtLeast(phases.totalMs ?? 0, 490)
    }).pipe(Effect.provide(named)))
})
