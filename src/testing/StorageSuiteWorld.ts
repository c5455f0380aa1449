/**
 * The world of one case of the storage's conformance suite: an event, a tenant and ids of its own, so that all cases can
 * share one database, and short words for what most of them do.
 */
import { Context, Effect } from "effect"
import type { AttemptRecord, Transition } from "../Delivery.ts"
import * as Id from "../Id.ts"
import { type Message, workerGroup } from "../Message.ts"
import {
  type AppendOnce,
  type Claimed,
  type NewDelivery,
  type Outcome,
  type Owner,
  type Routing,
  Storage
} from "../Storage.ts"
import type { Subscription } from "../Subscription.ts"

/**
 * What the suite needs of a backend besides its storage.
 *
 * @category services
 * @since 0.1.0
 */
export class Backend extends Context.Service<Backend, {
  /** Whether time stands still but for `advance`: times can then be compared exactly. */
  readonly virtualTime: boolean
  /** Lets time pass. */
  readonly advance: (ms: number) => Effect.Effect<void>
  /** Makes room for what is stored of a day in the past. */
  readonly prepareDay: (day: string) => Effect.Effect<void, unknown>
  /** Runs an effect inside a transaction of the caller's client. */
  readonly transact: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, unknown, R>
}>()("hookline/testing/StorageSuite/Backend") {}

/**
 * The cases of one part of the contract: each a sentence, and what proves it.
 *
 * @category models
 * @since 0.1.0
 */
export type Cases = Readonly<Record<string, Effect.Effect<void, unknown, Storage | Backend>>>

/** @category constants @since 0.1.0 */
export const hourMs = 60 * 60 * 1000

/**
 * What appending a message with a fresh key answers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const appended = ({ eventId }: Pick<Message, "eventId">): AppendOnce => ({
  _tag: "Appended",
  workerGroup: workerGroup(eventId)
})

type Final = Extract<Transition, { readonly _tag: "Final" }>

/**
 * The transition of a success.
 *
 * @category constants
 * @since 0.1.0
 */
export const success: Final = {
  _tag: "Final",
  status: "success",
  reason: undefined,
  externalId: undefined,
  lastError: undefined
}

/**
 * The transition of a failure for good.
 *
 * @category constants
 * @since 0.1.0
 */
export const failure: Final = {
  _tag: "Final",
  status: "failed",
  reason: "permanent",
  externalId: undefined,
  lastError: "refused"
}

/**
 * The transition of a failure that is tried again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const retryAt = (dueAtMs: number): Transition => ({ _tag: "Retry", dueAtMs, lastError: "away" })

/**
 * Makes a world.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const storage = yield* Storage
  const backend = yield* Backend
  // Virtual time begins in 1970: ids of earlier times need some room.
  if (backend.virtualTime) yield* backend.advance(24 * hourMs)
  const name = Id.toUuid(yield* Id.messageId(yield* storage.now)).slice(-16)
  const names = { eventId: `suite.e${name}`, tenantId: `t${name}` }
  const dispatching = dispatch(storage, names.eventId)
  return { storage, backend, ...names, ...rows(storage, names), ...dispatching }
})

// --- internal ---

type Seam = Storage["Service"]
interface Names {
  readonly eventId: string
  readonly tenantId: string
}

const rows = (storage: Seam, names: Names) => {
  const message = Effect.fnUntraced(function*(overrides?: Partial<Message>) {
    const made: Message = {
      id: yield* Id.messageId(yield* storage.now),
      ...names,
      orderingKey: undefined,
      payloadJson: "{}",
      ...overrides
    }
    return made
  })
  return {
    message,
    /** Appends some messages in one go. */
    append: Effect.fnUntraced(function*(count: number, overrides?: Partial<Message>) {
      const messages = yield* Effect.replicateEffect(message(overrides), count)
      yield* storage.append(messages)
      return messages
    }),
    append1: Effect.fnUntraced(function*(overrides?: Partial<Message>) {
      const appended = yield* message(overrides)
      yield* storage.append([appended])
      return appended
    }),
    /** A subscription that is not stored yet. */
    subscription: Effect.fnUntraced(function*(overrides?: Partial<Subscription>) {
      const now = yield* storage.now
      const made: Omit<Subscription, "version"> = {
        id: yield* Id.subscriptionId(now),
        tenantId: names.tenantId,
        name: "a",
        description: undefined,
        events: [names.eventId],
        providerId: "suite.provider",
        config: {},
        connectionId: undefined,
        signingSecrets: [],
        retry: undefined,
        enabled: true,
        disabledReason: undefined,
        disabledAtMs: undefined,
        filter: undefined,
        ordered: false,
        maxConcurrency: undefined,
        rateLimit: undefined,
        createdAtMs: now,
        updatedAtMs: now,
        ...overrides
      }
      return made
    })
  }
}

