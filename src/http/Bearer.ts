/**
 * The API's security scheme, apart from how keys are checked, so that the contract can be read in a browser.
 */
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { Unauthorized } from "./Problem.ts"

/**
 * The middleware that lets the bearer of a key pass.
 *
 * @category middleware
 * @since 0.1.0
 */
export class Auth extends HttpApiMiddleware.Service<Auth>()("hookline/http/Auth", {
  security: { bearer: HttpApiSecurity.bearer },
  error: Unauthorized
}) {}
