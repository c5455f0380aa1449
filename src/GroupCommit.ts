/**
 * Group commit: emits that come while others are being committed share the next commit.
 */
import { Cause, Effect, Exit, Latch, type Scope, type Types } from "effect"
import * as Deadlines from "./Deadlines.ts"
import type { Committed, Dispatchers } from "./Dispatchers.ts"
import * as Id from "./Id.ts"
import type { MessageId } from "./Id.ts"
import { letGo } from "./LetGo.ts"
import { Limits } from "./Limits.ts"
import type { Message } from "./Message.ts"
import * as Metrics from "./Metrics.ts"
import { type AppendError, OutcomeUnknown, type Placed, Storage, StorageUnavailable, type Unrouted } from "./Storage.ts"

/** An emit that waits for its commit. A class, for V8: see "What memory holds" in `docs/architecture.md`. */
class Pending {
  readonly message: Message
  readonly offer: Effect.Effect<void>
  readonly done: (exit: Exit.Exit<void, AppendError>) => void
  taken = false
  abandoned = false

  constructor(message: Message, offer: Effect.Effect<void>, done: (exit: Exit.Exit<void, AppendError>) => void) {
    this.message = message
    this.offer = offer
    this.done = done
  }
}

/**
 * Stores a message together with others; once it is committed, `offer` is run, before the effect ends.
 *
 * @category models
 * @since 0.1.0
 */
export type GroupCommit = (message: Message, offer: Effect.Effect<void>) => Effect.Effect<void, AppendError>

/**
 * Makes the committer: it takes whatever emits are waiting and appends them in one statement; those that come meanwhile are the
 * next batch. A second one beside it made no more of them durable, and smaller batches. A batch that the database refuses is
 * appended one by one, so that only the refused rows' emits fail. `wake` is told of each worker group of a batch, once, and of its
 * messages.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(
    { runnerId, wake }: Pick<Dispatchers["Service"], "runnerId" | "wake">
  ): Effect.fn.Return<GroupCommit, never, Storage | Scope.Scope> {
    const storage = yield* Storage
    const limits = yield* Limits
    const deadlines = yield* Deadlines.make
    const waiting: Array<Pending> = []
    const more = Latch.makeUnsafe()

    yield* Metrics.watch(Metrics.emitsQueued, () => waiting.length)

    // What a listener's hook does must not end the loop.
    const told = (effect: Effect.Effect<void>, messageId?: MessageId) => Effect.catchCause(effect, logged(messageId))

    const settle = Effect.fnUntraced(function*(
      batch: ReadonlyArray<Pending>,
      exit: Exit.Exit<ReadonlyArray<Placed>, AppendError>
    ) {
      if (exit._tag === "Success") {
        for (const { message, offer } of batch) yield* letGo(told(offer, message.id))
        for (const [group, committed] of byGroup(batch, exit.value)) yield* told(wake(group, committed))
      }
      const done = Exit.asVoid(exit)
      for (const pending of batch) pending.done(done)
    })

    const commit = Effect.fnUntraced(function*(batch: ReadonlyArray<Pending>) {
      const exit = yield* letGo(Effect.exit(storage.append(batch.map((pending) => pending.message), runnerId)))
      const refused = exit._tag === "Failure" &&
        exit.cause.reasons.some((reason) => Cause.isFailReason(reason) && reason.error._tag === "RowRefused")
      if (!refused || batch.length === 1) return yield* letGo(settle(batch, exit))
      for (const pending of batch) {
        yield* settle([pending], yield* Effect.exit(storage.append([pending.message], runnerId)))
      }
    })

    const next = Effect.suspend(() => {
      const batch = waiting.splice(0, limits.groupCommitMessages).filter((pending) => !pending.abandoned)
      for (const pending of batch) pending.taken = true
      return batch.length === 0 ? Effect.void : commit(batch)
    })

    yield* more.await.pipe(
      Effect.andThen(Effect.sync(() => more.closeUnsafe())),
      Effect.andThen(Effect.whileLoop({ while: () => waiting.length > 0, body: () => next, step: () => {} })),
      Effect.forever,
      // A shared commit is in nobody's trace.
      Effect.withTracerEnabled(false),
      Effect.forkScoped
    )

    return (message, offer) =>
      Effect.callback<void, AppendError>((resume) => {
        const pending = new Pending(message, offer, (exit) => {
          inTime()
          resume(exit)
        })
        const inTime = deadlines.add(limits.emitTimeoutMs, () => {
          pending.abandoned = true
          resume(Effect.fail(unanswered(pending.taken, limits.emitTimeoutMs)))
        })
        waiting.push(pending)
        more.openUnsafe()
        return Effect.sync(() => {
          pending.abandoned = true
          inTime()
        })
      })
  }
)

// --- internal ---

/** The groups that are to route what was stored, and of those that this process owns what that is. */
const byGroup = (
  batch: ReadonlyArray<Pending>,
  placed: ReadonlyArray<Placed>
): ReadonlyMap<string, Committed | undefined> => {
  const groups = new Map<string, Committed & { readonly messages: Array<Unrouted> } | undefined>()
  for (const [n, { epoch, isListened, seq, version, workerGroup }] of placed.entries()) {
    const message = batch[n]?.message
    // What is heard in several processes is read in the order that all of them have stored it in.
    if (!message || epoch === undefined || isListened) {
      groups.set(workerGroup, undefined)
      continue
    }
    const unrouted = Object.assign({ ...blank }, message)
    unrouted.seq = seq
    unrouted.workerGroup = workerGroup
    const known = groups.get(workerGroup)
    if (known) known.messages.push(unrouted)
    else groups.set(workerGroup, { messages: [unrouted], version, epoch })
  }
  return groups
}

/** To be copied, for V8. */
const blank: Types.Mutable<Unrouted> = {
  id: Id.trusted.message(""),
  eventId: "",
  tenantId: "",
  orderingKey: undefined,
  payloadJson: "",
  seq: 0,
  workerGroup: ""
}

const logged = (messageId: MessageId | undefined) => (cause: Cause.Cause<unknown>) =>
  Effect.logError("A stored message could not be told to listeners", cause).pipe(
    Effect.annotateLogs(messageId === undefined ? {} : { messageId })
  )

const unanswered = (taken: boolean, timeoutMs: number): AppendError =>
  taken
    ? new OutcomeUnknown({
      message: `The database did not answer within ${timeoutMs} ms: the message may or may not be stored.`
    })
    : new StorageUnavailable({ message: `The database took no message for ${timeoutMs} ms: nothing was stored.` })