const dispatch = (storage: Seam, eventId: string) => {
  const route = (
    owner: Owner,
    messages: ReadonlyArray<{ readonly id: Id.MessageId }>,
    deliveries: ReadonlyArray<NewDelivery>,
    overrides?: Partial<Routing["messages"][number]>
  ) =>
    Effect.gen(function*() {
      while (true) {
        const { version } = yield* storage.subscriptions
        const answer = yield* storage.route(routing(version, owner, messages, deliveries, overrides))
        // Somebody else's subscriptions may change in between.
        if (answer._tag === "Routed") return answer.messageIds
      }
    })
  return {
    route,
    /** Makes a runner, without a lease unless one is asked for, the owner of an event's group. */
    own: Effect.fnUntraced(function*(options?: {
      readonly eventId?: string
      readonly workerGroup?: string
      readonly leaseMs?: number
    }) {
      const runnerId = yield* Id.runnerId
      if (options?.leaseMs !== undefined) yield* storage.renewLease(runnerId, options.leaseMs)
      const group = { workerGroup: options?.workerGroup ?? workerGroup(options?.eventId ?? eventId), partition: 0 }
      return { runnerId, ...(yield* storage.takeOver(runnerId, group, 2000)) }
    }),
    deliveries: Effect.fnUntraced(function*(
      messages: ReadonlyArray<{ readonly id: Id.MessageId }>,
      subscriptionId: Id.SubscriptionId,
      claimed: boolean
    ) {
      const now = yield* storage.now
      return yield* Effect.forEach(
        messages,
        ({ id: messageId }) =>
          Effect.map(Id.deliveryId(now), (id): NewDelivery => ({ id, messageId, subscriptionId, claimed }))
      )
    }),
    claim: (
      owner: Owner,
      subscriptionId: Id.SubscriptionId,
      options?: {
        readonly free?: number
        readonly limit?: number
        readonly bytes?: number
        readonly suspect?: boolean
      }
    ) =>
      storage.claim({
        owners: [owner],
        lanes: [{ workerGroup: owner.workerGroup, subscriptionId, free: options?.free ?? 100 }],
        limit: options?.limit ?? 100,
        bytes: options?.bytes ?? 1e9,
        suspectClaims: 2,
        suspectProviders: options?.suspect === true ? ["suite.provider"] : []
      }),
    record: (
      owner: Owner,
      deliveryId: Id.DeliveryId,
      transition: Transition,
      options?: { readonly attemptCount?: number; readonly attempt?: Partial<AttemptRecord> }
    ) => storage.record([outcome(owner, deliveryId, transition, options)]),
    /** What is read of a delivery; it has to be there. */
    delivery: (id: Id.DeliveryId) => Effect.flatMap(storage.getDelivery(id), Effect.fromOption)
  }
}

/**
 * The routing of messages as one owner writes it. One that does not say its number has that of its place, and one delivery matched
 * unless it says how many.
 *
 * @category constructors
 * @since 0.1.0
 */
export const routing = (
  version: number,
  owner: Owner,
  messages: ReadonlyArray<{ readonly id: Id.MessageId; readonly seq?: number; readonly matched?: number }>,
  deliveries: ReadonlyArray<NewDelivery>,
  overrides?: Partial<Routing["messages"][number]>
): Routing => ({
  version,
  messages: messages.map(({ id: messageId, matched = 1, seq }, i) => ({
    owner,
    messageId,
    seq: seq ?? i + 1,
    matched,
    filtered: 0,
    transformedJson: undefined,
    error: undefined,
    ...overrides
  })),
  deliveries
})

/**
 * An attempt's outcome as one owner records it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const outcome = (
  owner: Owner,
  deliveryId: Id.DeliveryId,
  transition: Transition,
  options?: { readonly attemptCount?: number; readonly attempt?: Partial<AttemptRecord> }
): Outcome => {
  const attemptCount = options?.attemptCount ?? 0
  return {
    owner,
    deliveryId,
    attemptCount,
    attempt: {
      number: attemptCount + 1,
      startedAtMs: 1_700_000_000_000,
      durationMs: 12,
      outcome: transition._tag === "Retry" ? "retryable" : transition.status === "success" ? "success" : "permanent",
      ...options?.attempt
    },
    transition
  }
}

/**
 * A world in which an owner holds a group and some messages were routed to one subscription.
 *
 * @category constructors
 * @since 0.1.0
 */
export const routed = (
  count: number,
  options?: {
    readonly claimed?: boolean
    readonly leaseMs?: number
    readonly subscription?: Partial<Subscription>
    readonly message?: Partial<Message>
  }
) =>
  Effect.gen(function*() {
    const world = yield* make
    const subscription = yield* world.subscription(options?.subscription)
    yield* world.storage.createSubscription(subscription)
    const { owner, runnerId } = yield* world.own(options)
    const messages = yield* world.append(count, options?.message)
    const made = yield* world.deliveries(messages, subscription.id, options?.claimed ?? false)
    yield* world.route(owner, messages, made)
    return { ...world, owner, runnerId, subscription, messages, ids: made.map((delivery) => delivery.id) }
  })

/**
 * The ids of claims, in an order that is always the same.
 *
 * @category conversions
 * @since 0.1.0
 */
export const idsOf = (claims: ReadonlyArray<Claimed>): ReadonlyArray<Id.DeliveryId> =>
  claims.map((claim) => claim.deliveryId).sort()

/**
 * The one element of a list; it has to be the only one.
 *
 * @category conversions
 * @since 0.1.0
 */
export const only = <A>(items: ReadonlyArray<A>): Effect.Effect<A> => {
  const [first] = items
  return first === undefined || items.length > 1
    ? Effect.die(new Error(`expected one element, found ${items.length}`))
    : Effect.succeed(first)
}
