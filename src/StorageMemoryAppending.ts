/**
 * Appending in memory, inside the fiber's transaction where there is one.
 */
import { Clock, Effect, Latch } from "effect"
import type { Message } from "./Message.ts"
import { type Appending, type AppendOnce, RowRefused, StorageUnavailable } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"
import * as Transaction from "./StorageMemoryTransaction.ts"

/**
 * Makes the verbs of emission.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Appending => ({
  now: Clock.currentTimeMillis,
  inTransaction: Effect.map(Transaction.Current, (transaction) => transaction !== undefined),
  append: (messages) => Effect.flatMap(joined, (transaction) => add(tables, messages, transaction)),
  appendOnce: (message, options) => appendOnce(tables, message, options),
  afterCommit: (effect) =>
    Effect.gen(function*() {
      const transaction = yield* Transaction.Current
      if (!transaction || Latch.isOpen(transaction.over)) return yield* effect
      // Runs as where it was asked for, but outside of the transaction.
      const context = yield* Effect.context<never>()
      transaction.callbacks.push(
        effect.pipe(Effect.provideService(Transaction.Current, undefined), Effect.provideContext(context))
      )
    })
})

// --- internal ---

/** The fiber's transaction; a fiber that outlived it must not believe that it has emitted something. */
const joined: Effect.Effect<Transaction.Transaction | undefined, StorageUnavailable> = Effect.flatMap(
  Transaction.Current,
  (transaction) =>
    transaction && Latch.isOpen(transaction.over)
      ? Effect.fail(new StorageUnavailable({ message: "The transaction that this fiber belongs to is over." }))
      : Effect.succeed(transaction)
)

const add = (
  tables: Tables,
  messages: ReadonlyArray<Message>,
  transaction: Transaction.Transaction | undefined
): Effect.Effect<ReadonlyArray<string>, RowRefused> => {
  const ids = new Set(messages.map((message) => message.id))
  if (ids.size < messages.length || messages.some(({ id }) => tables.messages.has(id) || tables.pending.has(id))) {
    return Effect.fail(new RowRefused({ message: "A message with this id is stored already." }))
  }
  const stored = messages.map((message) => tables.prepare(message))
  if (transaction) {
    for (const id of ids) tables.pending.add(id)
    transaction.appends.push(...stored)
  } else {
    for (const one of stored) tables.insert(one)
  }
  return Effect.succeed(stored.map((one) => one.workerGroup))
}

const appendOnce = Effect.fnUntraced(function*(
  tables: Tables,
  message: Message,
  { contentHash, key, ttlMs }: { readonly key: string; readonly contentHash: string; readonly ttlMs: number }
) {
  const id = `${message.tenantId}\0${key}`
  const transaction = yield* joined
  while (true) {
    const nowMs = yield* Clock.currentTimeMillis
    const known = tables.keys.get(id)
    // Another transaction has taken the key and may yet give it up.
    if (known?.pending && !Transaction.isSame(known.pending, transaction)) {
      yield* known.pending.over.await
      continue
    }
    if (known && (known.pending || known.expiresAtMs > nowMs)) {
      const { messageId } = known
      return known.contentHash === contentHash
        ? { _tag: "Repeated", messageId } satisfies AppendOnce
        : { _tag: "Conflict", messageId } satisfies AppendOnce
    }
    const [workerGroup = ""] = yield* add(tables, [message], transaction)
    tables.keys.set(id, { messageId: message.id, contentHash, expiresAtMs: nowMs + ttlMs, pending: transaction })
    transaction?.keys.push(id)
    return { _tag: "Appended", workerGroup } satisfies AppendOnce
  }
})
