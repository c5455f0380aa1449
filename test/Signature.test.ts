import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { createHmac } from "node:crypto"
import { Webhook as StandardWebhook } from "standardwebhooks"
import { Webhook } from "svix"
import * as Signature from "../src/Signature.ts"

const nowMs = 1_700_000_000_000
const natural = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 30 }))

const signed = Effect.fnUntraced(function*(body: string, count = 1) {
  const secrets = yield* Effect.forEach(Array.from({ length: count }), () => Signature.generateSecret)
  const keys = yield* Effect.forEach(secrets, Signature.parseSecret)
  const message = { id: "msg_1", timestampSeconds: nowMs / 1000, body }
  const headers = {
    "webhook-id": message.id,
    "webhook-timestamp": String(message.timestampSeconds),
    "webhook-signature": Signature.sign(keys, message)
  }
  return { secrets, headers }
})

/** Flips one of the low seven bits of a character. */
const flipBit = (text: string, at: number, bit: number) => {
  const i = at % text.length
  return text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ (1 << bit % 7)) + text.slice(i + 1)
}

describe("a signature", () => {
  it.effect("is the base64 of HMAC-SHA-256 over id, timestamp and body, keyed with the secret's bytes", () =>
    Effect.gen(function*() {
      const bytes = Buffer.from("0123456789abcdef0123456789abcdef")
      const key = yield* Signature.parseSecret(Redacted.make(`whsec_${bytes.toString("base64")}`))
      const expected = createHmac("sha256", bytes).update("msg_1.1700000000.{\"ä\":1}").digest("base64")
      assert.strictEqual(
        Signature.sign([key], { id: "msg_1", timestampSeconds: 1_700_000_000, body: "{\"ä\":1}" }),
        `v1,${expected}`
      )
    }))

  it.effect.prop("of any body is verified, and no bit of body, id, timestamp or signature can be changed", [
    Schema.String,
    natural,
    natural
  ], ([text, at, bit]) =>
    Effect.gen(function*() {
      const body = `{${text.toWellFormed()}}`
      const { headers, secrets } = yield* signed(body)
      yield* Signature.verify({ headers, body, secrets, nowMs })
      yield* Effect.flip(Signature.verify({ headers, body: `{${flipBit(body.slice(1), at, bit)}`, secrets, nowMs }))
      for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"] as const) {
        const changed = { ...headers, [name]: flipBit(headers[name], at, bit) }
        yield* Effect.flip(Signature.verify({ headers: changed, body, secrets, nowMs, toleranceSeconds: 1e12 }))
      }
    }))

  it.effect.prop("is made with each of several secrets, and any one of them verifies it", [
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10 }))
  ], ([count]) =>
    Effect.gen(function*() {
      const { headers, secrets } = yield* signed("{}", count)
      assert.strictEqual(headers["webhook-signature"].split(" ").length, count)
      for (const secret of secrets) yield* Signature.verify({ headers, body: "{}", secrets: [secret], nowMs })
      const other = yield* Signature.generateSecret
      yield* Signature.verify({ headers, body: "{}", secrets: [other, ...secrets], nowMs })
      const refused = yield* Effect.flip(Signature.verify({ headers, body: "{}", secrets: [other], nowMs }))
      assert.deepInclude(refused, { _tag: "SignatureRefused", reason: "no-match" })
    }))

  it.live("verifies with standardwebhooks and svix, and theirs with ours", () =>
    Effect.gen(function*() {
      const at = new Date()
      const body = "{\"type\":\"ä\",\"data\":{\"n\":1}}"
      const secret = yield* Signature.generateSecret
      const key = yield* Signature.parseSecret(secret)
      const timestampSeconds = Math.floor(at.getTime() / 1000)
      const headersOf = (signature: string) => ({
        "webhook-id": "msg_1",
        "webhook-timestamp": String(timestampSeconds),
        "webhook-signature": signature
      })
      const ours = headersOf(Signature.sign([key], { id: "msg_1", timestampSeconds, body }))
      for (const peer of [new StandardWebhook(Redacted.value(secret)), new Webhook(Redacted.value(secret))]) {
        assert.doesNotThrow(() => peer.verify(body, ours))
        assert.throws(() => peer.verify(`${body} `, ours))
        const theirs = headersOf(peer.sign("msg_1", at, body))
        yield* Signature.verify({ headers: theirs, body, secrets: [secret], nowMs: at.getTime() })
      }
    }))

  it.effect("is found among signatures of other versions, which are passed over", () =>
    Effect.gen(function*() {
      const { headers, secrets } = yield* signed("{}")
      const verify = (signature: string) =>
        Signature.verify({ headers: { ...headers, "webhook-signature": signature }, body: "{}", secrets, nowMs })
      const valid = headers["webhook-signature"]
      yield* verify(`v1a,AAAA v2,AAAA ${valid}`)
      for (const none of ["v1", "v1,", "v1a,AAAA", valid.slice(3), valid.replace("v1,", "v1a,"), `${valid}=`]) {
        yield* Effect.flip(verify(none))
      }
    }))

  it.effect("is refused without its headers, and outside the tolerance on both sides", () =>
    Effect.gen(function*() {
      const { headers, secrets } = yield* signed("{}")
      const reason = (changed: object, at = nowMs) =>
        Signature.verify({ headers: { ...headers, ...changed }, body: "{}", secrets, nowMs: at }).pipe(
          Effect.flip,
          Effect.map((error) => error._tag === "SignatureRefused" ? error.reason : error._tag)
        )
      for (const name of Object.keys(headers)) {
        assert.strictEqual(yield* reason({ [name]: undefined }), "missing-headers")
      }
      for (const timestamp of ["soon", "-1", "1.5", "01700000000", "1e9", "1700000000 "]) {
        assert.strictEqual(yield* reason({ "webhook-timestamp": timestamp }), "malformed-timestamp")
      }
      yield* Signature.verify({ headers, body: "{}", secrets, nowMs: nowMs + 300_000 })
      yield* Signature.verify({ headers, body: "{}", secrets, nowMs: nowMs - 300_000 })
      assert.strictEqual(yield* reason({}, nowMs + 300_001), "too-old")
      assert.strictEqual(yield* reason({}, nowMs - 300_001), "too-new")
    }))
})

describe("a secret", () => {
  it.effect("that is generated holds 32 bytes and is accepted", () =>
    Effect.gen(function*() {
      const key = yield* Effect.flatMap(Signature.generateSecret, Signature.parseSecret)
      assert.strictEqual(Redacted.value(key).length, 32)
    }))

  it.effect("in base64 that is not strict is refused, and the refusal never shows it", () =>
    Effect.gen(function*() {
      const bytes = Buffer.alloc(32, 0xfb)
      const good = bytes.toString("base64")
      const refusals = [
        good,
        `whsec_${good.slice(0, -1)}`,
        `whsec_${good}=`,
        `whsec_${good}\n`,
        `whsec_ ${good}`,
        `whsec_${bytes.toString("base64url")}`,
        `whsec_${bytes.toString("hex").slice(0, 44)}=`,
        // The last character's unused bits are not zero.
        `whsec_${good.slice(0, -2)}t=`,
        `WHSEC_${good}`,
        "whsec_",
        ""
      ]
      for (const text of refusals) {
        const refused = yield* Effect.flip(Signature.parseSecret(Redacted.make(text)))
        assert.strictEqual(refused._tag, "MalformedSecret")
        if (text.length > 10) assert.notInclude(JSON.stringify(refused), text.slice(6, 20))
      }
    }))
})
