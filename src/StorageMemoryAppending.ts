/**
 * Appending in memory, inside the fiber's transaction where there is one.
 */
import { Clock, Effect, Latch } from "effect"
import type { MessageId, RunnerId } from "./Id.ts"
import { baseGroup, type Message } from "./Message.ts"
import {
  type AppendBatch,
  type Appending,
  type AppendOnce,
  type BatchItem,
  type Placed,
  RowRefused,
  StorageUnavailable
} from "./Storage.ts"
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
  append: (messages, runnerId) =>
    Effect.flatMap(joined, (transaction) => add(tables, messages, transaction, transaction ? undefined : runnerId)),
  appendOnce: (message, options) => appendOnce(tables, message, options),
  appendBatch: (items) => appendBatch(tables, items),
  usedKeys: (keys) =>
    Effect.gen(function*() {
      const transaction = yield* joined
      const nowMs = yield* Clock.currentTimeMillis
      return keys.map(({ key, tenantId }) => {
        const known = tables.keys.get(`${tenantId}\0${key}`)
        return known !== undefined &&
          (known.pending ? Transaction.isSame(known.pending, transaction) : known.expiresAtMs > nowMs)
      })
    }),
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

const isThere = Effect.fail(new RowRefused({ message: "A message with this id is stored already." }))

const add = (
  tables: Tables,
  messages: ReadonlyArray<Message>,
  transaction: Transaction.Transaction | undefined,
  runnerId?: RunnerId
): Effect.Effect<ReadonlyArray<Placed>, RowRefused> => {
  const ids = new Set(messages.map((message) => message.id))
  if (ids.size < messages.length || messages.some(({ id }) => tables.messages.has(id) || tables.pending.has(id))) {
    return isThere
  }
  const stored = messages.map((message) => tables.prepare(message))
  if (transaction) {
    for (const id of ids) tables.pending.add(id)
    transaction.appends.push(...stored)
  } else {
    for (const one of stored) tables.insert(one)
  }
  const { version } = tables
  return Effect.succeed(stored.map(({ seq, workerGroup }) => {
    const isListened = tables.listened.has(baseGroup(workerGroup))
    const owned = tables.owned({ workerGroup, partition: 0 })
    const epoch = runnerId !== undefined && owned.runnerId === runnerId ? owned.epoch : undefined
    return { workerGroup, seq, version, isListened, epoch }
  }))
}

/** Takes a key for a message, to be stored in the same step; or finds the message that has it. */
const take = Effect.fnUntraced(function*(
  tables: Tables,
  message: Message,
  { contentHash, key, ttlMs }: NonNullable<BatchItem["once"]>,
  transaction: Transaction.Transaction | undefined
) {
  const id = `${message.tenantId}\0${key}`
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
    if (tables.messages.has(message.id) || tables.pending.has(message.id)) return yield* isThere
    tables.keys.set(id, { messageId: message.id, contentHash, expiresAtMs: nowMs + ttlMs, pending: transaction })
    transaction?.keys.push(id)
    return undefined
  }
})

const appendOnce = Effect.fnUntraced(function*(
  tables: Tables,
  message: Message,
  once: NonNullable<BatchItem["once"]>
) {
  const transaction = yield* joined
  const known = yield* take(tables, message, once, transaction)
  if (known) return known
  const [placed] = yield* add(tables, [message], transaction)
  return { _tag: "Appended", workerGroup: placed?.workerGroup ?? "" } satisfies AppendOnce
})

/** Ends the transaction of a batch without a trace. */
const contradicted = (index: number, messageId: MessageId) => ({ _tag: "Contradicted", index, messageId } as const)

const appendBatch = (tables: Tables, items: ReadonlyArray<BatchItem>) =>
  Effect.andThen(
    joined,
    Transaction.run(
      tables,
      Effect.gen(function*() {
        const transaction = yield* joined
        const repeated = new Map<number, MessageId>()
        // In the order of their keys: batches that share some take turns.
        const keyed = items.flatMap(({ message, once }, index) => once ? [{ index, message, once }] : [])
          .sort((a, b) => order(a, b) || a.index - b.index)
        const conflicts: Array<ReturnType<typeof contradicted>> = []
        for (const { index, message, once } of keyed) {
          const known = yield* take(tables, message, once, transaction)
          if (known?._tag === "Conflict") conflicts.push(contradicted(index, known.messageId))
          else if (known) repeated.set(index, known.messageId)
        }
        const [conflict] = conflicts.sort((a, b) => a.index - b.index)
        if (conflict) return yield* Effect.fail(conflict)
        const added = items.flatMap(({ message }, index) => repeated.has(index) ? [] : [message])
        const placed = yield* add(tables, added, transaction)
        const groups = new Map(added.map(({ id }, n) => [id, placed[n]?.workerGroup]))
        return {
          _tag: "Appended",
          items: items.map(({ message }, index) => {
            const messageId = repeated.get(index)
            return messageId === undefined
              ? { messageId: message.id, workerGroup: groups.get(message.id) }
              : { messageId, workerGroup: undefined }
          })
        } satisfies AppendBatch
      })
    ).pipe(
      Effect.catchTag("Contradicted", ({ index, messageId }) =>
        Effect.succeed<AppendBatch>({ _tag: "Conflict", index, messageId }))
    )
  )

interface Keyed {
  readonly message: Message
  readonly once: NonNullable<BatchItem["once"]>
}

const order = (a: Keyed, b: Keyed): number => {
  const [left, right] = [a, b].map(({ message, once }) => `${message.tenantId}\0${once.key}`)
  return left === right ? 0 : (left ?? "") < (right ?? "") ? -1 : 1
}
