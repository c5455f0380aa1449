/**
 * What can be told of a request's query before a schema sees it: that each of its parameters is one of the endpoint's. A
 * misspelt filter that is ignored would answer with everything.
 */
import { Effect, SchemaAST } from "effect"
import { HttpServerRequest } from "effect/http"
import type { HttpApiEndpoint } from "effect/http-api"
import * as Nearest from "../Nearest.ts"

/**
 * A parameter of the current request's query that its endpoint does not have, with what to do about it; `undefined` where
 * there is none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const unknownParameter = (
  { query }: HttpApiEndpoint.Top
): Effect.Effect<
  { readonly name: string; readonly message: string } | undefined,
  never,
  HttpServerRequest.ParsedSearchParams
> =>
  Effect.map(HttpServerRequest.ParsedSearchParams, (sent) => {
    const known = query && SchemaAST.isObjects(query.ast)
      ? query.ast.propertySignatures.map(({ name }) => String(name))
      : []
    const name = Object.keys(sent).find((name) => !known.includes(name))
    if (name === undefined) return undefined
    const todo = known.length === 0
      ? "; this route has none: leave it out"
      : Nearest.suggestion(name, known) || `; there are ${known.join(", ")}`
    return { name, message: `There is no such query parameter${todo}` }
  })
