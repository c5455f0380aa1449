import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { createHmac, createSecretKey, webcrypto } from "node:crypto"
import { Webhook as StandardWebhook } from "standardwebhooks"
import { Webhook } from "svix"
import * as Limits from "../src/Limits.ts"
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

  it.effect.prop("is Node's HMAC, with a key of any length and a body of any length and language", [
    Schema.Uint8Array,
    Schema.String,
    Schema.Literals(["", "a", "ä", "\u20ac", "\ud83d\udca5", "\udca5"]),
    // Up to beyond what is hashed in one piece.
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30_000 }))
  ], ([bytes, id, text, count]) =>
    Effect.sync(() => {
      const body = `{${text.repeat(count)}}`
      const longer = Buffer.concat(
        Array.from({ length: 1 + count % 3 }, () => Buffer.concat([bytes, Buffer.alloc(24)]))
      )
      for (const key of [longer, longer.subarray(0, 64), Buffer.alloc(65, longer)]) {
        assert.strictEqual(
          Signature.sign([Redacted.make(createSecretKey(key))], { id, timestampSeconds: 1, body }),
          `v1,${createHmac("sha256", key).update(`${id}.1.${body}`).digest("base64")}`
        )
      }
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
      assert.strictEqual(Redacted.value(key).symmetricKeySize, 32)
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

describe("an ed25519 signature", () => {
  // What the Svix server's own test signs, and with what key: seed and public key.
  const vector = {
    key: "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    seed: "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=",
    publicKey: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
    message: { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestampSeconds: 1_614_265_330, body: "{\"test\": 2432232314}" },
    signature: "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
  }

  const headersOf = (message: Signature.SignedMessage, signature: string) => ({
    "webhook-id": message.id,
    "webhook-timestamp": String(message.timestampSeconds),
    "webhook-signature": signature
  })

  const signedWith = Effect.fnUntraced(function*(
    secrets: ReadonlyArray<Redacted.Redacted<string>>,
    message: Signature.SignedMessage = { id: "msg_1", timestampSeconds: nowMs / 1000, body: "{}" }
  ) {
    return Signature.sign(yield* Effect.forEach(secrets, Signature.parseSecret), message)
  })

  it.effect("is the one that Svix makes, with the key in both of its forms, and its public key verifies it", () =>
    Effect.gen(function*() {
      const { message, publicKey, signature } = vector
      for (const text of [vector.key, vector.seed]) {
        const secret = Redacted.make(text)
        assert.strictEqual(yield* signedWith([secret], message), signature)
        assert.strictEqual(yield* Signature.publicKeyOf(secret), publicKey)
      }
      for (const secret of [publicKey, vector.key, vector.seed]) {
        yield* Signature.verify({
          headers: headersOf(message, signature),
          body: message.body,
          secrets: [Redacted.make(secret)],
          nowMs: message.timestampSeconds * 1000
        })
      }
    }))

  it.effect("has the public keys of RFC 8032's seeds", () =>
    Effect.gen(function*() {
      const pairs = [
        [
          "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
          "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        ],
        [
          "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
          "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        ],
        [
          "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
          "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
        ]
      ]
      for (const pair of pairs) {
        const [seed, key] = pair.map((hex) => Buffer.from(hex, "hex").toString("base64"))
        assert.strictEqual(yield* Signature.publicKeyOf(Redacted.make(`whsk_${seed}`)), `whpk_${key}`)
      }
    }))

  it.effect.prop(
    "verifies with WebCrypto, and WebCrypto's with ours",
    [Schema.String],
    ([text]) =>
      Effect.gen(function*() {
        const message = { id: "msg_1", timestampSeconds: nowMs / 1000, body: text.toWellFormed() }
        const content = Buffer.from(`msg_1.${message.timestampSeconds}.${message.body}`)
        const { privateKey, publicKey } = yield* Signature.generateKeyPair
        const theirs = yield* Effect.promise(() =>
          webcrypto.subtle.importKey("raw", Buffer.from(publicKey.slice(5), "base64"), "Ed25519", true, ["verify"])
        )
        const ours = yield* signedWith([privateKey], message)
        const signature = Buffer.from(ours.slice(4), "base64")
        assert.isTrue(yield* Effect.promise(() => webcrypto.subtle.verify("Ed25519", theirs, signature, content)))

        const pair = yield* Effect.promise(() => webcrypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]))
        if (!("privateKey" in pair)) throw new Error("WebCrypto made no key pair")
        const signed = yield* Effect.promise(() => webcrypto.subtle.sign("Ed25519", pair.privateKey, content))
        const raw = yield* Effect.promise(() => webcrypto.subtle.exportKey("raw", pair.publicKey))
        yield* Signature.verify({
          headers: headersOf(message, `v1a,${Buffer.from(signed).toString("base64")}`),
          body: message.body,
          secrets: [Redacted.make(`whpk_${Buffer.from(raw).toString("base64")}`)],
          nowMs
        })
      }),
    { arbitrary: { runs: 30 } }
  )

  it.effect.prop(
    "of any body is verified by the public key, and no bit of body, id, timestamp or signature can be changed",
    [
      Schema.String,
      natural,
      natural
    ],
    ([text, at, bit]) =>
      Effect.gen(function*() {
        const message = { id: "msg_1", timestampSeconds: nowMs / 1000, body: `{${text.toWellFormed()}}` }
        const { privateKey, publicKey } = yield* Signature.generateKeyPair
        const secrets = [Redacted.make(publicKey)]
        const headers = headersOf(message, yield* signedWith([privateKey], message))
        const body = message.body
        yield* Signature.verify({ headers, body, secrets, nowMs })
        yield* Effect.flip(Signature.verify({ headers, body: `{${flipBit(body.slice(1), at, bit)}`, secrets, nowMs }))
        for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"] as const) {
          const changed = { ...headers, [name]: flipBit(headers[name], at, bit) }
          yield* Effect.flip(Signature.verify({ headers: changed, body, secrets, nowMs, toleranceSeconds: 1e12 }))
        }
      })
  )

  it.effect.prop("stands beside those of shared secrets, in the keys' order, and each key verifies alone", [
    Schema.Array(Schema.Boolean).check(Schema.isMinLength(1), Schema.isMaxLength(10))
  ], ([kinds]) =>
    Effect.gen(function*() {
      const keys = yield* Effect.forEach(kinds, (asymmetric) =>
        asymmetric
          ? Effect.map(
            Signature.generateKeyPair,
            (pair) => ({ secret: pair.privateKey, verifier: Redacted.make(pair.publicKey) })
          )
          : Effect.map(Signature.generateSecret, (secret) => ({ secret, verifier: secret })))
      const signature = yield* signedWith(keys.map(({ secret }) => secret))
      assert.deepStrictEqual(
        signature.split(" ").map((part) => part.split(",")[0]),
        kinds.map((asymmetric) => asymmetric ? "v1a" : "v1")
      )
      const headers = headersOf({ id: "msg_1", timestampSeconds: nowMs / 1000, body: "{}" }, signature)
      for (const { secret, verifier } of keys) {
        yield* Signature.verify({ headers, body: "{}", secrets: [verifier], nowMs })
        yield* Signature.verify({ headers, body: "{}", secrets: [secret], nowMs })
      }
      const other = yield* Signature.generateKeyPair
      const refused = yield* Effect.flip(
        Signature.verify({ headers, body: "{}", secrets: [Redacted.make(other.publicKey), other.privateKey], nowMs })
      )
      assert.deepInclude(refused, { _tag: "SignatureRefused", reason: "no-match" })
    }))

  it.live("leaves the signature beside it to libraries that know shared secrets only", () =>
    Effect.gen(function*() {
      const secret = yield* Signature.generateSecret
      const { privateKey } = yield* Signature.generateKeyPair
      const message = { id: "msg_1", timestampSeconds: Math.floor(new Date().getTime() / 1000), body: "{\"a\":1}" }
      const headers = headersOf(message, yield* signedWith([privateKey, secret], message))
      for (const peer of [new StandardWebhook(Redacted.value(secret)), new Webhook(Redacted.value(secret))]) {
        assert.doesNotThrow(() => peer.verify(message.body, headers))
      }
    }))

  it.effect("is not replaced by one of a shared secret whose bytes are the public key's", () =>
    Effect.gen(function*() {
      const { publicKey } = yield* Signature.generateKeyPair
      const message = { id: "msg_1", timestampSeconds: nowMs / 1000, body: "{}" }
      const forged = yield* signedWith([Redacted.make(publicKey.replace("whpk_", "whsec_"))], message)
      for (const signature of [forged, forged.replace("v1,", "v1a,"), `v1a,${Buffer.alloc(64).toString("base64")}`]) {
        const refused = yield* Effect.flip(Signature.verify({
          headers: headersOf(message, signature),
          body: "{}",
          secrets: [Redacted.make(publicKey)],
          nowMs
        }))
        assert.deepInclude(refused, { reason: "no-match" })
      }
    }))

  it.effect("is looked for among a bounded number of others", () =>
    Effect.gen(function*() {
      const { privateKey, publicKey } = yield* Signature.generateKeyPair
      const message = { id: "msg_1", timestampSeconds: nowMs / 1000, body: "{}" }
      const own = yield* signedWith([privateKey], message)
      const other = yield* signedWith([(yield* Signature.generateKeyPair).privateKey], message)
      const verify = (others: number) =>
        Signature.verify({
          headers: headersOf(message, `${`${other} `.repeat(others)}v1,AAAA ${own}`),
          body: "{}",
          secrets: [Redacted.make(publicKey)],
          nowMs
        })
      yield* verify(Limits.defaults.signaturesTried - 1)
      assert.deepInclude(yield* Effect.flip(verify(Limits.defaults.signaturesTried)), { reason: "no-match" })
    }))
})

describe("an ed25519 key", () => {
  it.effect("that is generated is a pair: its private key has 64 bytes and gives the public one", () =>
    Effect.gen(function*() {
      const { privateKey, publicKey } = yield* Signature.generateKeyPair
      assert.strictEqual(Buffer.from(Redacted.value(privateKey).slice(5), "base64").length, 64)
      assert.strictEqual(Buffer.from(publicKey.slice(5), "base64").length, 32)
      assert.strictEqual(yield* Signature.publicKeyOf(privateKey), publicKey)
      assert.notInclude(JSON.stringify({ privateKey, key: yield* Signature.parseSecret(privateKey) }), "whsk_")
    }))

  it.effect("that is malformed is refused with the forms that are accepted, and never shown", () =>
    Effect.gen(function*() {
      const { privateKey } = yield* Signature.generateKeyPair
      const whole = Buffer.from(Redacted.value(privateKey).slice(5), "base64")
      const base64 = whole.toString("base64")
      const refusals = [
        `whsk_${whole.subarray(0, 31).toString("base64")}`,
        `whsk_${whole.subarray(0, 48).toString("base64")}`,
        `whsk_${Buffer.concat([whole, whole]).toString("base64")}`,
        `whsk_${base64.slice(0, -1)}`,
        `whsk_${base64}\n`,
        `whsk_ ${base64}`,
        `WHSK_${base64}`,
        "whsk_"
      ]
      for (const text of refusals) {
        const refused = yield* Effect.flip(Signature.parseSecret(Redacted.make(text)))
        assert.include(refused.message, "whsec_ and 24 to 64 bytes in base64, or whsk_ and an ed25519 private key")
        if (text.length > 10) assert.notInclude(JSON.stringify(refused), text.slice(6, 20))
      }
      const other = yield* Signature.generateKeyPair
      const mixed = Buffer.concat([whole.subarray(0, 32), Buffer.from(other.publicKey.slice(5), "base64")])
      const halves = yield* Effect.flip(Signature.parseSecret(Redacted.make(`whsk_${mixed.toString("base64")}`)))
      assert.include(halves.message, "not of one key pair")
      assert.notInclude(JSON.stringify(halves), mixed.toString("base64").slice(0, 12))
    }))

  it.effect("that is public can't sign, and a shared secret has none", () =>
    Effect.gen(function*() {
      const { publicKey } = yield* Signature.generateKeyPair
      const secret = yield* Signature.generateSecret
      assert.include((yield* Effect.flip(Signature.parseSecret(Redacted.make(publicKey)))).message, "can't sign")
      assert.include((yield* Effect.flip(Signature.publicKeyOf(secret))).message, "has no public key")
      const { headers } = yield* signed("{}")
      for (
        const text of [publicKey.slice(0, -4), `${publicKey}=`, "whpk_", `whpk_${Buffer.alloc(64).toString("base64")}`]
      ) {
        const refused = yield* Effect.flip(
          Signature.verify({ headers, body: "{}", secrets: [Redacted.make(text)], nowMs })
        )
        assert.deepInclude(refused, {
          _tag: "MalformedSecret",
          message: "Expected a public key: whpk_ and 32 bytes in base64"
        })
      }
    }))
})
