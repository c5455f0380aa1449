/**
 * A transaction of the memory storage: what is emitted in it is kept aside until it commits. It is known by the fiber, so
 * that forked children join it; one inside another is a savepoint.
 */
import { Context, Effect, Exit, Latch } from "effect"
import type { MessageId } from "./Id.ts"
import type { Stored } from "./StorageMemoryInbox.ts"

/**
 * A transaction that is open, or is over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transaction {
  /** The outermost transaction: what is pending in it is seen by all that are inside. */
  readonly root: Transaction | undefined
  readonly appends: Array<Stored>
  /** The idempotency keys it took. */
  readonly keys: Array<string>
  readonly callbacks: Array<Effect.Effect<void>>
  /** Opens when it is over, for those who wait for a key of it. */
  readonly over: Latch.Latch
}

/**
 * An idempotency key that was used.
 *
 * @category models
 * @since 0.1.0
 */
export interface Key {
  readonly messageId: MessageId
  readonly contentHash: string
  readonly expiresAtMs: number
  /** The transaction that has yet to commit it. */
  pending: Transaction | undefined
}

/**
 * What a transaction commits to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  readonly keys: Map<string, Key>
  readonly pending: Set<MessageId>
  readonly insert: (stored: Stored) => void
}

/**
 * The innermost transaction that a fiber is in.
 *
 * @category services
 * @since 0.1.0
 */
export const Current = Context.Reference<Transaction | undefined>("hookline/StorageMemory/Transaction", {
  defaultValue: () => undefined
})

/**
 * Tells whether two fibers are in one outermost transaction.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSame = (a: Transaction, b: Transaction | undefined): boolean =>
  b !== undefined && (a.root ?? a) === (b.root ?? b)

/**
 * Runs an effect as a transaction.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <A, E, R>(target: Target, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const outer = yield* Current
      const inner: Transaction = {
        root: outer && (outer.root ?? outer),
        appends: [],
        keys: [],
        callbacks: [],
        over: Latch.makeUnsafe()
      }
      const exit = yield* Effect.exit(restore(Effect.provideService(effect, Current, inner)))
      const callbacks = end(target, inner, outer, Exit.isSuccess(exit))
      yield* Effect.forEach(callbacks, (callback) =>
        Effect.catchCause(callback, (cause) => Effect.logError("An effect after a commit failed", cause)), {
        discard: true
      })
      return yield* exit
    })
  )

// --- internal ---

/** Ends a transaction in one step; returns what is to run now. */
const end = (
  target: Target,
  inner: Transaction,
  outer: Transaction | undefined,
  commits: boolean
): ReadonlyArray<Effect.Effect<void>> => {
  inner.over.openUnsafe()
  if (!commits) {
    for (const key of inner.keys) target.keys.delete(key)
    for (const { message } of inner.appends) target.pending.delete(message.id)
    return []
  }
  for (const key of inner.keys) {
    const taken = target.keys.get(key)
    if (taken) taken.pending = outer
  }
  if (outer) {
    outer.appends.push(...inner.appends)
    outer.keys.push(...inner.keys)
    outer.callbacks.push(...inner.callbacks)
    return []
  }
  for (const stored of inner.appends) target.insert(stored)
  return inner.callbacks
}
