import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { createHmac, createPublicKey, verify as verifyEd25519 } from "node:crypto"
import { Webhook as StandardWebhook } from "standardwebhooks"
import { Webhook as Svix } from "svix"
import * as Signature from "../../../src/Signature.ts"
import { attemptAt, endpoint, flat, type Got, loopback, saved } from "./support.ts"

/** What a receiver gets that is sent with these secrets. */
const received = Effect.fnUntraced(function*(secrets: ReadonlyArray<Redacted.Redacted<string>>) {
  const { requests, url } = yield* endpoint()
  const bound = yield* saved({ url })
  const attempt = yield* attemptAt(Date.now(), { secrets })
  yield* bound.deliver(attempt)
  return { attempt, got: requests[0] ?? assert.fail("it did not arrive") }
})

const signatures = ({ headers }: Got) => String(headers["webhook-signature"]).split(" ")

const content = ({ body, headers }: Got) =>
  Buffer.from(`${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`)

/** Verifies `v1a` with nothing but the public key's bytes. */
const verifiesV1a = (publicKey: string, signature: string, got: Got) => {
  const x = Buffer.from(publicKey.replace(/^whpk_/u, ""), "base64").toString("base64url")
  const key = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } })
  return signature.startsWith("v1a,") &&
    verifyEd25519(null, content(got), key, Buffer.from(signature.slice(4), "base64"))
}

describe("a webhook's signature", () => {
  it.live("is made with every active secret, and two third parties verify it with each", () =>
    Effect.gen(function*() {
      const secrets = yield* Effect.forEach([1, 2, 3], () => Signature.generateSecret)
      const { attempt, got } = yield* received(secrets)
      assert.strictEqual(signatures(got).length, 3)
      for (const secret of secrets) {
        for (const peer of [new StandardWebhook(Redacted.value(secret)), new Svix(Redacted.value(secret))]) {
          assert.doesNotThrow(() => peer.verify(got.body, flat(got.headers)))
          assert.throws(() => peer.verify(`${got.body} `, flat(got.headers)))
        }
        yield* Signature.verify({
          headers: flat(got.headers),
          body: got.body,
          secrets: [secret],
          nowMs: attempt.nowMs
        })
      }
    }).pipe(Effect.provide(loopback)))

  it.live("is v1 and v1a in one header, newest first, each of which its own verifiers take", () =>
    Effect.gen(function*() {
      const shared = yield* Signature.generateSecret
      const pair = yield* Signature.generateKeyPair
      const other = yield* Signature.generateKeyPair
      const { attempt, got } = yield* received([pair.privateKey, shared, other.privateKey])
      const made = signatures(got)
      assert.deepStrictEqual(made.map((signature) => signature.split(",", 1)[0]), ["v1a", "v1", "v1a"])
      for (const peer of [new StandardWebhook(Redacted.value(shared)), new Svix(Redacted.value(shared))]) {
        assert.doesNotThrow(() => peer.verify(got.body, flat(got.headers)))
      }
      const mac = createHmac("sha256", Buffer.from(Redacted.value(shared).slice(6), "base64")).update(content(got))
      assert.strictEqual(made[1], `v1,${mac.digest("base64")}`)
      assert.isTrue(verifiesV1a(pair.publicKey, made[0] ?? "", got))
      assert.isTrue(verifiesV1a(other.publicKey, made[2] ?? "", got))
      assert.isFalse(verifiesV1a(other.publicKey, made[0] ?? "", got))
      assert.isFalse(verifiesV1a(pair.publicKey, made[0] ?? "", { ...got, body: `${got.body} ` }))
      for (const secret of [shared, Redacted.make(pair.publicKey), Redacted.make(other.publicKey)]) {
        yield* Signature.verify({ headers: flat(got.headers), body: got.body, secrets: [secret], nowMs: attempt.nowMs })
      }
    }).pipe(Effect.provide(loopback)))

  it.live("is the same with a private key's seed alone and with seed and public key", () =>
    Effect.gen(function*() {
      const { privateKey, publicKey } = yield* Signature.generateKeyPair
      const bytes = Buffer.from(Redacted.value(privateKey).slice(5), "base64")
      assert.strictEqual(bytes.length, 64)
      const seed = Redacted.make(`whsk_${bytes.subarray(0, 32).toString("base64")}`)
      const { got } = yield* received([privateKey, seed])
      const [first, second] = signatures(got)
      assert.strictEqual(first, second)
      assert.isTrue(verifiesV1a(publicKey, first ?? "", got))
    }).pipe(Effect.provide(loopback)))

  it.live("is made anew for each attempt, also where the secrets stay and where they change", () =>
    Effect.gen(function*() {
      const { requests, url } = yield* endpoint()
      const bound = yield* saved({ url })
      const [first, second] = [yield* Signature.generateSecret, yield* Signature.generateSecret]
      for (const secrets of [[first], [first], [second, first], [second]]) {
        yield* bound.deliver(yield* attemptAt(Date.now(), { secrets }))
        const { body, headers } = requests.at(-1) ?? assert.fail("it did not arrive")
        for (const secret of secrets) {
          assert.doesNotThrow(() => new StandardWebhook(Redacted.value(secret)).verify(body, flat(headers)))
        }
        assert.strictEqual(String(headers["webhook-signature"]).split(" ").length, secrets.length)
      }
    }).pipe(Effect.provide(loopback)))

  it.live("that can't be made with what is stored is tried again, and the secret is not told", () =>
    Effect.gen(function*() {
      const { requests, url } = yield* endpoint()
      const bound = yield* saved({ url })
      const secrets = [yield* Signature.generateSecret, Redacted.make("hunter2")]
      const error = yield* Effect.flip(bound.deliver(yield* attemptAt(Date.now(), { secrets })))
      assert.deepInclude(error, { _tag: "Retryable", code: "Misconfigured" })
      assert.notInclude(JSON.stringify(error), "hunter2")
      assert.strictEqual(requests.length, 0)
    }).pipe(Effect.provide(loopback)))
})
