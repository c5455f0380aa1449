/**
 * The verbs that the comparison of two storages draws its sequences from, as data: what is of no interest is left out, what
 * a verb is applied to is a number that picks from what there is.
 */
import { Arbitrary, Schema } from "effect"

const upTo = (maximum: number, minimum = 0) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Picks an item, the last ones first. */
const pick = upTo(7)
const group = upTo(1)
const runner = upTo(1)
/** Now and then: what ought to change nothing. */
const rarely = Schema.Literals([false, false, false, false, false, false, false, true])

const transition = Schema.Literals(["success", "failed", "again", "again", "later"])

/**
 * The verbs.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Verb = Schema.TaggedUnion({
  /** `again`: together with one that is stored already. */
  append: { group, count: upTo(3), again: rarely },
  appendOnce: { group, key: upTo(2), content: upTo(1), ttl: Schema.Literals(["short", "long"]) },
  renewLease: { runner },
  returnLease: { runner },
  takeOver: { group, runner },
  giveBack: { group, former: rarely },
  recover: { group, former: rarely },
  /** Take-overs: each recovers what the owner before had claimed, and claims what it can. */
  crash: { group, runner, times: upTo(3, 1) },
  due: { ahead: Schema.Literals(["now", "long"]) },
  /** `except`: so many of those that wait. */
  unrouted: { former: rarely, messages: upTo(4, 1), bytes: upTo(60), except: upTo(3) },
  /** `stale`: matched by an older version. `begun`: attempts may have begun. */
  route: {
    stale: rarely,
    begun: rarely,
    messages: Schema.Array(Schema.Struct({
      pick,
      former: rarely,
      fate: Schema.Literals(["routed", "routed", "transformed", "set aside"]),
      claimed: Schema.Boolean,
      doubtful: rarely
    })).check(Schema.isMinLength(1), Schema.isMaxLength(4))
  },
  complete: {
    messages: Schema.Array(Schema.Struct({ pick, former: rarely, transformed: Schema.Boolean })).check(
      Schema.isMinLength(1),
      Schema.isMaxLength(3)
    )
  },
  /** `lane`: that of one subscription in one group, with a limit; or all lanes. */
  claim: {
    former: rarely,
    lane: Schema.Literals(["one", "all", "all"]),
    pick,
    group,
    free: upTo(4),
    limit: upTo(4),
    suspect: Schema.Boolean
  },
  held: {},
  load: {},
  release: { group, former: rarely, picks: Schema.Array(pick).check(Schema.isMaxLength(3)) },
  /** `repeated`: of an attempt that was recorded before. */
  record: {
    outcomes: Schema.Array(Schema.Struct({ pick, former: rarely, transition, repeated: rarely })).check(
      Schema.isMinLength(1),
      Schema.isMaxLength(4)
    )
  },
  createSubscription: { enabled: Schema.Boolean },
  updateSubscription: { pick, change: Schema.Literals(["enable", "disable", "rename", "nothing"]) },
  deleteSubscription: { pick },
  subscriptions: {},
  getSubscription: { pick },
  listSubscriptions: {
    enabled: Schema.optionalKey(Schema.Boolean),
    after: Schema.optionalKey(pick),
    limit: upTo(3, 1)
  },
  getMessage: { pick },
  listMessages: { group: Schema.optionalKey(group), after: Schema.optionalKey(pick), limit: upTo(4, 1) },
  retryMessage: { pick },
  getDelivery: { pick },
  listDeliveries: {
    by: Schema.Literals(["status", "reason", "subscription", "event", "message", "time", "nothing"]),
    status: Schema.Literals(["pending", "retrying", "success", "failed", "cancelled"]),
    reason: Schema.Literals(["permanent", "crashed-owner", "deleted", "held"]),
    pick,
    after: Schema.optionalKey(pick),
    limit: upTo(4, 1)
  },
  retryDelivery: { pick },
  /** Seen through at once. */
  replay: {
    by: Schema.Literals(["subscription", "event", "message", "time"]),
    status: Schema.Literals(["failed", "failed", "success", "cancelled"]),
    pick,
    fresh: Schema.Boolean
  }
})

/** @category models @since 0.1.0 */
export type Verb = typeof Verb.Type

const { cases } = Verb

/** What moves messages on comes often, what only reads seldom. */
const weighted = Schema.Union([
  ...Object.values(cases),
  ...Array.from({ length: 3 }, () => cases.append),
  ...Array.from({ length: 5 }, () => cases.route),
  ...Array.from({ length: 5 }, () => cases.claim),
  ...Array.from({ length: 4 }, () => cases.record),
  ...Array.from({ length: 3 }, () => cases.crash),
  cases.due,
  cases.release,
  cases.retryDelivery,
  cases.replay,
  cases.updateSubscription,
  cases.createSubscription
])

/**
 * Sequences of verbs.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sequences = (maxLength: number): Arbitrary.Arbitrary<ReadonlyArray<Verb>> =>
  Arbitrary.array(Arbitrary.schema(weighted), { maxLength })
