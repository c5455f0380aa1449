/**
 * What a webhook's connections are made with: the client's certificate with its key, and the authorities that are trusted;
 * read when the configuration is bound, so that a file that is none is refused when it is saved.
 */
import { Effect, Redacted } from "effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import type { EgressTls } from "../../Egress.ts"
import type { ConfigRefused } from "../../Provider.ts"
import { refused, required, type WebhookConfig } from "./WebhookConfig.ts"

/**
 * Reads the certificates and the key; undefined where a connection is made as usual.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(config: WebhookConfig): Effect.fn.Return<EgressTls | undefined, ConfigRefused> {
    const { authType, tlsAuthorities } = config
    if (tlsAuthorities !== undefined) yield* certificates("tlsAuthorities", tlsAuthorities)
    const client = authType === "mtls" ? yield* clientOf(config) : undefined
    if (client === undefined && tlsAuthorities === undefined) return undefined
    return { ...client, ...(tlsAuthorities === undefined ? {} : { authorities: tlsAuthorities }) }
  }
)

// --- internal ---

const clientOf = Effect.fnUntraced(function*(config: WebhookConfig) {
  const certificate = yield* required(config, "tlsCertificate")
  const privateKey = yield* required(config, "tlsPrivateKey")
  const [own] = yield* certificates("tlsCertificate", certificate)
  // What OpenSSL says may quote what it read.
  const key = yield* Effect.try({ try: () => createPrivateKey(privateKey), catch: () => undefined }).pipe(
    Effect.catch(() => refused("tlsPrivateKey", "Expected a private key in PEM that is not encrypted"))
  )
  if (own?.checkPrivateKey(key) !== true) {
    return yield* refused("tlsPrivateKey", "This key does not belong to the first certificate in tlsCertificate")
  }
  return { certificate, privateKey: Redacted.make(privateKey) }
})

// Each match goes on to an END or to the end of the file, so that reading it takes one pass.
const block = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?(?:-----END ([A-Z0-9 ]+)-----|$)/gu

/** Reads each certificate of a file: TLS would pass over authorities that it can't read. */
const certificates = Effect.fnUntraced(function*(field: keyof WebhookConfig, pem: string) {
  const blocks = [...pem.matchAll(block)]
  if (blocks.length === 0 || blocks.some(([, begin, end]) => begin !== end)) {
    return yield* refused(field, "Expected a certificate in PEM, whose END names what its BEGIN does")
  }
  return yield* Effect.forEach(
    blocks,
    ([text], i) =>
      Effect.try({ try: () => new X509Certificate(text), catch: () => undefined }).pipe(
        Effect.catch(() => refused(field, `Expected nothing but certificates in PEM; block ${i + 1} is none`))
      )
  )
})
