/**
 * The storage's contract on lists that are walked: they tell the truth in steps however short, and to a tenant nothing of others.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import { allTenants } from "../Message.ts"
import type { DeliveryFilter, NewDelivery, Storage } from "../Storage.ts"
import { type Cases, failure, make, retryAt, success } from "./StorageSuiteWorld.ts"

type Seam = Storage["Service"]

const newest = (ids: ReadonlyArray<string>) => ids.toSorted((a, b) => a < b ? 1 : -1)

/** The pages of a walk, from the first to the last. */
const walked = (storage: Seam, filter: DeliveryFilter, look: number, limit = 2) =>
  Effect.gen(function*() {
    const pages: Array<{ readonly ids: ReadonlyArray<string>; readonly next: string | undefined }> = []
    let cursor: string | undefined
    do {
      const { items, next } = yield* storage.walkDeliveries(filter, { cursor, limit, look })
      assert.isAtMost(items.length, limit)
      assert.isTrue(next === undefined || cursor === undefined || next < cursor)
      pages.push({ ids: items.map(({ id }) => id), next })
      cursor = next
    } while (cursor !== undefined)
    return pages
  })

/** Checks that a filter finds exactly these, whatever the steps are. */
const finds = (storage: Seam, filter: DeliveryFilter, expected: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    for (const look of [3, 100]) {
      const pages = yield* walked(storage, filter, look)
      assert.deepStrictEqual(pages.flatMap(({ ids }) => ids), newest(expected), JSON.stringify({ look, ...filter }))
    }
    const listed = yield* storage.listDeliveries(filter, { cursor: undefined, limit: 100 })
    assert.deepStrictEqual(listed.map(({ id }) => id), newest(expected), JSON.stringify(filter))
  })

/** A world with two events, and a way to have deliveries of messages. */
const made = Effect.gen(function*() {
  const world = yield* make
  const { append, deliveries, eventId, own, route, storage } = world
  const otherEventId = `${eventId}-b`
  const owners = {
    [eventId]: (yield* own()).owner,
    [otherEventId]: (yield* own({ eventId: otherEventId })).owner
  }
  return {
    ...world,
    otherEventId,
    subscribed: (tenantId = world.tenantId) =>
      Effect.tap(world.subscription({ tenantId }), (subscription) => storage.createSubscription(subscription)),
    /** New messages of an event, each delivered to each of these subscriptions. */
    delivered: Effect.fnUntraced(function*(
      count: number,
      to: ReadonlyArray<{ readonly id: Id.SubscriptionId }>,
      of: {
        readonly eventId?: string
        readonly tenantId?: string
        readonly expiresAtMs?: number
        readonly claimed?: boolean
      } = {}
    ) {
      const names = { eventId: of.eventId ?? eventId, tenantId: of.tenantId ?? world.tenantId }
      const owner = owners[names.eventId] ?? assert.fail("an owner was made")
      const messages = yield* append(count, names)
      const all = yield* Effect.forEach(to, ({ id }) => deliveries(messages, id, of.claimed ?? false))
      const { expiresAtMs } = of
      const made = all.flat()
      yield* route(owner, messages, made, expiresAtMs === undefined ? {} : { expiresAtMs })
      return { owner, messages, made, ids: made.map(({ id }) => id) }
    })
  }
})

const idsOf = (made: ReadonlyArray<NewDelivery>, isMeant: (one: NewDelivery) => boolean) =>
  made.filter(isMeant).map(({ id }) => id)

