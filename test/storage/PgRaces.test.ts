import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random, Schedule } from "effect"
import * as Id from "../../src/Id.ts"
import { workerGroup } from "../../src/Message.ts"
import { type Claimed, type Completed, type NewDelivery, type Owner, Storage } from "../../src/Storage.ts"
import type { StorageUnavailable } from "../../src/StorageError.ts"
import { ownGroup, type Subscription, wants } from "../../src/Subscription.ts"
import { failure, outcome, retryAt, routing, success } from "../../src/testing/StorageSuiteWorld.ts"
import { until } from "../support/process.ts"
import { message, storage as layer, subscribe } from "./support.ts"

/** The last is wanted by none that has a group of its own: its messages may be completed without having been routed. */
const events = ["race.one", "race.two", "apart.one"]
const keys = ["k0", "k1", "k2"]

const pick = <A>(items: ReadonlyArray<A>) =>
  Effect.flatMap(Random.nextIntBetween(0, Math.max(0, items.length - 1)), (n) => Effect.fromNullishOr(items[n])).pipe(
    Effect.option
  )

const everything = { cursor: undefined, limit: 10_000 }

/** What the race is about: each has been called some times before it ends. */
const verbs = [
  "append",
  "route",
  "complete",
  "claim",
  "record",
  "release",
  "updateSubscription",
  "retryDelivery",
  "skipDelivery",
  "expire",
  "maintain"
] as const

/** A storage that counts how often each verb is called. */
const counting = (storage: Storage["Service"]) => {
  const calls = new Map<PropertyKey, number>()
  const counted = new Proxy(storage, {
    get: (target, name) => {
      const verb = Reflect.get(target, name)
      if (typeof verb !== "function") return verb
      return (...args: ReadonlyArray<unknown>) => {
        calls.set(name, (calls.get(name) ?? 0) + 1)
        return Reflect.apply(verb, target, args)
      }
    }
  })
  return { calls, counted }
}

