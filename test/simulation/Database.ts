/**
 * The database: one memory storage in a process that never fails. Whatever a statement changes is written to the history when
 * it is executed, whether or not anybody hears of its answer.
 */
import { Context, Effect, type Exit, Option } from "effect"
import type { Claimed, Owner, Storage } from "../../src/Storage.ts"
import * as Administration from "../../src/StorageMemoryAdministration.ts"
import * as Appending from "../../src/StorageMemoryAppending.ts"
import * as Auditing from "../../src/StorageMemoryAuditing.ts"
import * as Broadcasting from "../../src/StorageMemoryBroadcasting.ts"
import * as Connecting from "../../src/StorageMemoryConnecting.ts"
import * as Counting from "../../src/StorageMemoryCounting.ts"
import * as Dispatching from "../../src/StorageMemoryDispatching.ts"
import * as Keeping from "../../src/StorageMemoryKeeping.ts"
import * as Measuring from "../../src/StorageMemoryMeasuring.ts"
import * as Membership from "../../src/StorageMemoryMembership.ts"
import * as Ownership from "../../src/StorageMemoryOwnership.ts"
import * as Replaying from "../../src/StorageMemoryReplaying.ts"
import * as Retaining from "../../src/StorageMemoryRetaining.ts"
import * as Transaction from "../../src/StorageMemoryTransaction.ts"
import * as Walking from "../../src/StorageMemoryWalking.ts"
import type { Subscription } from "../../src/Subscription.ts"
import type { Claim, History, Of } from "./History.ts"
import type { Machine, Process } from "./Machine.ts"
import type { Mutant } from "./Mutant.ts"

export type Verbs = Storage["Service"]

export interface Database {
  readonly process: Process
  /** The storage itself, for those who only look. */
  readonly storage: Verbs
  /** Runs an effect as a transaction. */
  readonly transaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The storage as a runner uses it. */
  readonly of: (runner: string) => Verbs
  /** Executes a statement in the transaction of the fiber that sent it. */
  readonly execute: <A, E>(
    transaction: Transaction.Transaction | undefined,
    statement: Effect.Effect<A, E>,
    end: (exit: Exit.Exit<A, E>) => void
  ) => void
}

/** Opens the database: what `StorageMemory.layer` is made of, unless a mutant changes it. */
export const open = (machine: Machine, history: History, mutant: Mutant): Database => {
  const process = machine.process("database")
  const tables = mutant.tables()
  const storage = {
    ...Appending.make(tables),
    ...Ownership.make(tables),
    ...Dispatching.make(tables),
    ...Administration.make(tables),
    ...Keeping.make(tables),
    ...Connecting.make(tables),
    ...Auditing.make(tables),
    ...Counting.make(tables),
    ...Walking.make(tables),
    ...Measuring.make(tables),
    ...Membership.make(tables),
    ...Broadcasting.make(tables),
    ...Replaying.make(tables),
    ...Retaining.make(tables)
  }
  const mutated = mutant.storage(storage)
  return {
    process,
    storage,
    transaction: (effect) => Transaction.run(tables, effect),
    of: (runner) => observed(mutated, history, runner),
    execute: (transaction, statement, end) =>
      process.post(() =>
        Effect.runForkWith(Context.add(process.context, Transaction.Current, transaction))(statement).addObserver(end)
      )
  }
}

// --- internal ---

