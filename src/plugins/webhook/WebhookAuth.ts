/**
 * How a webhook's request proves who sends it, beside its signature: headers and a client's certificate, by `authType`.
 */
import aws4 from "aws4"
import { Effect, Redacted } from "effect"
import type { Egress, EgressTls } from "../../Egress.ts"
import type * as Provider from "../../Provider.ts"
import * as OAuth2 from "./OAuth2.ts"
import type { WebhookConfig } from "./WebhookConfig.ts"

/**
 * A request that is to be authorized.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draft {
  readonly method: string
  readonly url: URL
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly body: string
}

/** @category models @since 0.1.0 */
export interface WebhookAuth {
  /** The headers that authorize a request, names and values in turn. */
  readonly headers: (
    draft: Draft,
    nowMs: number
  ) => Effect.Effect<ReadonlyArray<string>, Provider.ProviderError, Egress>
  /** What people see in their place. */
  readonly shown: ReadonlyArray<string>
  readonly tls: EgressTls | undefined
  /** Forgets what the endpoint answered 401 to; true where another try has something new to show. */
  readonly refused: Effect.Effect<boolean>
}

/**
 * Makes the authorization of a configuration that has what its `authType` needs.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (config: WebhookConfig): Effect.Effect<WebhookAuth> => {
  const tls = tlsOf(config)
  const fixed = (name: string, value: string, shown: string): WebhookAuth => ({
    headers: () => Effect.succeed([name, value]),
    shown: [name, shown],
    tls,
    refused: Effect.succeed(false)
  })
  switch (config.authType) {
    case "bearer":
      return Effect.succeed(fixed("authorization", `Bearer ${config.bearerToken ?? ""}`, `Bearer ${hidden}`))
    case "basic": {
      const credentials = Buffer.from(`${config.basicUsername ?? ""}:${config.basicPassword ?? ""}`).toString("base64")
      return Effect.succeed(fixed("authorization", `Basic ${credentials}`, `Basic ${hidden}`))
    }
    case "header":
      return Effect.succeed(fixed(config.authHeaderName ?? "", config.authHeaderValue ?? "", hidden))
    case "oauth2":
      return Effect.map(OAuth2.make(config), ({ forget, token }) => ({
        headers: (_, nowMs) =>
          Effect.map(token(nowMs), (value) => ["authorization", `Bearer ${Redacted.value(value)}`]),
        shown: ["authorization", `Bearer ${hidden}`],
        tls,
        refused: forget
      }))
    case "sigv4":
      return Effect.succeed({
        headers: (draft, nowMs) => Effect.sync(() => signedHeaders(config, draft, nowMs)),
        shown: ["authorization", `AWS4-HMAC-SHA256 ${hidden}`],
        tls,
        refused: Effect.succeed(false)
      })
    default:
      return Effect.succeed({ headers: () => Effect.succeed([]), shown: [], tls, refused: Effect.succeed(false) })
  }
}

// --- internal ---

const hidden = "***"

const tlsOf = (config: WebhookConfig): EgressTls | undefined => {
  const { authType, tlsAuthorities, tlsCertificate, tlsPrivateKey } = config
  const client = authType === "mtls" && tlsCertificate !== undefined && tlsPrivateKey !== undefined
    ? { certificate: tlsCertificate, privateKey: Redacted.make(tlsPrivateKey) }
    : {}
  const tls = tlsAuthorities === undefined ? client : { ...client, authorities: tlsAuthorities }
  return Object.keys(tls).length === 0 ? undefined : tls
}

/** AWS Signature Version 4 over the whole request. */
const signedHeaders = (config: WebhookConfig, draft: Draft, nowMs: number): ReadonlyArray<string> => {
  const headers: Record<string, string> = {
    "x-amz-date": new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/gu, "")
  }
  for (let i = 0; i + 1 < draft.headers.length; i += 2) headers[draft.headers[i] ?? ""] = draft.headers[i + 1] ?? ""
  const before = new Set(Object.keys(headers))
  const signed = aws4.sign({
    host: draft.url.host,
    path: draft.url.pathname + draft.url.search,
    method: draft.method,
    body: draft.body,
    service: config.awsService ?? "",
    region: config.awsRegion ?? "",
    headers
  }, {
    accessKeyId: config.awsAccessKeyId ?? "",
    secretAccessKey: config.awsSecretAccessKey ?? "",
    ...(config.awsSessionToken === undefined ? {} : { sessionToken: config.awsSessionToken })
  })
  const added = Object.entries(signed.headers ?? {}).filter(([name]) =>
    // The transport writes these two, with the values that were signed.
    !before.has(name) && !/^(host|content-length)$/iu.test(name)
  )
  return [
    "x-amz-date",
    headers["x-amz-date"] ?? "",
    ...added.flatMap(([name, value]) => [name.toLowerCase(), String(value)])
  ]
}
