/**
 * Replays, as the storage keeps and carries them on. A part of `Storage`.
 */
import type { Effect, Option } from "effect"
import type { ReplayId } from "../Id.ts"
import type { NewReplay, Replay, ReplayScope, ReplayState } from "../Replay.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Page } from "./Administration.ts"

/**
 * A portion of a replay, or that there is none to be worked now.
 *
 * @category models
 * @since 0.1.0
 */
export type ReplaySome =
  | {
    readonly _tag: "Portion"
    readonly replayId: ReplayId
    readonly replayed: number
    readonly skipped: number
    readonly isCompleted: boolean
    /** Where deliveries are due now. */
    readonly workerGroups: ReadonlyArray<string>
  }
  /** In how many milliseconds the next is to be worked; none is running where undefined. */
  | { readonly _tag: "Idle"; readonly nextMs: number | undefined }

/**
 * Replaying.
 *
 * @category models
 * @since 0.1.0
 */
export interface Replaying {
  /** Stores a replay, which runs from now on; none where `most` of its tenant are running or paused. */
  readonly createReplay: (replay: NewReplay, most: number) => Effect.Effect<Option.Option<Replay>, StorageUnavailable>
  readonly getReplay: (id: ReplayId) => Effect.Effect<Option.Option<Replay>, StorageUnavailable>
  /** Replays, newest first. */
  readonly listReplays: (
    filter: { readonly tenantId?: string; readonly state?: ReplayState },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Replay>, StorageUnavailable>
  /** Changes a replay's state where it is one of `from`; none where it is not, or there is no such one. */
  readonly changeReplay: (
    id: ReplayId,
    change: { readonly from: ReadonlyArray<ReplayState>; readonly to: ReplayState }
  ) => Effect.Effect<Option.Option<Replay>, StorageUnavailable>
  /** Counts the deliveries that a replay would be about, among the first `look` that it would look at. */
  readonly countReplay: (
    scope: ReplayScope,
    look: number
  ) => Effect.Effect<{ readonly matched: number; readonly isAtLeast: boolean }, StorageUnavailable>
  /**
   * Works a portion of a running replay, which others leave alone meanwhile: of the next `look` deliveries up to `rows` that
   * it is about and that had ended when it was created are pending again, due now, their schedule anew, claimed in turn with
   * new ones. Takes none while `waiting` of it wait for a first attempt that could begin, which one whose code the group's
   * owner lacks could not; is not asked again for `intervalMs` when it took some. All of it, and what is noted of it, or nothing.
   */
  readonly replaySome: (options: {
    readonly rows: number
    readonly look: number
    readonly waiting: number
    readonly intervalMs: number
  }) => Effect.Effect<ReplaySome, StorageUnavailable>
}
