/**
 * The endpoints of the cluster.
 */
import { DateTime, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { RunnerId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import type { Member } from "../Member.ts"
import { Members } from "../Members.ts"
import { Storage } from "../Storage.ts"
import { Api } from "./Api.ts"
import { unavailable } from "./Problem.ts"

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
      .handle("get", () =>
        Effect.map(
          Effect.mapError(members.overview, unavailable),
          ({ codeMissing, due, members, nowMs, self, shards }) => ({
            runners: members.map(runner(self)),
            shards,
            due: {
              groups: due.groups,
              ...(due.oldestAtMs === undefined
                ? {}
                : { oldestAt: iso(due.oldestAtMs), oldestAgeMs: Math.max(0, Math.round(nowMs - due.oldestAtMs)) })
            },
            codeMissing
          })
        ))
      .handle("dispatchers", ({ query: { cursor, limit = defaults.pageSizeDefault, ...filter } }) =>
        Effect.map(
          Effect.mapError(storage.owners(filter, { cursor, limit: limit + 1 }), unavailable),
          (found) => {
            const items = found.slice(0, limit)
            return {
              items: items.map(({ runnerId, ...rest }) => ({
                ...rest,
                ...(runnerId === undefined ? {} : { runnerId })
              })),
              nextCursor: found.length > limit ? items.at(-1)?.workerGroup ?? null : null
            }
          }
        ))
  })
)

// --- internal ---

const iso = (ms: number) => DateTime.formatIso(DateTime.makeUnsafe(ms))

const runner = (self: RunnerId) => ({ alive, announced, dispatchers, id, leaseUntilMs }: Member) => ({
  id,
  self: id === self,
  alive,
  leaseUntil: iso(leaseUntilMs),
  ...(announced?.address === undefined ? {} : { address: announced.address }),
  ...(announced === undefined ? {} : { version: announced.version, startedAt: iso(announced.startedAtMs) }),
  shards: announced?.shards ?? 0,
  dispatchers,
  events: announced?.events ?? [],
  providers: announced?.providers ?? []
})
