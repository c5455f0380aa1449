/**
 * The API's description on the server: `/openapi.json` for programs, `/docs` for people. The page has all that it needs in
 * itself and may ask nobody but its own server for anything.
 */
import { Effect, Layer, Option, Ref } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiScalar, OpenApi } from "effect/http-api"
import { createHash } from "node:crypto"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import { documented } from "./Description.ts"

/** The paths, for who tells routes from others. */
const openApiPath = "/openapi.json"
const pagePath = "/docs"

/** Without what Scalar would fetch, or send people to, elsewhere. */
const page = {
  withDefaultFonts: false,
  showOperationId: true,
  authentication: { preferredSecurityScheme: "bearer" },
  showDeveloperTools: "never",
  hideClientButton: true,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true }
}

/** Each inline script by its hash, so that none but those of the page as it was made here runs. */
const policyOf = (html: string) => {
  const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/gu)]
    .map(([, script = ""]) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`)
  return [
    "default-src 'none'",
    `script-src ${scripts.join(" ")}`,
    // The page's components bring their styles as they are shown.
    "style-src 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; ")
}

interface Page {
  readonly policy: string
  readonly gzipped: Uint8Array
}

const pageOf = Effect.fnUntraced(function*(body: Uint8Array): Effect.fn.Return<Page> {
  const gzipped = yield* Effect.promise(() => promisify(gzip)(body))
  return { policy: policyOf(new TextDecoder().decode(body)), gzipped }
})

/** Adds the page's policy, and sends it at a third of its size to who can read that. */
const prepared = HttpRouter.middleware(Effect.gen(function*() {
  const kept = yield* Ref.make(Option.none<Page>())
  return (handled) =>
    Effect.gen(function*() {
      const response = yield* handled
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      if (response.body._tag !== "Uint8Array") return response
      const known = yield* Ref.get(kept)
      const made = Option.isSome(known) ? known.value : yield* pageOf(response.body.body)
      yield* Ref.set(kept, Option.some(made))
      const told = { "content-security-policy": made.policy, "referrer-policy": "no-referrer", vary: "accept-encoding" }
      return /\bgzip\b/u.test(headers["accept-encoding"] ?? "")
        ? HttpServerResponse.uint8Array(made.gzipped, {
          contentType: "text/html; charset=utf-8",
          headers: { ...told, "content-encoding": "gzip" }
        })
        : HttpServerResponse.setHeaders(response, told)
    })
})).layer

/**
 * Layer of the routes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = Layer.mergeAll(
  HttpRouter.add("GET", openApiPath, Effect.sync(() => HttpServerResponse.jsonUnsafe(OpenApi.fromApi(documented)))),
  HttpApiScalar.layer(documented, {
    path: pagePath,
    scalar: page
  }).pipe(Layer.provide(prepared))
)
