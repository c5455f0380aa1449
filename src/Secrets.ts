/**
 * Secrets at rest: sealed with AES-256-GCM under the master key and bound to what they belong to. Which fields of a
 * configuration are secret, `SecretFields` tells by its schema.
 */
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto"

// -- errors

/**
 * The master key is not usable: the operator's fault, told at start. Never names the key.
 *
 * @category errors
 * @since 0.1.0
 */
export class MasterKeyRefused extends Schema.TaggedError<MasterKeyRefused>()("MasterKeyRefused", {
  message: Schema.String
}) {}

/**
 * A sealed text can't be opened: another master key, another owner or a changed text.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsealError extends Schema.TaggedError<UnsealError>()("UnsealError", { message: Schema.String }) {}

// -- service

/**
 * Sealing and opening.
 *
 * @category services
 * @since 0.1.0
 */
export class Secrets extends Context.Service<Secrets, {
  /** Seals a text for a context, such as the subscription's id: opened in another context, it fails. */
  readonly seal: (plaintext: Redacted.Redacted<string>, context: string) => Effect.Effect<string>
  readonly open: (envelope: string, context: string) => Effect.Effect<Redacted.Redacted<string>, UnsealError>
  /** Whether a text is one that was sealed, and with another key than the one that seals now. */
  readonly isStale: (text: string) => boolean
}>()("hookline/Secrets") {}

/**
 * Whether a text has the form of one that was sealed, by whatever key.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSealed = (text: string): boolean => sealedForm.test(text)

// -- layers

/**
 * Layer with the master key that seals, 32 bytes as 64 hexadecimal digits, and those that open as well: the one before it
 * while what it sealed is sealed anew, the one after it while not all runners seal with it yet.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  readonly masterKey: Redacted.Redacted<string>
  readonly otherMasterKeys?: ReadonlyArray<Redacted.Redacted<string>>
}): Layer.Layer<Secrets, MasterKeyRefused> =>
  Layer.effect(
    Secrets,
    Effect.gen(function*() {
      const key = yield* keyOf(options.masterKey, "The master key", "HOOKLINE_MASTER_KEY")
      const others = yield* Effect.forEach(
        options.otherMasterKeys ?? [],
        (other) => keyOf(other, "Each other master key", "HOOKLINE_OTHER_MASTER_KEYS")
      )
      return make(key, others)
    })
  )

/**
 * Makes a new master key.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generateMasterKey: Effect.Effect<Redacted.Redacted<string>> = Effect.sync(() =>
  Redacted.make(randomBytes(32).toString("hex"))
)

// --- internal ---

const version = "v1"
const cipherName = "aes-256-gcm"
const nonceBytes = 12
/** Pinned at both ends: GCM would open with as little as four bytes of a tag, which can be guessed. */
const authTagLength = 16

const keyOf = (key: Redacted.Redacted<string>, what: string, variable: string) => {
  const text = Redacted.value(key)
  return /^[0-9a-fA-F]{64}$/u.test(text) ? Effect.succeed(Buffer.from(text, "hex")) : Effect.fail(
    new MasterKeyRefused({
      message:
        `${what} must be 32 bytes as 64 hexadecimal digits: set ${variable} to the output of \`openssl rand -hex 32\`, ` +
        "and keep it: what is sealed with it can't be opened with another."
    })
  )
}

const idOf = (key: Buffer): string => createHash("sha256").update(key).digest("hex").slice(0, 8)

/** The form of what is sealed; the first group is the key's id. */
const sealedForm = /^v1:([0-9a-f]{8}):[\w-]{38,}$/u

const make = (key: Buffer, others: ReadonlyArray<Buffer>): Secrets["Service"] => {
  const keyId = idOf(key)
  const keys = new Map([key, ...others].map((one) => [idOf(one), one]))
  return {
    isStale: (text) => {
      const found = sealedForm.exec(text)?.[1]
      return found !== undefined && found !== keyId
    },
    seal: (plaintext, context) =>
      Effect.sync(() => {
        // A repeated nonce breaks GCM: it must come from the system's generator, not from the replayable Random.
        const nonce = randomBytes(nonceBytes)
        const cipher = createCipheriv(cipherName, key, nonce, { authTagLength }).setAAD(Buffer.from(context))
        const sealed = Buffer.concat([nonce, cipher.update(Redacted.value(plaintext), "utf8"), cipher.final()])
        return `${version}:${keyId}:${Buffer.concat([sealed, cipher.getAuthTag()]).toString("base64url")}`
      }),
    open: (envelope, context) =>
      Effect.try({
        try: () => {
          const [found, foundKeyId, text] = envelope.split(":")
          if (found !== version || text === undefined) throw new TypeError("it is not a sealed text")
          const opening = foundKeyId === undefined ? undefined : keys.get(foundKeyId)
          if (!opening) {
            throw new TypeError(`it was sealed with the master key ${foundKeyId}, not ${[...keys.keys()].join(" or ")}`)
          }
          const bytes = Buffer.from(text, "base64url")
          if (bytes.length < nonceBytes + authTagLength) throw new TypeError("it is too short for a sealed text")
          const decipher = createDecipheriv(cipherName, opening, bytes.subarray(0, nonceBytes), { authTagLength })
            .setAAD(Buffer.from(context))
            .setAuthTag(bytes.subarray(-authTagLength))
          return Redacted.make(
            Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -authTagLength)), decipher.final()]).toString(
              "utf8"
            )
          )
        },
        catch: (error) =>
          new UnsealError({
            message: `A secret can't be opened: ${error instanceof TypeError ? error.message : "it was changed"}.`
          })
      })
  }
}