const observed = (storage: Verbs, history: History, runner: string): Verbs => ({
  ...storage,
  renewLease: (runnerId, leaseMs) =>
    Effect.tap(
      storage.renewLease(runnerId, leaseMs),
      () => Effect.sync(() => history.add({ _tag: "Renewed", runner, leaseEndMs: history.nowMs + leaseMs }))
    ),
  returnLease: (runnerId) =>
    Effect.tap(storage.returnLease(runnerId), () => Effect.sync(() => history.add({ _tag: "LeaseReturned", runner }))),
  takeOver: (runnerId, group, patienceMs) =>
    Effect.tap(
      storage.takeOver(runnerId, group, patienceMs),
      ({ claimableAtMs, doubtfulSeq, owner: { epoch, workerGroup: group } }) =>
        Effect.sync(() => history.add({ _tag: "TookOver", runner, group, epoch, claimableAtMs, doubtfulSeq }))
    ),
  append: (messages, runnerId) =>
    Effect.tap(storage.append(messages, runnerId), (placed) =>
      Effect.sync(() => {
        for (const [n, { epoch, seq, workerGroup: group }] of placed.entries()) {
          const messageId = messages[n]?.id
          if (messageId === undefined || epoch === undefined) continue
          history.add({ _tag: "Read", runner, group, epoch, messageId, seq })
        }
      })),
  unrouted: (owners, options) =>
    Effect.tap(storage.unrouted(owners, options), ({ messages }) =>
      Effect.sync(() => {
        for (const { id, seq, workerGroup: group } of messages) {
          const epoch = epochOf(owners, group)
          history.add({ _tag: "Read", runner, group, epoch, messageId: id, seq })
        }
      })),
  giveBack: (owners) =>
    Effect.tap(storage.giveBack(owners), () =>
      Effect.sync(() => {
        for (const { epoch, workerGroup } of owners) {
          history.add({ _tag: "GaveBack", runner, group: workerGroup, epoch })
        }
      })),
  route: (routing) =>
    Effect.tap(storage.route(routing), (answer) =>
      Effect.gen(function*() {
        if (answer._tag !== "Routed") return
        const routed = new Set(answer.messageIds)
        // What goes to an open circuit is stored, and not claimed.
        const failing = new Set(answer.failing)
        const { isBegun = false } = routing
        for (const { error, isDoubtful = false, messageId, owner } of routing.messages) {
          if (!routed.has(messageId)) continue
          const deliveries = routing.deliveries.filter((delivery) => delivery.messageId === messageId)
          const setAside = error !== undefined
          yield* routedOf(storage, history, runner, { owner, messageId, setAside, isBegun, deliveries })
          for (const { claimed, id, subscriptionId } of deliveries) {
            if (!claimed || failing.has(subscriptionId)) continue
            history.add({
              _tag: "Claimed",
              claim: {
                runner,
                group: owner.workerGroup,
                epoch: owner.epoch,
                claimed: { deliveryId: id, messageId, subscriptionId, claims: isDoubtful ? 2 : 1, attemptCount: 0 },
                version: isBegun
                  ? versionBefore(history, subscriptionId, routing.version)
                  : yield* versionOf(storage, subscriptionId)
              }
            })
          }
        }
      })),
  complete: (completed) =>
    Effect.tap(storage.complete(completed), (ids) =>
      Effect.gen(function*() {
        const written = new Set(ids)
        for (const one of completed) {
          const { deliveries, messageId, owner } = one
          if (!written.has(messageId)) continue
          yield* routedOf(storage, history, runner, { owner, messageId, setAside: false, isBegun: true, deliveries })
          for (const outcome of Dispatching.outcomesOf(one)) history.add({ _tag: "Recorded", runner, outcome })
        }
      })),
  claim: (options) =>
    Effect.tap(storage.claim(options), ({ claimed }) =>
      Effect.sync(() => {
        for (const claim of claimed) history.add({ _tag: "Claimed", claim: claimOf(runner, options.owners, claim) })
      })),
  held: (owners) =>
    Effect.tap(storage.held(owners), (held) =>
      Effect.sync(() => {
        for (const claim of held) history.add({ _tag: "TakenUp", claim: claimOf(runner, owners, claim) })
      })),
  release: (owner, ids) =>
    Effect.tap(storage.release(owner, ids), () =>
      Effect.sync(() => {
        for (const deliveryId of ids) history.add({ _tag: "Released", runner, epoch: owner.epoch, deliveryId })
      })),
  record: (outcomes) =>
    Effect.tap(storage.record(outcomes), (recorded) =>
      Effect.sync(() => {
        const ids = new Set(recorded)
        for (const outcome of outcomes) {
          if (ids.has(outcome.deliveryId)) history.add({ _tag: "Recorded", runner, outcome })
        }
      })),
  retryDelivery: (id) =>
    Effect.flatMap(
      storage.getDelivery(id),
      (before) =>
        Effect.tap(storage.retryDelivery(id), (answer) =>
          Effect.sync(() => {
            const isAnew = Option.isSome(before) && before.value.delivery.completedAtMs !== undefined
            if (answer === "Retried") history.add({ _tag: "Retried", deliveryId: id, isAnew })
          }))
    ),
  setPartitions: (eventId, count) =>
    Effect.tap(
      storage.setPartitions(eventId, count),
      () => Effect.sync(() => history.add({ _tag: "Partitioned", eventId, count }))
    ),
  skipDelivery: (id) =>
    Effect.tap(storage.skipDelivery(id), (answer) =>
      Effect.sync(() => {
        if (answer === "Skipped") history.add({ _tag: "Skipped", deliveryId: id })
      })),
  createSubscription: (subscription) =>
    Effect.tap(
      storage.createSubscription(subscription),
      (version) => Effect.sync(() => saved(history, { ...subscription, version }))
    ),
  ensureSubscription: (subscription, change) =>
    Effect.gen(function*() {
      const before = (yield* storage.subscriptions).items
      const found = yield* storage.ensureSubscription(subscription, change)
      if (!before.some(({ id, version }) => id === found.id && version === found.version)) saved(history, found)
      return found
    }),
  updateSubscription: (id, change, message) =>
    Effect.tap(storage.updateSubscription(id, change, message), (changed) =>
      Effect.sync(() => {
        if (Option.isSome(changed)) saved(history, changed.value)
      })),
  deleteSubscription: (id) =>
    Effect.flatMap(
      storage.getSubscription(id),
      (before) =>
        Effect.tap(storage.deleteSubscription(id), () =>
          Effect.sync(() => {
            if (Option.isSome(before)) history.add({ _tag: "Saved", subscription: before.value, deleted: true })
          }))
    )
})

