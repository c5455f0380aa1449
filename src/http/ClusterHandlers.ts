/**
 * The endpoints of the cluster.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { defaults } from "../Limits.ts"
import { Members } from "../Members.ts"
import { Storage } from "../Storage.ts"
import { Api } from "./Api.ts"
import { unavailable } from "./Problem.ts"
import * as Views from "./Views.ts"

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "cluster",
  Effect.fnUntraced(function*(handlers) {
    const members = yield* Members
    const storage = yield* Storage
    return handlers
      .handle("get", () => Effect.map(Effect.mapError(members.overview, unavailable), Views.cluster))
      .handle("dispatchers", ({ query: { cursor, limit = defaults.pageSizeDefault, ...filter } }) =>
        Effect.map(
          Effect.mapError(storage.owners(filter, { cursor, limit: limit + 1 }), unavailable),
          (found) => {
            const items = found.slice(0, limit)
            return {
              items: items.map(Views.dispatcher),
              nextCursor: found.length > limit ? items.at(-1)?.workerGroup ?? null : null
            }
          }
        ))
  })
)
