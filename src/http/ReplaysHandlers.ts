/**
 * The endpoints of replays.
 */
import { DateTime, Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { ReplayId } from "../Id.ts"
import type { Replay } from "../Replay.ts"
import { type ReplayConflict, type ReplayNotFound, ReplayRefused, type ReplayRequest, Replays } from "../Replays.ts"
import { Storage } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { idOf, notFound, stored } from "./Answers.ts"
import { Api } from "./Api.ts"
import { Conflict, type NotFound, Refused, type Unavailable, unavailable } from "./Problem.ts"
import type { ReplayInput } from "./ReplaysApi.ts"
import { filterOf, own, tenantOf, withoutWorkQueues } from "./Tenancy.ts"
import * as Views from "./Views.ts"

const replayIdOf = idOf(ReplayId, "replay")

/** A time of a filter; nothing is older than 1970. */
const timeMs = (text: string) => Math.max(0, DateTime.toEpochMillis(DateTime.makeUnsafe(text)))

const requestOf = Effect.fnUntraced(function*({ filter: { from, to, ...filter }, ...rest }: typeof ReplayInput.Type) {
  const request: ReplayRequest = {
    filter: {
      ...filter,
      ...(from === undefined ? {} : { fromMs: timeMs(from) }),
      ...(to === undefined ? {} : { toMs: timeMs(to) })
    },
    tenantId: yield* tenantOf(rest.tenantId),
    freshWebhookId: rest.freshWebhookId ?? false
  }
  return request
})

/** As a replay is refused that names none. */
const noSubscription = (id: string) =>
  refused(new ReplayRefused({ path: "filter.subscriptionId", message: `There is no subscription "${id}"` }))

const refused = (error: ReplayRefused | ReplayConflict | StorageUnavailable): Refused | Conflict | Unavailable => {
  switch (error._tag) {
    case "ReplayRefused":
      return new Refused({ path: error.path, detail: `${error.path}: ${error.message}` })
    case "ReplayConflict":
      return new Conflict({ detail: error.message })
    case "StorageUnavailable":
      return unavailable(error)
  }
}

const unchanged = (
  error: ReplayNotFound | ReplayConflict | StorageUnavailable
): NotFound | Conflict | Unavailable => {
  switch (error._tag) {
    case "ReplayNotFound":
      return notFound("replay", error.id)
    case "ReplayConflict":
      return new Conflict({ detail: error.message })
    case "StorageUnavailable":
      return unavailable(error)
  }
}

const missing = (error: ReplayNotFound | StorageUnavailable) =>
  error._tag === "ReplayNotFound" ? notFound("replay", error.id) : unavailable(error)

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "replays",
  Effect.fnUntraced(function*(handlers) {
    const replays = yield* Replays
    const shown = withoutWorkQueues(yield* Storage)
    const find = (text: string) =>
      Effect.gen(function*() {
        const id = yield* replayIdOf(text)
        return yield* Effect.flatMap(Effect.mapError(replays.get(id), missing), own<Replay>("replay", text))
      })
    const changing =
      (change: Replays["Service"]["pause"]) => ({ params }: { readonly params: { readonly id: string } }) =>
        Effect.gen(function*() {
          const { id } = yield* find(params.id)
          return Views.replay(yield* Effect.mapError(change(id), unchanged))
        })
    return handlers
      .handle("create", ({ payload }) =>
        Effect.gen(function*() {
          const request = yield* requestOf(payload)
          const { subscriptionId } = request.filter
          if (subscriptionId !== undefined && (yield* stored(shown([{ subscriptionId }]))).length === 0) {
            return yield* noSubscription(subscriptionId)
          }
          if (payload.dryRun !== true) return Views.replay(yield* Effect.mapError(replays.create(request), refused))
          const { isAtLeast, matched } = yield* Effect.mapError(replays.count(request), refused)
          return { matched, ...(isAtLeast ? { isAtLeast } : {}) }
        }))
      .handle("list", ({ query: { state, tenantId, ...query } }) =>
        Views.list(query, {
          isId: Schema.is(ReplayId),
          read: Views.oneMore((page) =>
            Effect.flatMap(filterOf(tenantId), (tenant) =>
              stored(replays.list({ ...tenant, ...(state === undefined ? {} : { state }) }, page)))
          ),
          view: Views.replay
        }))
      .handle("get", ({ params }) => Effect.map(find(params.id), Views.replay))
      .handle("pause", changing(replays.pause))
      .handle("resume", changing(replays.resume))
      .handle("cancel", changing(replays.cancel))
  })
)