const claimOf = (runner: string, owners: ReadonlyArray<Owner>, claim: Claimed): Claim => {
  const { attemptCount, claims, deliveryId, messageId, subscriptionId, workerGroup: group } = claim
  return {
    runner,
    group,
    epoch: epochOf(owners, group),
    claimed: { deliveryId, messageId, subscriptionId, claims, attemptCount },
    version: claim.subscriptionVersion
  }
}

const epochOf = (owners: ReadonlyArray<Owner>, group: string): number =>
  owners.find((owner) => owner.workerGroup === group)?.epoch ?? 0

const routedOf = (
  storage: Verbs,
  history: History,
  runner: string,
  { owner: { epoch, workerGroup: group }, ...routed }:
    & Pick<Of<"Routed">, "messageId" | "setAside" | "isBegun" | "deliveries">
    & { readonly owner: Owner }
) =>
  Effect.map(Effect.orDie(storage.load([routed])), ({ messages }) => {
    history.add({ _tag: "Routed", runner, group, epoch, payloadJson: messages[0]?.payloadJson ?? "", ...routed })
  })

/** The version of a subscription that was there at one of all of them. */
const versionBefore = ({ entries }: History, id: Subscription["id"], version: number): number => {
  const found = entries.findLast((entry) =>
    entry._tag === "Saved" && entry.subscription.id === id && entry.subscription.version <= version
  )
  return found?._tag === "Saved" ? found.subscription.version : 0
}

const saved = (history: History, subscription: Subscription) =>
  history.add({ _tag: "Saved", subscription, deleted: false })

const versionOf = (storage: Verbs, id: Subscription["id"]) =>
  Effect.map(Effect.orDie(storage.getSubscription(id)), (found) => Option.isSome(found) ? found.value.version : 0)
