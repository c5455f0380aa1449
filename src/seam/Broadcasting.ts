/**
 * What every process may hear. A part of `Storage`.
 */
import type { Effect } from "effect"
import type { Message } from "../Message.ts"
import type { StorageUnavailable } from "../StorageError.ts"

/**
 * How far a listener of a worker group's messages has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cursor {
  readonly workerGroup: string
  readonly position: number
}

/**
 * A message that was broadcast.
 *
 * @category models
 * @since 0.1.0
 */
export interface Broadcast {
  /** Which of the cursors that were asked for it is behind. */
  readonly cursor: number
  readonly position: number
  /** As it was emitted. */
  readonly message: Message
}

/**
 * What every process may hear: the messages of a worker group in the order of their routing, numbered without a gap.
 *
 * @category models
 * @since 0.1.0
 */
export interface Broadcasting {
  /** Has messages of these groups broadcast from now on, and tells where each stands: what is routed later comes after. */
  readonly listen: (workerGroups: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Cursor>, StorageUnavailable>
  /** What comes after each cursor, up to `limit` for each, in order. */
  readonly hear: (
    cursors: ReadonlyArray<Cursor>,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Broadcast>, StorageUnavailable>
}
