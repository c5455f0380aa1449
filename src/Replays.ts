/**
 * Administration of replays: made, paused, resumed and cancelled by people, with an entry in the audit log for each; the
 * work is the `Replayer`'s.
 */
import { Context, DateTime, Effect, Layer, Option, Schema } from "effect"
import * as Audit from "./Audit.ts"
import type { Fields } from "./AuditEntry.ts"
import * as Id from "./Id.ts"
import { Limits } from "./Limits.ts"
import { allTenants } from "./Message.ts"
import * as Replay from "./Replay.ts"
import { Replayer } from "./Replayer.ts"
import { Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"

// -- models

/** @category models @since 0.1.0 */
export interface ReplayRequest {
  readonly filter: Omit<Replay.ReplayFilter, "status"> & { readonly status?: Replay.ReplayStatus }
  /** Whose deliveries are meant; everybody's when left out. */
  readonly tenantId?: string | undefined
  readonly freshWebhookId?: boolean
}

// -- errors

/**
 * The replay is refused: the caller's fault, at a field.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReplayRefused extends Schema.TaggedError<ReplayRefused>()("ReplayRefused", {
  path: Schema.String,
  message: Schema.String
}) {}

/** @category errors @since 0.1.0 */
export class ReplayNotFound extends Schema.TaggedError<ReplayNotFound>()("ReplayNotFound", { id: Schema.String }) {}

/**
 * The replay's state, or that of others of its tenant, does not allow it.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReplayConflict extends Schema.TaggedError<ReplayConflict>()("ReplayConflict", {
  message: Schema.String
}) {}

// -- service

type Change = (
  id: Id.ReplayId
) => Effect.Effect<Replay.Replay, ReplayNotFound | ReplayConflict | StorageUnavailable>

/**
 * Administration.
 *
 * @category services
 * @since 0.1.0
 */
export class Replays extends Context.Service<Replays, {
  /** Makes a replay, which runs at once. */
  readonly create: (
    request: ReplayRequest
  ) => Effect.Effect<Replay.Replay, ReplayRefused | ReplayConflict | StorageUnavailable>
  /** Counts what a replay would be about, and makes none: among as many deliveries as `Limits.replayCounted`. */
  readonly count: (
    request: ReplayRequest
  ) => Effect.Effect<
    { readonly matched: number; readonly isAtLeast: boolean },
    ReplayRefused | StorageUnavailable
  >
  readonly get: (id: Id.ReplayId) => Effect.Effect<Replay.Replay, ReplayNotFound | StorageUnavailable>
  /** Replays, newest first. */
  readonly list: (
    filter: { readonly tenantId?: string; readonly state?: Replay.ReplayState },
    page: { readonly cursor: string | undefined; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<Replay.Replay>, StorageUnavailable>
  /** Stops a running replay until it is resumed; what it has made due stays so. */
  readonly pause: Change
  readonly resume: Change
  /** Ends a replay for good; what it has made due stays so. */
  readonly cancel: Change
}>()("hookline/Replays") {}

// -- layers

/**
 * Layer of the administration.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Replays, never, Storage | Replayer> = Layer.effect(
  Replays,
  Effect.gen(function*() {
    const storage = yield* Storage
    const replayer = yield* Replayer
    const limits = yield* Limits
    const audit = Audit.writer(storage)

    const existing = (id: Id.ReplayId) =>
      Effect.flatMap(
        storage.getReplay(id),
        Option.match({ onNone: () => Effect.fail(new ReplayNotFound({ id })), onSome: Effect.succeed })
      )

    /** What a request means, where it makes sense and names things that there are and that its tenant may see. */
    const scopeOf = Effect.fnUntraced(function*(request: ReplayRequest) {
      const tenantId = request.tenantId ?? allTenants
      const filter: Replay.ReplayFilter = { ...request.filter, status: request.filter.status ?? "failed" }
      const refusal = Replay.refusal(filter)
      if (refusal) return yield* new ReplayRefused(refusal)
      const { messageId, subscriptionId } = filter
      // A work queue is nobody's, and its deliveries are those of their messages' tenants: it is replayed for one where it is named.
      const isVisible = (found: Option.Option<{ readonly tenantId: string }>) =>
        Option.exists(
          found,
          (one) => tenantId === allTenants || one.tenantId === tenantId || one.tenantId === allTenants
        )
      if (subscriptionId !== undefined && !isVisible(yield* storage.getSubscription(subscriptionId))) {
        return yield* new ReplayRefused({
          path: "filter.subscriptionId",
          message: `There is no subscription "${subscriptionId}"`
        })
      }
      if (messageId !== undefined && !isVisible(yield* storage.getMessage(messageId))) {
        return yield* new ReplayRefused({ path: "filter.messageId", message: `There is no message "${messageId}"` })
      }
      return { tenantId, filter }
    })

    const changing = (
      { action, from, to }: {
        readonly action: string
        readonly from: ReadonlyArray<Replay.ReplayState>
        readonly to: Replay.ReplayState
      }
    ): Change =>
      Effect.fn("Replays.change")(function*(id) {
        const before = yield* existing(id)
        const changed = yield* storage.atomically(Effect.gen(function*() {
          const changed = yield* storage.changeReplay(id, { from, to })
          if (Option.isSome(changed)) {
            yield* audit({
              action: `replay.${action}`,
              resourceId: id,
              tenantId: before.tenantId,
              before: { state: before.state },
              after: { state: to }
            })
          }
          return changed
        }))
        if (Option.isNone(changed)) {
          const { state } = yield* existing(id)
          return yield* new ReplayConflict({
            message: `A replay can be ${to === "running" ? "resumed" : to} while it is ${from.join(" or ")}; ` +
              `this one is ${state}.`
          })
        }
        yield* replayer.wake
        return changed.value
      })

    return Replays.of({
      create: Effect.fn("Replays.create")(function*(request) {
        const { freshWebhookId = false } = request
        const scope = yield* scopeOf(request)
        const id = yield* Id.replayId(yield* storage.now)
        const created = yield* storage.atomically(Effect.gen(function*() {
          const created = yield* storage.createReplay({ ...scope, id, freshWebhookId }, limits.replaysPerTenant)
          if (Option.isNone(created)) return created
          yield* audit({
            action: "replay.create",
            resourceId: id,
            tenantId: scope.tenantId,
            before: undefined,
            after: { filter: fieldsOf(scope.filter), freshWebhookId }
          })
          return created
        }))
        if (Option.isNone(created)) {
          return yield* new ReplayConflict({
            message: `There are ${limits.replaysPerTenant} replays already that are running or paused: ` +
              "cancel one, or wait until one is completed."
          })
        }
        yield* replayer.wake
        return created.value
      }),
      count: Effect.fn("Replays.count")(function*(request) {
        return yield* storage.countReplay(yield* scopeOf(request), limits.replayCounted)
      }),
      get: existing,
      list: storage.listReplays,
      pause: changing({ action: "pause", from: ["running"], to: "paused" }),
      resume: changing({ action: "resume", from: ["paused"], to: "running" }),
      cancel: changing({ action: "cancel", from: ["running", "paused"], to: "cancelled" })
    })
  })
)

// --- internal ---

const fieldsOf = ({ fromMs, toMs, ...rest }: Replay.ReplayFilter): Fields => ({
  ...rest,
  ...(fromMs === undefined ? {} : { from: DateTime.formatIso(DateTime.makeUnsafe(fromMs)) }),
  ...(toMs === undefined ? {} : { to: DateTime.formatIso(DateTime.makeUnsafe(toMs)) })
})
