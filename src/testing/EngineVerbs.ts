/**
 * The verbs of a storage that the engine and emits use, each led through something that may strike it.
 */
import type { Effect } from "effect"
import type { AppendError, Appending, Dispatching, Storage, StorageUnavailable } from "../Storage.ts"

/**
 * The name of such a verb.
 *
 * @category models
 * @since 0.1.0
 */
export type Verb = Exclude<keyof (Appending & Dispatching), "now" | "inTransaction" | "afterCommit">

/**
 * What the verbs are led through.
 *
 * @category models
 * @since 0.1.0
 */
export interface Way {
  readonly append: <A>(verb: Verb, effect: Effect.Effect<A, AppendError>) => Effect.Effect<A, AppendError>
  readonly engine: <A, E>(verb: Verb, effect: Effect.Effect<A, E>) => Effect.Effect<A, E | StorageUnavailable>
}

/**
 * The verbs of `real`, led through.
 *
 * @category combinators
 * @since 0.1.0
 */
export const through = (
  real: Storage["Service"],
  { append, engine }: Way
): Pick<Storage["Service"], Verb> => ({
  append: (messages, runnerId) => append("append", real.append(messages, runnerId)),
  appendOnce: (message, options) => append("appendOnce", real.appendOnce(message, options)),
  appendBatch: (items) => append("appendBatch", real.appendBatch(items)),
  usedKeys: (keys) => append("usedKeys", real.usedKeys(keys)),
  subscriptions: engine("subscriptions", real.subscriptions),
  renewLease: (runnerId, leaseMs) => engine("renewLease", real.renewLease(runnerId, leaseMs)),
  returnLease: (runnerId) => engine("returnLease", real.returnLease(runnerId)),
  takeOver: (runnerId, group, patienceMs) => engine("takeOver", real.takeOver(runnerId, group, patienceMs)),
  giveBack: (owners) => engine("giveBack", real.giveBack(owners)),
  recover: (owners, crashedClaims) => engine("recover", real.recover(owners, crashedClaims)),
  filled: (ids) => engine("filled", real.filled(ids)),
  due: (options) => engine("due", real.due(options)),
  unrouted: (owners, options) => engine("unrouted", real.unrouted(owners, options)),
  route: (routing) => engine("route", real.route(routing)),
  complete: (completed) => engine("complete", real.complete(completed)),
  claim: (options) => engine("claim", real.claim(options)),
  load: (claimed) => engine("load", real.load(claimed)),
  held: (owners) => engine("held", real.held(owners)),
  release: (owner, ids) => engine("release", real.release(owner, ids)),
  unpark: (owners) => engine("unpark", real.unpark(owners)),
  warn: (id, message) => engine("warn", real.warn(id, message)),
  record: (outcomes) => engine("record", real.record(outcomes))
})
