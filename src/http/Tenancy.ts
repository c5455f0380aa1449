/**
 * Whose things a request sees: a key that is bound to a tenant sees nothing of others, as if there was nothing.
 */
import { Effect } from "effect"
import { Principal, sees } from "../Access.ts"
import { notFound } from "./Answers.ts"
import { Forbidden, type NotFound } from "./Problem.ts"

/**
 * The tenant that a request is about: that of the key, or the one that is asked for; all where undefined.
 *
 * @category accessors
 * @since 0.1.0
 */
export const tenantOf = (asked: string | undefined): Effect.Effect<string | undefined, Forbidden, Principal> =>
  Effect.flatMap(Principal, ({ tenantId }) =>
    tenantId === undefined || asked === undefined || asked === tenantId
      ? Effect.succeed(tenantId ?? asked)
      : Effect.fail(
        new Forbidden({ detail: `This key is for the tenant "${tenantId}": leave tenantId out, or use another key.` })
      ))

/**
 * The same as an object, to be spread into a filter.
 *
 * @category accessors
 * @since 0.1.0
 */
export const filterOf = (
  asked: string | undefined
): Effect.Effect<{ readonly tenantId?: string }, Forbidden, Principal> =>
  Effect.map(tenantOf(asked), (tenantId) => tenantId === undefined ? {} : { tenantId })

/**
 * Something that was found, unless it is another tenant's.
 *
 * @category combinators
 * @since 0.1.0
 */
export const own = <A extends { readonly tenantId: string }>(
  what: string,
  id: string
) =>
(item: A): Effect.Effect<A, NotFound, Principal> =>
  Effect.flatMap(
    Principal,
    (asker) => sees(asker, item.tenantId) ? Effect.succeed(item) : Effect.fail(notFound(what, id))
  )