const make = Effect.gen(function*() {
  const { calls, counted: storage } = counting(yield* Storage)
  const runnerId = yield* Id.runnerId
  const inOrder = yield* subscribe({ events: ["race.*"], ordered: true })
  const others = yield* Effect.forEach(
    [{ ordered: true }, { maxConcurrency: 2 }, {}],
    (extra) => subscribe({ events: ["race.*"], ...extra })
  )
  const apart = yield* subscribe({ events: ["apart.*"] })
  others.push(apart)
  const ids = [inOrder, ...others]
  const groups = [...events.map(workerGroup), ...ids.map((id) => `subscription.${id}`)]
  const owners = yield* Effect.forEach(
    groups,
    (group) => Effect.map(storage.takeOver(runnerId, { workerGroup: group, partition: 0 }, 2000), ({ owner }) => owner)
  )
  /** What went wrong for another reason than that somebody else was first. */
  const errors: Array<string> = []
  const noted = <A, R>(effect: Effect.Effect<A, StorageUnavailable, R>) =>
    Effect.tapError(effect, (error) => Effect.sync(() => void errors.push(error.message)))
  /** The order in which messages of the subscription that is always ordered were claimed at first, by key. */
  const claimed = new Map<string, number>()
  const inversions: Array<string> = []
  const byHand = new Set<string>()
  /** How many deliveries were claimed as they were routed. */
  let onTheWay = 0

  const watch = (claim: Claimed, key: string) => {
    if (claim.subscriptionId !== inOrder || byHand.has(claim.deliveryId)) return
    const last = claimed.get(key) ?? 0
    if (claim.seq < last) inversions.push(`${key}: ${claim.seq} after ${last}`)
    claimed.set(key, Math.max(last, claim.seq))
  }

  const emit = Effect.gen(function*() {
    const batch = yield* Effect.forEach(
      keys,
      (orderingKey) =>
        Effect.flatMap(Random.nextIntBetween(0, 2), (n) => message({ eventId: events[n] ?? "race.one", orderingKey }))
    )
    yield* Effect.orDie(storage.append(batch))
  })

  /** Records claims as dice decide, as successes where it is calm; gives those back that they decide nothing of. */
  const settle = Effect.fnUntraced(function*(
    owner: Owner,
    claims: ReadonlyArray<Pick<Claimed, "deliveryId" | "attemptCount">>,
    isCalm: () => boolean
  ) {
    const now = yield* storage.now
    const outcomes = yield* Effect.forEach(claims, ({ attemptCount, deliveryId }) =>
      Effect.gen(function*() {
        const dice = isCalm() ? 0 : yield* Random.next
        if (dice > 0.9) return undefined
        const [transition, sign] = dice < 0.5
          ? [success, "accepted" as const]
          : dice < 0.8
          ? [retryAt(now), "failed" as const]
          : [failure, "refused" as const]
        return { ...outcome(owner, deliveryId, transition, { attemptCount }), sign }
      }))
    const done = outcomes.filter((one) => one !== undefined)
    const recorded = new Set(done.map((one) => one.deliveryId))
    if (done.length > 0) yield* Effect.catchTag(storage.record(done), "RowRefused", Effect.die)
    const back = claims.filter((one) => !recorded.has(one.deliveryId)).map((one) => one.deliveryId)
    if (back.length > 0) yield* storage.release(owner, back)
  })

  /** As the engine does: what has no group of its own is claimed on the way or, a whole message of it, completed. */
  const route = (owner: Owner, isCalm: () => boolean): Effect.Effect<void, StorageUnavailable> =>
    Effect.gen(function*() {
      const unrouted = (yield* storage.unrouted([owner], { messages: 50, bytes: 1e6 })).messages
      if (unrouted.length === 0) return
      const { items, version } = yield* storage.subscriptions
      const routed: Array<{ readonly id: Id.MessageId; readonly seq: number; readonly matched: number }> = []
      const deliveries: Array<NewDelivery> = []
      const completed: Array<Completed> = []
      for (const { seq, ...one } of unrouted) {
        const wanting = items.filter((item) => wants(item, one))
        const isFree = (item: Subscription) => ownGroup(item) === undefined && item.enabled
        const made = wanting.map((item): NewDelivery => {
          const own = ownGroup(item)
          return {
            id: Id.deliveryOf(one.id, item.id),
            messageId: one.id,
            subscriptionId: item.id,
            claimed: isFree(item),
            ...(own === undefined ? {} : { workerGroup: own })
          }
        })
        if (made.length > 0 && wanting.every(isFree) && (yield* Random.next) < 0.5) {
          completed.push({
            owner,
            messageId: one.id,
            version,
            filtered: 0,
            transformedJson: undefined,
            deliveries: made.map(({ id, subscriptionId }) => {
              const { attempt } = outcome(owner, id, success)
              return { id, subscriptionId, attempt }
            })
          })
        } else {
          for (const delivery of made) {
            deliveries.push((yield* Random.next) < 0.5 ? delivery : { ...delivery, claimed: false })
          }
          routed.push({ id: one.id, seq, matched: made.length })
        }
      }
      if (completed.length > 0) yield* Effect.catchTag(storage.complete(completed), "RowRefused", Effect.die)
      const answer = yield* Effect.catchTag(
        storage.route(routing(version, owner, routed, deliveries)),
        "RowRefused",
        Effect.die
      )
      if (answer._tag === "Stale") return
      const written = new Set(answer.messageIds)
      const failing = new Set(answer.failing)
      const claims = deliveries.filter(({ claimed, messageId, subscriptionId }) =>
        claimed && written.has(messageId) && !failing.has(subscriptionId)
      )
      onTheWay += claims.length
      yield* settle(owner, claims.map(({ id }) => ({ deliveryId: id, attemptCount: 0 })), isCalm)
    })

  const work = (owner: Owner, isCalm: () => boolean) =>
    Effect.gen(function*() {
      const claims = yield* storage.claim({
        owners: [owner],
        lanes: ids.map((subscriptionId) => ({ workerGroup: owner.workerGroup, subscriptionId, free: 5 })),
        limit: 20,
        bytes: 1e6,
        suspectClaims: 2,
        suspectProviders: ["test.endpoint"]
      })
      if (claims.claimed.length === 0) return 0
      const { messages } = yield* storage.load(claims.claimed)
      const keyOf = new Map(messages.map((one) => [one.id, one.orderingKey ?? ""]))
      for (const claim of claims.claimed) watch(claim, keyOf.get(claim.messageId) ?? "")
      yield* settle(owner, claims.claimed, isCalm)
      return claims.claimed.length
    })

  const change = Effect.gen(function*() {
    const id = yield* Effect.flatMap(pick(others), Effect.fromOption)
    const dice = yield* Random.next
    yield* storage.updateSubscription(id, (current): Subscription =>
      id !== apart && dice < 0.3
        ? { ...current, ordered: !current.ordered }
        : id !== apart && dice < 0.6
        ? { ...current, maxConcurrency: current.maxConcurrency === undefined ? 2 : undefined }
        : dice < 0.8
        ? { ...current, config: { n: dice } }
        : { ...current, enabled: !current.enabled })
  })

  const intervene = Effect.gen(function*() {
    const found = yield* storage.listDeliveries({}, { cursor: undefined, limit: 30 })
    const one = yield* Effect.flatMap(pick(found), Effect.fromOption)
    byHand.add(one.id)
    const dice = yield* Random.next
    if (dice < 0.5) yield* storage.retryDelivery(one.id)
    else if (dice < 0.65) yield* storage.skipDelivery(one.id)
    else if (dice < 0.8) yield* storage.expire(100)
    else {yield* storage.maintain({
        partitionsAheadDays: 1,
        heldMaxAgeMs: 1e9,
        broadcastKeptMs: 1e9,
        replaysKeptMs: 1e12,
        rows: 100
      })}
  })

  const unfinished = Effect.map(
    storage.listDeliveries({}, everything),
    (all) => all.filter((one) => one.completedAtMs === undefined)
  )
  /** Whether all of it has happened often enough, however fast the machine is. */
  const hasRaced = Effect.gen(function*() {
    if (onTheWay < 20 || verbs.some((verb) => (calls.get(verb) ?? 0) < 20)) return false
    const delivered = yield* storage.listDeliveries({ status: "success" }, { cursor: undefined, limit: 500 })
    return delivered.length === 500
  })
  return {
    storage,
    owners,
    others,
    errors,
    noted,
    inversions,
    emit,
    route,
    work,
    change,
    intervene,
    unfinished,
    hasRaced
  }
})

