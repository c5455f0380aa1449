/**
 * Whose things a request sees: a key that is bound to a tenant sees nothing of others, as if there was nothing.
 */
import { Effect } from "effect"
import { Principal, sees } from "../Access.ts"
import type { SubscriptionId } from "../Id.ts"
import type { Storage } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
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

/**
 * Makes what leaves out deliveries of the backend's own work queues where a key is bound to a tenant. They are those of the
 * tenant's messages, but it is the backend's code that they run, whose errors are for nobody else, and not to be skipped.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withoutWorkQueues =
  (storage: Storage["Service"]) =>
  <A extends { readonly subscriptionId: SubscriptionId }>(
    items: ReadonlyArray<A>
  ): Effect.Effect<ReadonlyArray<A>, StorageUnavailable, Principal> =>
    Effect.flatMap(Principal, ({ tenantId }) =>
      tenantId === undefined || items.length === 0
        ? Effect.succeed(items)
        : Effect.map(
          storage.workQueues([...new Set(items.map(({ subscriptionId }) => subscriptionId))]),
          (queues) => queues.size === 0 ? items : items.filter(({ subscriptionId }) => !queues.has(subscriptionId))
        ))