/** @category constants @since 0.1.0 */
export const walking: Cases = {
  "what deleted subscriptions leave is found as cancelled, by any further filter, before housekeeping has ended it":
    Effect
      .gen(function*() {
        const { delivered, otherEventId, storage, subscribed, tenantId } = yield* made
        const [gone, alsoGone, stays] = [yield* subscribed(), yield* subscribed(), yield* subscribed()]
        const first = yield* delivered(5, [gone, alsoGone, stays])
        const second = yield* delivered(2, [gone, stays], { eventId: otherEventId })
        for (const { id } of [gone, alsoGone]) yield* storage.deleteSubscription(id)
        const all = [...first.made, ...second.made].filter(({ subscriptionId }) => subscriptionId !== stays.id)
        const [message] = first.messages
        if (!message) return yield* Effect.die("messages were made")
        const cases: ReadonlyArray<readonly [DeliveryFilter, ReadonlyArray<string>]> = [
          [{}, idsOf(all, () => true)],
          [{ eventId: otherEventId }, idsOf(second.made, ({ subscriptionId }) => subscriptionId === gone.id)],
          [{ messageId: message.id }, idsOf(all, ({ messageId }) => messageId === message.id)],
          [{ subscriptionId: alsoGone.id }, idsOf(all, ({ subscriptionId }) => subscriptionId === alsoGone.id)],
          [
            { subscriptionId: gone.id, eventId: otherEventId },
            idsOf(second.made, ({ subscriptionId }) => subscriptionId === gone.id)
          ],
          [{ subscriptionIds: [gone.id, alsoGone.id, stays.id] }, idsOf(all, () => true)],
          [{ subscriptionId: stays.id }, []],
          [{ fromMs: Id.timeOf(second.ids[0] ?? "") + 3_600_000 }, []],
          [{ toMs: Id.timeOf(first.ids[0] ?? "") - 1 }, []]
        ]
        for (const [filter, expected] of cases) {
          for (const kind of [{ status: "cancelled" }, { reason: "deleted" }] as const) {
            yield* finds(storage, { tenantId, ...kind, ...filter }, expected)
          }
          if (filter.subscriptionId !== undefined || filter.messageId !== undefined) {
            yield* finds(storage, { status: "cancelled", ...filter }, expected)
          }
          yield* finds(storage, { tenantId, status: "failed", ...filter }, [])
        }
      }),
  "what a deleted work queue leaves of a tenant is found as cancelled before housekeeping has ended it": Effect.gen(
    function*() {
      const { delivered, storage, subscribed, tenantId } = yield* made
      const queue = yield* subscribed(allTenants)
      const { ids } = yield* delivered(4, [queue])
      yield* delivered(9, [queue], { tenantId: `${tenantId}x` })
      yield* storage.deleteSubscription(queue.id)
      yield* finds(storage, { tenantId, status: "cancelled" }, ids)
      yield* finds(storage, { tenantId, reason: "deleted", subscriptionId: queue.id }, ids)
    }
  ),
  "what has expired is found as failed, by any further filter, before housekeeping has ended it": Effect.gen(
    function*() {
      const { backend, delivered, otherEventId, storage, subscribed, tenantId } = yield* made
      const [one, other] = [yield* subscribed(), yield* subscribed()]
      const expiresAtMs = (yield* storage.now) + 20
      // What expires first was not made first.
      const first = yield* delivered(6, [one, other], { expiresAtMs })
      const second = yield* delivered(3, [one], { eventId: otherEventId, expiresAtMs: expiresAtMs - 10 })
      const later = yield* delivered(3, [one, other])
      yield* delivered(3, [one, other], { tenantId: `${tenantId}x`, expiresAtMs: expiresAtMs - 15 })
      yield* backend.advance(60)
      const all = [...first.made, ...second.made]
      const [message] = first.messages
      if (!message) return yield* Effect.die("messages were made")
      const cases: ReadonlyArray<readonly [DeliveryFilter, ReadonlyArray<string>]> = [
        [{}, idsOf(all, () => true)],
        [{ eventId: otherEventId }, second.ids],
        [{ messageId: message.id }, idsOf(all, ({ messageId }) => messageId === message.id)],
        [{ subscriptionId: other.id }, idsOf(all, ({ subscriptionId }) => subscriptionId === other.id)],
        [{ subscriptionIds: [one.id, other.id] }, idsOf(all, () => true)],
        [{ toMs: Id.timeOf(first.ids[0] ?? "") - 1 }, []]
      ]
      for (const [filter, expected] of cases) {
        for (const kind of [{ status: "failed" }, { reason: "expired" }] as const) {
          yield* finds(storage, { tenantId, ...kind, ...filter }, expected)
        }
        yield* finds(storage, { tenantId, status: "cancelled", ...filter }, [])
      }
      // What was deleted is told as cancelled, and ends so, whether or not it has expired too.
      yield* storage.deleteSubscription(other.id)
      yield* storage.expire(1000).pipe(Effect.repeat({ while: (more) => more }))
      const isOthers = ({ subscriptionId }: { readonly subscriptionId: string }) => subscriptionId === other.id
      yield* finds(storage, { tenantId, status: "cancelled" }, idsOf([...all, ...later.made], isOthers))
      yield* finds(storage, { tenantId, status: "failed" }, idsOf(all, (made) => !isOthers(made)))
    }
  ),
  "what a tenant is told, page by page and count by count, is the same whatever others have": Effect.gen(function*() {
    const { delivered, eventId, record, storage, subscribed, tenantId } = yield* made
    const others = `${tenantId}x`
    const [own, queue, theirs] = [yield* subscribed(), yield* subscribed(allTenants), yield* subscribed(others)]
    const more = yield* Effect.replicateEffect(subscribed(others), 3)
    /** Some that have ended in each way, some that are tried again and some that wait. */
    const fill = Effect.fnUntraced(function*(count: number, to: ReadonlyArray<typeof own>, tenantId: string) {
      const { ids, messages, owner } = yield* delivered(count, [...to, queue], { tenantId, claimed: true })
      const ends = [success, failure, retryAt((yield* storage.now) + 3_600_000)]
      for (const [n, id] of ids.entries()) {
        const end = ends[n % 4]
        if (end) yield* record(owner, id, end)
        else yield* storage.release(owner, [id])
      }
      yield* delivered(1, to, { tenantId, expiresAtMs: (yield* storage.now) - 1 })
      return { ids, messages }
    })
    const mine = yield* fill(9, [own], tenantId)
    const replayId = yield* Id.replayId(yield* storage.now)
    const seen = Effect.fnUntraced(function*(messageId: Id.MessageId) {
      const filters: ReadonlyArray<DeliveryFilter> = [
        {},
        { subscriptionId: theirs.id },
        { subscriptionId: queue.id },
        { subscriptionIds: [own.id, theirs.id] },
        { subscriptionIds: [own.id, queue.id] },
        { messageId },
        { eventId }
      ]
      const pages: Array<unknown> = []
      for (const filter of filters) {
        for (const kind of [{}, ...statuses.map((status) => ({ status })), { reason: "expired" } as const]) {
          pages.push(yield* walked(storage, { tenantId, ...kind, ...filter }, 3))
        }
      }
      const counts: Array<unknown> = []
      for (const filter of [{ subscriptionId: theirs.id }, { subscriptionId: queue.id }, { eventId }, {}]) {
        const { unfinished } = yield* storage.count({ tenantId, ...filter }, {
          fromMs: 0,
          fine: false,
          top: 10,
          counted: 12
        })
        counts.push(unfinished)
        for (const status of ["failed", "success"] as const) {
          counts.push(yield* storage.countReplay({ tenantId, filter: { status, ...filter } }, 10))
        }
      }
      return { pages, counts }
    })
    const before = yield* seen(yield* Id.messageId(yield* storage.now))
    const foreign = yield* fill(12, [theirs, ...more], others)
    yield* delivered(20, [theirs, queue], { tenantId: others })
    assert.deepStrictEqual(yield* seen(foreign.messages[0]?.id ?? assert.fail("messages were made")), before)
    // Nor does where a replay has come to tell of others.
    const filter = { status: "success", subscriptionId: queue.id } as const
    yield* storage.createReplay({ id: replayId, tenantId, filter, freshWebhookId: false }, 10)
    const portion = { rows: 100, look: 1000, waiting: 1000, intervalMs: 0 }
    yield* storage.replaySome(portion).pipe(
      Effect.repeat({ until: (found) => found._tag === "Portion" && found.replayId === replayId && found.isCompleted })
    )
    const { reachedMs, replayed } = yield* Effect.flatMap(storage.getReplay(replayId), Effect.fromOption)
    assert.isAbove(replayed, 0)
    assert.include(mine.ids.map(Id.timeOf), reachedMs)
  })
}

const statuses = ["pending", "retrying", "success", "failed", "cancelled"] as const