describe("whatever is done to deliveries and subscriptions at once", () => {
  it.live(
    "ends in no deadlock, keeps the order that is promised, and leaves no delivery behind",
    () =>
      Effect.gen(function*() {
        const world = yield* make
        const { change, emit, errors, hasRaced, intervene, inversions, noted, others, owners, route, storage, work } =
          world
        let isCalm = false
        const noteDefect = (defect: unknown) => Effect.sync(() => void errors.push(String(defect)))
        const often = <A, E, R>(effect: Effect.Effect<A, E, R>, everyMs = 2) =>
          Effect.forkChild(
            Effect.repeat(Effect.ignore(Effect.catchDefect(effect, noteDefect)), Schedule.spaced(everyMs))
          )
        const routers = yield* Effect.forEach(owners.slice(0, events.length), (owner) =>
          often(noted(route(owner, () => isCalm))))
        const workers = yield* Effect.forEach(owners, (owner) =>
          often(noted(work(owner, () => isCalm))))
        const trouble = [
          yield* often(emit, 10),
          // Not so often that no batch is routed before the next one.
          yield* often(noted(Effect.catchTag(change, "NoSuchElementError", () => Effect.void)), 25),
          yield* often(noted(Effect.catchTag(intervene, "NoSuchElementError", () => Effect.void)))
        ]
        // On a slow machine it takes longer than what others wait for.
        yield* until("they have raced", hasRaced, 4500)
        yield* Fiber.interruptAll(trouble)
        isCalm = true
        for (const id of others) yield* storage.updateSubscription(id, (current) => ({ ...current, enabled: true }))
        // What is in order goes one by one, and a long race leaves much of it.
        const left = yield* world.unfinished.pipe(
          Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (all) => all.length === 0, times: 800 })
        )
        yield* Fiber.interruptAll([...routers, ...workers])
        assert.deepStrictEqual(
          left.map(({ id, reason, status, subscriptionId }) => ({ id, status, reason, subscriptionId })),
          []
        )
        assert.deepStrictEqual(errors, [])
        assert.deepStrictEqual(inversions, [])
      }).pipe(Effect.provide(layer)),
    240_000
  )
})
