/**
 * Standard Webhooks signatures, to sign with and, for receivers, to verify with: `v1`, HMAC-SHA-256 with a secret that both
 * sides hold, and `v1a`, ed25519, whose receivers hold a public key only. Importable alone:
 * `import * as Signature from "hookline/Signature"`.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import { Effect, Redacted, Schema } from "effect"
import {
  createHmac,
  hash,
  type KeyObject,
  sign as signEd25519,
  timingSafeEqual,
  verify as verifyEd25519
} from "node:crypto"
import { Limits } from "./Limits.ts"
import { fromBase64, type Key, parseVerifier } from "./SignatureKey.ts"

export { generateKeyPair, generateSecret, MalformedSecret, parseSecret, publicKeyOf } from "./SignatureKey.ts"
export type { Key, KeyPair } from "./SignatureKey.ts"

// -- models

/**
 * What is signed.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignedMessage {
  readonly id: string
  readonly timestampSeconds: number
  readonly body: string
}

// -- errors

/**
 * A message whose signature does not hold.
 *
 * @category errors
 * @since 0.1.0
 */
export class SignatureRefused extends Schema.TaggedError<SignatureRefused>()("SignatureRefused", {
  reason: Schema.Literals(["missing-headers", "malformed-timestamp", "too-old", "too-new", "no-match"]),
  message: Schema.String
}) {}

// -- combinators

/**
 * The value of `webhook-signature`: one signature for each key, `v1` or `v1a` by its kind, separated by spaces.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sign = (keys: ReadonlyArray<Key>, message: SignedMessage): string =>
  keys.map((key) => {
    const value = Redacted.value(key)
    return value.type === "secret"
      ? `v1,${hmac(value, message)}`
      : `v1a,${signEd25519(null, Buffer.from(contentOf(message)), value).toString("base64")}`
  }).join(" ")

/**
 * Verifies a message with any of the secrets, shared ones in constant time.
 *
 * **Gotchas**
 *
 * A message may come again: keep its `webhook-id` for as long as the tolerance and your sender's retries last, and accept
 * each once.
 *
 * @category combinators
 * @since 0.1.0
 */
export const verify = Effect.fnUntraced(function*(options: {
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The body as it came, not parsed and printed again. */
  readonly body: string
  /** Shared secrets (`whsec_…`) and public keys (`whpk_…`); of private keys (`whsk_…`) their public ones. */
  readonly secrets: ReadonlyArray<Redacted.Redacted<string>>
  readonly nowMs: number
  /** How old or new a message may be; 300 seconds. */
  readonly toleranceSeconds?: number
}) {
  const limits = yield* Limits
  const refused = (reason: SignatureRefused["reason"], message: string) => new SignatureRefused({ reason, message })
  const { "webhook-id": id, "webhook-signature": signature, "webhook-timestamp": timestamp } = options.headers
  if (!id || !signature || !timestamp) {
    return yield* refused("missing-headers", "webhook-id, webhook-timestamp or webhook-signature is missing")
  }
  if (!/^(?:0|[1-9]\d{0,11})$/u.test(timestamp)) {
    return yield* refused("malformed-timestamp", "webhook-timestamp is no number of seconds")
  }
  const timestampSeconds = Number(timestamp)
  const age = options.nowMs / 1000 - timestampSeconds
  const tolerance = options.toleranceSeconds ?? 300
  if (age > tolerance) return yield* refused("too-old", "webhook-timestamp is too old")
  if (age < -tolerance) return yield* refused("too-new", "webhook-timestamp is in the future")
  const keys = yield* Effect.forEach(options.secrets, parseVerifier)
  const given = (version: string) =>
    signature.split(" ")
      .filter((part) => part.startsWith(`${version},`))
      .slice(0, limits.signaturesTried)
      .map((part) => part.slice(version.length + 1))
  const symmetric = given("v1").map((text) => Buffer.from(text))
  const asymmetric = given("v1a").map(fromBase64).filter((bytes) => bytes?.length === 64)
  const message = { id, timestampSeconds, body: options.body }
  const matches = keys.some((key) => {
    const value = Redacted.value(key)
    if (value.type !== "secret") {
      return asymmetric.some((bytes) => bytes && verifyEd25519(null, Buffer.from(contentOf(message)), value, bytes))
    }
    // Compared as text: several texts of base64 decode to the same bytes.
    const mac = Buffer.from(hmac(value, message))
    return symmetric.some((text) => text.length === mac.length && timingSafeEqual(text, mac))
  })
  if (!matches) return yield* refused("no-match", "no signature matches: another secret, or the body was changed")
})

// --- internal ---

const beginningOf = ({ id, timestampSeconds }: SignedMessage): string => `${id}.${timestampSeconds}.`

const contentOf = (message: SignedMessage): string => beginningOf(message) + message.body

/**
 * HMAC-SHA-256 (RFC 2104) as its two hashes: `createHmac` has OpenSSL look for the algorithm and make an object, each time, which together
 * take longer than to hash 1 KiB.
 */
const hmac = (key: KeyObject, message: SignedMessage): string => {
  const beginning = beginningOf(message)
  // A unit of UTF-16 is at most three bytes of UTF-8.
  if ((beginning.length + message.body.length) * 3 > scratch.length - blockBytes) {
    return createHmac("sha256", key).update(beginning).update(message.body).digest("base64")
  }
  const { inner, outer } = paddedOf(key)
  inner.copy(scratch)
  let length = blockBytes + scratch.write(beginning, blockBytes)
  length += scratch.write(message.body, length)
  outer.write(hash("sha256", scratch.subarray(0, length), "binary"), blockBytes, "binary")
  return hash("sha256", outer, "base64")
}

/** SHA-256 hashes blocks of so many bytes, and keys are padded to one. */
const blockBytes = 64

/** Where contents are put together: nothing is waited for before they are hashed. */
const scratch = Buffer.alloc(64 * 1024)

/** What a key comes to: the beginning of what is hashed first, and of what is hashed then, with room for the first hash. */
interface Padded {
  readonly inner: Buffer
  readonly outer: Buffer
}

const known = new WeakMap<KeyObject, Padded>()

const paddedOf = (key: KeyObject): Padded => {
  const found = known.get(key)
  if (found) return found
  const bytes = key.export()
  const inner = Buffer.alloc(blockBytes, 0x36)
  const outer = Buffer.alloc(blockBytes + 32, 0x5c)
  for (const [n, byte] of (bytes.length > blockBytes ? hash("sha256", bytes, "buffer") : bytes).entries()) {
    inner[n] = 0x36 ^ byte
    outer[n] = 0x5c ^ byte
  }
  const made = { inner, outer }
  known.set(key, made)
  return made
}
