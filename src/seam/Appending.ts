/**
 * Accepting messages: what an emit asks of the storage. A part of `Storage`.
 */
import type { Effect } from "effect"
import type { MessageId, RunnerId } from "../Id.ts"
import type { Message } from "../Message.ts"
import type { OutcomeUnknown, RowRefused, StorageUnavailable } from "../StorageError.ts"

/** @category errors @since 0.1.0 */
export type AppendError = StorageUnavailable | RowRefused | OutcomeUnknown

/**
 * What `appendOnce` did with an idempotency key.
 *
 * @category models
 * @since 0.1.0
 */
export type AppendOnce =
  /** With the worker group that is to route it. */
  | { readonly _tag: "Appended"; readonly workerGroup: string }
  | { readonly _tag: "Repeated"; readonly messageId: MessageId }
  | { readonly _tag: "Conflict"; readonly messageId: MessageId }

/**
 * Where a stored message is, and what held when it was stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Placed {
  /** The one that is to route it. */
  readonly workerGroup: string
  readonly seq: number
  /** The version of the subscriptions: what was changed before it was emitted is in it. */
  readonly version: number
  /** Whether somebody listens to its event's messages. */
  readonly isListened: boolean
  /** Of the runner that asked, where it owned the group until the commit: no other owner has read the message. */
  readonly epoch: number | undefined
}

/**
 * A message of a batch, with the key that it is stored once for.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatchItem {
  readonly message: Message
  readonly once?: { readonly key: string; readonly contentHash: string; readonly ttlMs: number }
}

/**
 * What `appendBatch` did: all of it, or nothing, because the key of one belongs to a message with other content.
 *
 * @category models
 * @since 0.1.0
 */
export type AppendBatch =
  /** In the order of the batch; without a worker group where it repeats a message. */
  | {
    readonly _tag: "Appended"
    readonly items: ReadonlyArray<{ readonly messageId: MessageId; readonly workerGroup: string | undefined }>
  }
  | { readonly _tag: "Conflict"; readonly index: number; readonly messageId: MessageId }

/**
 * Emitting.
 *
 * @category models
 * @since 0.1.0
 */
export interface Appending {
  /** The engine's clock: Effect's clock plus the measured offset to the database's, in milliseconds since 1970. */
  readonly now: Effect.Effect<number>
  /** Whether the calling fiber is inside a transaction of the caller's client. */
  readonly inTransaction: Effect.Effect<boolean>
  /**
   * Stores messages, all or none, inside the caller's transaction where there is one; tells for each where it was put. Where there is
   * none, a runner that names itself is told of its epochs, and a take-over waits for the commit, as long as it has patience.
   */
  readonly append: (
    messages: ReadonlyArray<Message>,
    runnerId?: RunnerId
  ) => Effect.Effect<ReadonlyArray<Placed>, AppendError>
  /** Stores a message unless its key was used within `ttlMs`; `contentHash` tells a repetition from a conflict. */
  readonly appendOnce: (
    message: Message,
    options: { readonly key: string; readonly contentHash: string; readonly ttlMs: number }
  ) => Effect.Effect<AppendOnce, AppendError>
  /**
   * Stores messages, all or none, in their order, inside the caller's transaction where there is one; each with a key unless
   * that was used, in this batch or before.
   */
  readonly appendBatch: (items: ReadonlyArray<BatchItem>) => Effect.Effect<AppendBatch, AppendError>
  /**
   * Tells of each key, in their order, whether it belongs to a message: one that the caller may see, so that what another
   * transaction has not committed yet does not count.
   */
  readonly usedKeys: (
    keys: ReadonlyArray<{ readonly tenantId: string; readonly key: string }>
  ) => Effect.Effect<ReadonlyArray<boolean>, AppendError>
  /** Runs an effect after the caller's transaction commits, or at once where there is none; never after a rollback. */
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
}
