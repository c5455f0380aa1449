/**
 * Standard Webhooks signatures, to sign with and, for receivers, to verify with. Importable alone:
 * `import * as Signature from "hookline/Signature"`.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import { Effect, Redacted, Schema } from "effect"
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"

/**
 * A text that is no signing secret. Never shows the text.
 *
 * @category errors
 * @since 0.1.0
 */
export class MalformedSecret extends Schema.TaggedError<MalformedSecret>()("MalformedSecret", {
  message: Schema.String
}) {}

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

/**
 * A secret, decoded.
 *
 * @category models
 * @since 0.1.0
 */
export type Key = Redacted.Redacted<Uint8Array>

const prefix = "whsec_"

/**
 * Decodes a secret: `whsec_` and 24 to 64 bytes in base64.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseSecret = (secret: Redacted.Redacted<string>): Effect.Effect<Key, MalformedSecret> =>
  Effect.suspend(() => {
    const text = Redacted.value(secret)
    const encoded = text.slice(prefix.length)
    const bytes = Buffer.from(encoded, "base64")
    // Node decodes leniently: only what it would print again is strict base64.
    const strict = text.startsWith(prefix) && bytes.toString("base64") === encoded
    return strict && bytes.length >= 24 && bytes.length <= 64
      ? Effect.succeed(Redacted.make<Uint8Array>(bytes))
      : Effect.fail(
        new MalformedSecret({ message: "Expected a signing secret: whsec_ and 24 to 64 bytes in base64" })
      )
  })

/**
 * Makes a new secret of 32 bytes from the system's generator.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generateSecret: Effect.Effect<Redacted.Redacted<string>> = Effect.sync(() =>
  Redacted.make(prefix + randomBytes(32).toString("base64"))
)

/**
 * The value of `webhook-signature`: one `v1` signature (HMAC-SHA-256) for each key, separated by spaces.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sign = (keys: ReadonlyArray<Key>, message: {
  readonly id: string
  readonly timestampSeconds: number
  readonly body: string
}): string => keys.map((key) => `v1,${hmac(key, message).toString("base64")}`).join(" ")

/**
 * Verifies a message with any of the secrets, in constant time.
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
  readonly secrets: ReadonlyArray<Redacted.Redacted<string>>
  readonly nowMs: number
  /** How old or new a message may be; 300 seconds. */
  readonly toleranceSeconds?: number
}) {
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
  const keys = yield* Effect.forEach(options.secrets, parseSecret)
  const given = signature.split(" ")
    .filter((part) => part.startsWith("v1,"))
    .map((part) => Buffer.from(part.slice(3)))
  const matches = keys.some((key) => {
    // Compared as text: several texts of base64 decode to the same bytes.
    const expected = Buffer.from(hmac(key, { id, timestampSeconds, body: options.body }).toString("base64"))
    return given.some((candidate) => candidate.length === expected.length && timingSafeEqual(candidate, expected))
  })
  if (!matches) return yield* refused("no-match", "no signature matches: another secret, or the body was changed")
})

// --- internal ---

const hmac = (
  key: Key,
  message: { readonly id: string; readonly timestampSeconds: number; readonly body: string }
): Buffer =>
  createHmac("sha256", Redacted.value(key))
    .update(`${message.id}.${message.timestampSeconds}.${message.body}`)
    .digest()
