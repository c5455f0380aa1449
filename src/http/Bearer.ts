/**
 * The API's security scheme and what its endpoints need of a key, apart from how keys are checked, so that the contract can
 * be read in a browser.
 */
import { Context } from "effect"
import { type HttpApiEndpoint, HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import type { Principal, Standing } from "../Access.ts"
import type { Scope } from "../Key.ts"
import { Forbidden, TooManyRequests, Unauthorized, Unavailable } from "./Problem.ts"

/**
 * What an endpoint needs of a key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Need {
  readonly scope: Scope
  /** Not of one tenant: what it shows or changes is nobody's, or everybody's. */
  readonly everybody?: boolean
}

/**
 * The annotation of an endpoint that needs something else than reading for GET, and managing for the rest.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Needs = Context.Reference<Need | "anybody" | undefined>("hookline/http/Needs", {
  defaultValue: () => undefined
})

/**
 * What an endpoint needs; nothing but a good key where undefined.
 *
 * @category accessors
 * @since 0.1.0
 */
export const needOf = (
  { annotations, method }: Pick<HttpApiEndpoint.Top, "annotations" | "method">
): Need | undefined => {
  const need = Context.get(annotations, Needs) ?? { scope: method === "GET" ? "read" : "manage" }
  return need === "anybody" ? undefined : need
}

/**
 * The middleware that lets the bearer of a key pass.
 *
 * @category middleware
 * @since 0.1.0
 */
export class Auth extends HttpApiMiddleware.Service<Auth, { provides: Principal | Standing }>()("hookline/http/Auth", {
  security: { bearer: HttpApiSecurity.bearer },
  error: [Unauthorized, Forbidden, TooManyRequests, Unavailable]
}) {}
