import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random, Schedule } from "effect"
import * as Id from "../../src/Id.ts"
import { workerGroup } from "../../src/Message.ts"
import { type Claimed, type NewDelivery, type Owner, Storage } from "../../src/Storage.ts"
import type { StorageUnavailable } from "../../src/StorageError.ts"
import { ownGroup, type Subscription, wants } from "../../src/Subscription.ts"
import { failure, outcome, retryAt, success } from "../../src/testing/StorageSuiteWorld.ts"
import { message, storage as layer, subscribe } from "./support.ts"

const events = ["race.one", "race.two"]
const keys = ["k0", "k1", "k2"]

const pick = <A>(items: ReadonlyArray<A>) =>
  Effect.flatMap(Random.nextIntBetween(0, Math.max(0, items.length - 1)), (n) => Effect.fromNullishOr(items[n])).pipe(
    Effect.option
  )

const everything = { cursor: undefined, limit: 10_000 }

const make = Effect.gen(function*() {
  const storage = yield* Storage
  const runnerId = yield* Id.runnerId
  const inOrder = yield* subscribe({ events: ["race.*"], ordered: true })
  const others = yield* Effect.forEach(
    [{ ordered: true }, { maxConcurrency: 2 }, {}],
    (extra) => subscribe({ events: ["race.*"], ...extra })
  )
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
        Effect.flatMap(Random.nextIntBetween(0, 1), (n) => message({ eventId: events[n] ?? "race.one", orderingKey }))
    )
    yield* Effect.orDie(storage.append(batch))
  })

  const route = (owner: Owner): Effect.Effect<void, StorageUnavailable> =>
    Effect.gen(function*() {
      const unrouted = (yield* storage.unrouted([owner], { messages: 50, bytes: 1e6 })).messages
      if (unrouted.length === 0) return
      const { items, version } = yield* storage.subscriptions
      const now = yield* storage.now
      const deliveries = yield* Effect.forEach(
        unrouted.flatMap((one) => items.filter((item) => wants(item, one)).map((item) => ({ item, one }))),
        ({ item, one }) =>
          Effect.map(Id.deliveryId(now), (id): NewDelivery => {
            const own = ownGroup(item)
            return {
              id,
              messageId: one.id,
              subscriptionId: item.id,
              claimed: false,
              ...(own === undefined ? {} : { workerGroup: own })
            }
          })
      )
      yield* Effect.catchTag(
        storage.route({
          version,
          messages: unrouted.map(({ id, seq }) => ({
            owner,
            messageId: id,
            seq,
            matched: 1,
            filtered: 0,
            transformedJson: undefined,
            error: undefined
          })),
          deliveries
        }),
        "RowRefused",
        Effect.die
      )
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
      const now = yield* storage.now
      const outcomes = yield* Effect.forEach(claims.claimed, (claim) =>
        Effect.gen(function*() {
          watch(claim, keyOf.get(claim.messageId) ?? "")
          const dice = isCalm() ? 0 : yield* Random.next
          if (dice > 0.9) return undefined
          const [transition, sign] = dice < 0.5
            ? [success, "accepted" as const]
            : dice < 0.8
            ? [retryAt(now), "failed" as const]
            : [failure, "refused" as const]
          const { attemptCount } = claim
          return { ...outcome(owner, claim.deliveryId, transition, { attemptCount }), sign }
        }))
      const done = outcomes.filter((one) => one !== undefined)
      const recorded = new Set(done.map((one) => one.deliveryId))
      yield* Effect.catchTag(storage.record(done), "RowRefused", Effect.die)
      const back = claims.claimed.filter((one) => !recorded.has(one.deliveryId)).map((one) => one.deliveryId)
      if (back.length > 0) yield* storage.release(owner, back)
      return claims.claimed.length
    })

  const change = Effect.gen(function*() {
    const id = yield* Effect.flatMap(pick(others), Effect.fromOption)
    const dice = yield* Random.next
    yield* storage.updateSubscription(id, (current): Subscription =>
      dice < 0.3
        ? { ...current, ordered: !current.ordered }
        : dice < 0.6
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
    else if (dice < 0.7) yield* storage.skipDelivery(one.id)
    else if (dice < 0.9) yield* storage.expire(100)
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
  return { storage, owners, others, errors, noted, inversions, emit, route, work, change, intervene, unfinished }
})

describe("whatever is done to deliveries and subscriptions at once", () => {
  it.live(
    "ends in no deadlock, keeps the order that is promised, and leaves no delivery behind",
    () =>
      Effect.gen(function*() {
        const world = yield* make
        const { change, emit, errors, intervene, inversions, noted, others, owners, route, storage, work } = world
        let isCalm = false
        const noteDefect = (defect: unknown) => Effect.sync(() => void errors.push(String(defect)))
        const often = <A, E, R>(effect: Effect.Effect<A, E, R>, everyMs = 2) =>
          Effect.forkChild(
            Effect.repeat(Effect.ignore(Effect.catchDefect(effect, noteDefect)), Schedule.spaced(everyMs))
          )
        const routers = yield* Effect.forEach(owners.slice(0, 2), (owner) => often(noted(route(owner))))
        const workers = yield* Effect.forEach(owners, (owner) => often(noted(work(owner, () => isCalm))))
        const trouble = [
          yield* often(emit, 10),
          // Not so often that no batch is routed before the next one.
          yield* often(noted(Effect.catchTag(change, "NoSuchElementError", () => Effect.void)), 25),
          yield* often(noted(Effect.catchTag(intervene, "NoSuchElementError", () => Effect.void)))
        ]
        // How long they race: nothing is waited for.
        yield* Effect.sleep("4 seconds")
        yield* Fiber.interruptAll(trouble)
        isCalm = true
        for (const id of others) yield* storage.updateSubscription(id, (current) => ({ ...current, enabled: true }))
        const left = yield* world.unfinished.pipe(
          Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (all) => all.length === 0, times: 200 })
        )
        yield* Fiber.interruptAll([...routers, ...workers])
        const delivered = yield* storage.listDeliveries({ status: "success" }, everything)
        assert.isAbove(delivered.length, 100)
        assert.deepStrictEqual(
          left.map(({ id, reason, status, subscriptionId }) => ({ id, status, reason, subscriptionId })),
          []
        )
        assert.deepStrictEqual(errors, [])
        assert.deepStrictEqual(inversions, [])
      }).pipe(Effect.provide(layer)),
    60_000
  )
})
