import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import type { IncomingMessage } from "node:http"
import { TLSSocket } from "node:tls"
import { Egress, type EgressTls } from "../../src/Egress.ts"
import * as EgressNode from "../../src/egress/EgressNode.ts"
import { authority, type Certified, selfSigned } from "../support/certificates.ts"
import { servedTls } from "../support/served.ts"

const loopback = EgressNode.layer({ allow: ["127.0.0.0/8"] })

const ours = authority("ours")

const [first, second] = [ours.client("first"), ours.client("second")]

const tlsOf = ({ certificate, privateKey }: Certified): EgressTls => ({
  certificate,
  privateKey: Redacted.make(privateKey),
  authorities: ours.certificate
})

const nameOf = ({ socket }: IncomingMessage) =>
  socket instanceof TLSSocket ? socket.getPeerCertificate().subject?.CN : undefined

/** A server that asks for a client's certificate and keeps whose each request was. */
const asking = Effect.gen(function*() {
  const names: Array<string | Array<string> | undefined> = []
  const { certificate, privateKey } = ours.server()
  const { port, sockets } = yield* servedTls(
    { cert: certificate, key: privateKey, ca: ours.certificate, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      names.push(nameOf(request))
      response.end("ok")
    }
  )
  const egress = yield* Egress
  return {
    names,
    sockets,
    send: (tls: EgressTls) =>
      egress.send({ method: "POST", headers: [], body: "{}", url: `https://127.0.0.1:${port}/`, tls })
  }
})

describe("egress over TLS", () => {
  it.live("shows the certificate that a request brings, and shares its connections with no other's", () =>
    Effect.gen(function*() {
      const { names, send, sockets } = yield* asking
      const none = { authorities: ours.certificate }
      for (const tls of [tlsOf(first), tlsOf(second), none, tlsOf(first), tlsOf(second), none]) yield* send(tls)
      assert.deepStrictEqual(names, ["first", "second", undefined, "first", "second", undefined])
      assert.isAtLeast(sockets.length, 3)
    }).pipe(Effect.provide(loopback)))

  it.live("shares the connections of two requests that bring the same", () =>
    Effect.gen(function*() {
      const { send, sockets } = yield* asking
      for (let i = 0; i < 10; i++) yield* send(tlsOf(first))
      // A request that begins as the one before it ends may find that one's connection not free yet.
      assert.isAtMost(sockets.length, 2)
    }).pipe(Effect.provide(loopback)))

  it.live("fails, and does not throw, with what is no certificate and a key that is another's", () =>
    Effect.gen(function*() {
      const { names, send } = yield* asking
      const broken: ReadonlyArray<EgressTls> = [
        { ...tlsOf(first), privateKey: Redacted.make(second.privateKey) },
        { ...tlsOf(first), privateKey: Redacted.make("hunter2") },
        { ...tlsOf(first), certificate: "hunter2" }
      ]
      for (const tls of broken) {
        const error = yield* Effect.flip(send(tls))
        assert.strictEqual(error._tag, "ConnectionFailed")
        assert.notInclude(error.message, "hunter2")
        assert.notInclude(error.message, "BEGIN")
      }
      assert.deepStrictEqual(names, [])
    }).pipe(Effect.provide(loopback)))

  it.live("trusts nobody but the authorities that a request names, where it names some", () =>
    Effect.gen(function*() {
      const { send } = yield* asking
      for (const tls of [{}, { authorities: authority("others").certificate }]) {
        const error = yield* Effect.flip(send(tls))
        assert.strictEqual(error._tag, "ConnectionFailed")
        assert.match(error.message, /certificate/u)
      }
      const both = `${authority("others").certificate}${ours.certificate}`
      assert.strictEqual((yield* send({ authorities: both })).statusCode, 200)
    }).pipe(Effect.provide(loopback)))

  it.live("says of a certificate that its own key signed what it is", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      const { certificate, privateKey } = selfSigned()
      const { port } = yield* servedTls({ cert: certificate, key: privateKey }, (_, response) => void response.end())
      const error = yield* Effect.flip(
        egress.send({ method: "POST", headers: [], body: "{}", url: `https://127.0.0.1:${port}/` })
      )
      assert.deepInclude(error, { _tag: "ConnectionFailed", code: "DEPTH_ZERO_SELF_SIGNED_CERT" })
      assert.include(error.message, "self-signed certificate")
    }).pipe(Effect.provide(loopback)))
})
