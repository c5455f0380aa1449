/**
 * The keys of Standard Webhooks, as texts and decoded: shared secrets (`whsec_`) and ed25519 keys, private (`whsk_`) and
 * public (`whpk_`).
 */
import { Effect, Redacted, Schema } from "effect"
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes
} from "node:crypto"

// -- models

/**
 * A key, decoded: a shared secret, or an ed25519 key. Node signs several times faster with a key object than with bytes.
 *
 * @category models
 * @since 0.1.0
 */
export type Key = Redacted.Redacted<KeyObject>

/**
 * An ed25519 key pair: the private key to sign with, the public one for receivers.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyPair {
  /** `whsk_…`: seed and public key, 64 bytes. */
  readonly privateKey: Redacted.Redacted<string>
  /** `whpk_…`, 32 bytes. */
  readonly publicKey: string
}

// -- errors

/**
 * A text that is no signing secret. Never shows the text.
 *
 * @category errors
 * @since 0.1.0
 */
export class MalformedSecret extends Schema.TaggedError<MalformedSecret>()("MalformedSecret", {
  message: Schema.String
}) {}

// -- constructors

/**
 * Decodes a signing secret: `whsec_` and 24 to 64 bytes in base64, or `whsk_` and an ed25519 private key in base64, as its
 * seed of 32 bytes or as 64 bytes, the seed and its public key.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseSecret = (secret: Redacted.Redacted<string>): Effect.Effect<Key, MalformedSecret> =>
  Effect.suspend((): Effect.Effect<Key, MalformedSecret> => {
    const text = Redacted.value(secret)
    if (text.startsWith(prefixes.public)) {
      return malformed("A public key (whpk_) verifies and can't sign; use its private key (whsk_)")
    }
    const symmetric = bytesOf(text, prefixes.symmetric)
    if (symmetric && symmetric.length >= 24 && symmetric.length <= 64) {
      return Effect.succeed(Redacted.make(createSecretKey(symmetric)))
    }
    const pair = bytesOf(text, prefixes.private)
    if (pair?.length !== 32 && pair?.length !== 64) return malformed(expected)
    const key = privateKeyOf(pair.subarray(0, 32))
    return pair.length === 64 && !rawPublicKey(key).equals(pair.subarray(32))
      ? malformed("The two halves of this private key (whsk_) are not of one key pair: use the seed's own public key")
      : Effect.succeed(Redacted.make(key))
  })

/**
 * Decodes a key to verify with: a shared secret, a public key (`whpk_` and 32 bytes in base64), or of a private key its
 * public one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseVerifier = (secret: Redacted.Redacted<string>): Effect.Effect<Key, MalformedSecret> => {
  const text = Redacted.value(secret)
  if (!text.startsWith(prefixes.public)) {
    return Effect.map(parseSecret(secret), (key) => {
      const value = Redacted.value(key)
      return value.type === "private" ? Redacted.make(createPublicKey(value)) : key
    })
  }
  const bytes = bytesOf(text, prefixes.public)
  return bytes?.length === 32
    ? Effect.succeed(
      Redacted.make(createPublicKey({ key: Buffer.concat([spki, bytes]), format: "der", type: "spki" }))
    )
    : malformed("Expected a public key: whpk_ and 32 bytes in base64")
}

/**
 * Makes a new secret of 32 bytes from the system's generator.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generateSecret: Effect.Effect<Redacted.Redacted<string>> = Effect.sync(() =>
  Redacted.make(prefixes.symmetric + randomBytes(32).toString("base64"))
)

/**
 * Makes a new ed25519 key pair from the system's generator.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generateKeyPair: Effect.Effect<KeyPair> = Effect.sync(() => {
  const { privateKey } = generateKeyPairSync("ed25519")
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32)
  const raw = rawPublicKey(privateKey)
  return {
    privateKey: Redacted.make(prefixes.private + Buffer.concat([seed, raw]).toString("base64")),
    publicKey: prefixes.public + raw.toString("base64")
  }
})

// -- conversions

/**
 * The public key (`whpk_…`) of a private one (`whsk_…`), to show to receivers.
 *
 * @category conversions
 * @since 0.1.0
 */
export const publicKeyOf = (privateKey: Redacted.Redacted<string>): Effect.Effect<string, MalformedSecret> =>
  Effect.flatMap(parseSecret(privateKey), (key) => {
    const value = Redacted.value(key)
    return value.type === "private"
      ? Effect.succeed(prefixes.public + rawPublicKey(value).toString("base64"))
      : malformed("A shared secret (whsec_) has no public key; use a private key (whsk_)")
  })

/**
 * The bytes of a text in base64; `undefined` of one that is not strictly so.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromBase64 = (text: string): Buffer | undefined => {
  const bytes = Buffer.from(text, "base64")
  // Node decodes leniently: only what it would print again is strict base64.
  return bytes.toString("base64") === text ? bytes : undefined
}

// --- internal ---

const prefixes = { symmetric: "whsec_", private: "whsk_", public: "whpk_" }

const expected =
  "Expected a signing secret: whsec_ and 24 to 64 bytes in base64, or whsk_ and an ed25519 private key in " +
  "base64, 32 bytes or, with its public key, 64"

const malformed = (message: string) => Effect.fail(new MalformedSecret({ message }))

const bytesOf = (text: string, prefix: string): Buffer | undefined =>
  text.startsWith(prefix) ? fromBase64(text.slice(prefix.length)) : undefined

// RFC 8410: what stands before the 32 bytes of an ed25519 key in DER.
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex")
const spki = Buffer.from("302a300506032b6570032100", "hex")

const privateKeyOf = (seed: Buffer): KeyObject =>
  createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: "der", type: "pkcs8" })

const rawPublicKey = (privateKey: KeyObject): Buffer =>
  createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-32)
