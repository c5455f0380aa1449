/**
 * AWS Signature Version 4 over a whole request: method, URL, headers, body.
 */
import aws4 from "aws4"
import { createHash } from "node:crypto"

/**
 * Whom a request comes from, and for which service.
 *
 * @category models
 * @since 0.1.0
 */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
  readonly region: string
  readonly service: string
}

/**
 * The names of the headers that a signature adds.
 *
 * @category constants
 * @since 0.1.0
 */
export const names: ReadonlyArray<string> = [
  "authorization",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-security-token"
]

/**
 * The URL as it is signed, in the one spelling that every verifier arrives at, and the headers to be added, names and values
 * in turn. Throws where the URL has a percent sign that encodes no UTF-8.
 *
 * **Gotchas**
 *
 * No header may be there twice.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sign = (
  { region, service, sessionToken, ...keys }: AwsCredentials,
  request: {
    readonly method: string
    readonly url: string
    readonly headers: ReadonlyArray<string>
    readonly body: string
  },
  nowMs: number
): { readonly url: string; readonly headers: ReadonlyArray<string> } => {
  const { body, method } = request
  const url = new URL(request.url)
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < request.headers.length; i += 2) {
    const name = (request.headers[i] ?? "").toLowerCase()
    // Whoever passes a trace on puts himself into it.
    if (name !== "traceparent") headers[name] = request.headers[i + 1] ?? ""
  }
  const added = {
    "x-amz-content-sha256": createHash("sha256").update(body).digest("hex"),
    "x-amz-date": new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/gu, ""),
    ...(sessionToken === undefined ? {} : { "x-amz-security-token": sessionToken })
  }
  // aws4 encodes a path anew that has characters such as [ and |, with the percent signs that are in it already.
  const path = (url.pathname + url.search).replace(/[^\w;,/?:@&=+$\-.!~*'()#%]/gu, encodeURIComponent)
  decodeURIComponent(path)
  // The host and the length are signed too; the transport writes them, with the same values.
  const signed = aws4.sign(
    { host: url.host, path, method, body, service, region, headers: { ...headers, ...added } },
    keys
  )
  const [pathname = "", search = ""] = (signed.path ?? path).split("?", 2)
  url.pathname = pathname
  url.search = search
  return {
    url: url.href,
    headers: [...Object.entries(added).flat(), "authorization", String(signed.headers?.["Authorization"])]
  }
}
