/**
 * What the verbs of a sequence do to the two storages of a world.
 */
import { Effect, Option } from "effect"
import * as Id from "../Id.ts"
import { workerGroup } from "../Message.ts"
import type { Claimed, Completed, LaneRoom, NewDelivery, Outcome, Owner, Routing } from "../Storage.ts"
import type { Side } from "./StorageModelSide.ts"
import { Verb } from "./StorageModelVerbs.ts"
import { picked, sortBy, type World } from "./StorageModelWorld.ts"
import { failure, hourMs, outcome, retryAt, success } from "./StorageSuiteWorld.ts"

type Of<Tag extends Verb["_tag"]> = Extract<Verb, { readonly _tag: Tag }>

/**
 * Runs a sequence, verb by verb, where two groups are owned for the second time, one of them by a runner with a lease, and
 * two messages of each were routed to two subscriptions.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function*(world: World, sequence: ReadonlyArray<Verb>) {
  for (const group of [0, 1, 0, 1]) yield* takeOver(world, { group, runner: group })
  yield* renewLease(world, { runner: 0 })
  for (const enabled of [true, true]) yield* createSubscription(world, { enabled })
  for (const group of [0, 1]) yield* append(world, { group, count: 2, again: false })
  const routed = { former: false, fate: "routed", claimed: false, doubtful: false } as const
  yield* route(world, { stale: false, begun: false, messages: [0, 1, 2, 3].map((pick) => ({ pick, ...routed })) })
  for (const [i, verb] of sequence.entries()) {
    world.doing = `verb ${i + 1}, ${JSON.stringify(verb)}`
    yield* apply(world, verb)
    world.doing = `after ${world.doing}`
    yield* world.progress
  }
  world.doing = `after all ${sequence.length} verbs`
  yield* world.all
})

// --- internal ---

const suspectClaims = 2
const crashedClaims = 3

const apply = (world: World, verb: Verb): Effect.Effect<void> =>
  Verb.match(verb, {
    append: (verb) => append(world, verb),
    appendOnce: (verb) => appendOnce(world, verb),
    renewLease: (verb) => renewLease(world, verb),
    returnLease: ({ runner }) => world.both(({ storage }) => storage.returnLease(world.runner(runner))),
    takeOver: (verb) => takeOver(world, verb),
    giveBack: ({ former, group }) => world.both((side) => side.storage.giveBack([side.owner(group, former)])),
    recover: ({ former, group }) => world.both((side) => recover(side, [side.owner(group, former)])),
    crash: (verb) => crash(world, verb),
    due: (verb) => due(world, verb),
    unrouted: (verb) => unrouted(world, verb),
    route: (verb) => route(world, verb),
    complete: (verb) => complete(world, verb),
    claim: (verb) => claim(world, verb),
    held: () => world.both((side) => Effect.map(side.storage.held(world.owners(side)), sortBy("deliveryId"))),
    load: () => load(world),
    release: (verb) => release(world, verb),
    record: (verb) => record(world, verb),
    createSubscription: (verb) => createSubscription(world, verb),
    updateSubscription: (verb) => updateSubscription(world, verb),
    deleteSubscription: ({ pick }) =>
      each(world.subscriptions, pick, (id) => world.both(({ storage }) => storage.deleteSubscription(id))),
    subscriptions: () => subscriptions(world),
    getSubscription: ({ pick }) =>
      each(world.subscriptions, pick, (id) => world.both(({ storage }) => storage.getSubscription(id))),
    listSubscriptions: ({ after, enabled, limit }) =>
      world.both(({ storage }) =>
        storage.listSubscriptions(
          { tenantId: world.tenantId, ...(enabled === undefined ? {} : { enabled }) },
          page(world.subscriptions, after, limit)
        )
      ),
    getMessage: ({ pick }) =>
      each(world.messages, pick, ({ id }) => world.both(({ storage }) => storage.getMessage(id))),
    listMessages: ({ after, group, limit }) =>
      world.both(({ storage }) =>
        storage.listMessages(
          { tenantId: world.tenantId, ...(group === undefined ? {} : { eventId: world.eventId(group) }) },
          { ...page(world.messages.map(({ id }) => id), after, limit), bytes: 20 * limit }
        )
      ),
    retryMessage: ({ pick }) =>
      Effect.flatMap(
        pick === 7 ? Effect.succeed(world.messages) : world.aside,
        (messages) => each(messages, pick, ({ id }) => world.both(({ storage }) => storage.retryMessage(id)))
      ),
    getDelivery: ({ pick }) =>
      each(world.deliveries, pick, (id) => world.both(({ storage }) => storage.getDelivery(id))),
    listDeliveries: (verb) => listDeliveries(world, verb),
    retryDelivery: ({ pick }) =>
      Effect.flatMap(
        pick === 7 ? Effect.succeed(world.deliveries) : world.failed,
        (ids) => each(ids, pick, (id) => world.both(({ storage }) => storage.retryDelivery(id)))
      ),
    replay: (verb) => replay(world, verb)
  })

const each = <A>(items: ReadonlyArray<A>, pick: number, use: (item: A) => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.forEach(picked(items, pick), use, { discard: true })

const page = (ids: ReadonlyArray<string>, after: number | undefined, limit: number) => ({
  cursor: after === undefined ? undefined : picked(ids, after)[0],
  limit
})

// -- emitting

const append = Effect.fnUntraced(function*(world: World, { again, count, group }: Omit<Of<"append">, "_tag">) {
  const fresh = yield* Effect.forEach(Array.from({ length: count }), () => world.message(group))
  const stored = again ? picked(world.messages, count) : []
  yield* world.both(({ storage }) => storage.append([...fresh, ...stored]))
  if (stored.length === 0) world.messages.push(...fresh)
})

const appendOnce = Effect.fnUntraced(function*(world: World, { content, group, key, ttl }: Of<"appendOnce">) {
  const message = yield* world.message(group)
  const options = { key: `k${key}`, contentHash: `h${content}`, ttlMs: ttl === "short" ? 0 : hourMs }
  yield* world.both(({ storage }) => storage.appendOnce(message, options))
  if (Option.isSome(yield* Effect.orDie(world.reference.storage.getMessage(message.id)))) world.messages.push(message)
})

// -- ownership

const renewLease = (world: World, { runner }: Omit<Of<"renewLease">, "_tag">) =>
  world.both(({ storage }) =>
    Effect.map(storage.renewLease(world.runner(runner), 10 * hourMs), ({ owners }) => sortBy("workerGroup")(owners))
  )

const takeOver = (world: World, { group, runner }: Omit<Of<"takeOver">, "_tag">) =>
  world.both((side) =>
    // Up to which number messages are doubtful, is a matter of all that was ever stored.
    Effect.map(
      side.storage.takeOver(world.runner(runner), world.group(group), 2000),
      ({ claimableAtMs, owner }) => {
        side.owners[group]?.push(owner)
        return { claimableAtMs, owner }
      }
    )
  )

/** For how long it has to wait, the storages' clocks say. */
const recover = (side: Side, owners: ReadonlyArray<Owner>) =>
  Effect.map(side.storage.recover(owners, crashedClaims), (waitMs) => waitMs > 0)

const crash = Effect.fnUntraced(function*(world: World, { group, runner, times }: Of<"crash">) {
  for (let n = 0; n < times; n++) {
    for (const other of [0, 1]) yield* world.both(({ storage }) => storage.returnLease(world.runner(other)))
    yield* takeOver(world, { group, runner })
    yield* world.both((side) => recover(side, [side.owner(group)]))
    yield* claim(world, { former: false, lane: "all", pick: 0, group, free: 8, limit: 0, suspect: true })
  }
})

const due = (world: World, { ahead }: Of<"due">) => {
  const names = [0, 1].map((n) => world.group(n).workerGroup)
  return world.both(({ storage }) =>
    Effect.map(
      ahead === "now"
        ? storage.due({ aheadMs: 0, workerGroups: names })
        : storage.due({ aheadMs: 24 * 60 * hourMs }),
      (found) =>
        sortBy("workerGroup")(found.filter(({ workerGroup }) => names.includes(workerGroup)))
          .map((one) => ({ ...one, lanes: sortBy("subscriptionId")(one.lanes) }))
    )
  )
}

// -- routing

const unrouted = (world: World, { bytes, except, former, messages }: Omit<Of<"unrouted">, "_tag">) =>
  world.both((side) =>
    Effect.gen(function*() {
      const { messages: all } = yield* side.storage.unrouted(world.owners(side), { messages: 100, bytes: 1e6 })
      const found = yield* side.storage.unrouted(world.owners(side, former), {
        messages,
        bytes,
        except: all.slice(0, except).map(({ seq }) => seq)
      })
      return [found.messages, [...found.listened].sort()]
    })
  )

const complete = Effect.fnUntraced(function*(world: World, { messages }: Omit<Of<"complete">, "_tag">) {
  const waiting = yield* world.waiting
  const given = new Map(
    messages.flatMap((one) =>
      picked(one.pick === 7 ? world.messages : waiting, one.pick).map(({ eventId, id }) => [id, { ...one, eventId }])
    )
  )
  const { items } = yield* Effect.orDie(world.reference.storage.subscriptions)
  const ids = new Map<string, Id.DeliveryId>()
  for (const id of given.keys()) for (const one of items) ids.set(`${id} ${one.id}`, yield* world.deliveryId)
  const completed = (side: Side, version: number) =>
    [...given].map(([messageId, { eventId, former, transformed }]): Completed => {
      const owner = side.owner(world.groupOf(workerGroup(eventId)), former)
      return {
        owner,
        messageId,
        version,
        filtered: 1,
        transformedJson: transformed ? "{\"transformed\":true}" : undefined,
        deliveries: items.flatMap(({ id: subscriptionId }) => {
          const id = ids.get(`${messageId} ${subscriptionId}`)
          if (id === undefined) return []
          const { attempt } = outcome(owner, id, success)
          return [{ id, subscriptionId, attempt, externalId: "x" }]
        })
      }
    })
  yield* world.both((side) =>
    Effect.gen(function*() {
      const { version } = yield* side.storage.subscriptions
      return [...yield* side.storage.complete(completed(side, version))].sort()
    })
  )
  for (const id of ids.values()) {
    if (Option.isSome(yield* Effect.orDie(world.reference.storage.getDelivery(id)))) world.deliveries.push(id)
  }
})

const route = Effect.fnUntraced(function*(world: World, { begun, messages, stale }: Omit<Of<"route">, "_tag">) {
  const waiting = yield* world.waiting
  const given = new Map(
    messages.flatMap((one) =>
      picked(one.pick === 7 ? world.messages : waiting, one.pick).map(({ eventId, id }) => [id, { ...one, eventId }])
    )
  )
  const subscriptions = yield* Effect.orDie(world.reference.storage.subscriptions)
  const deliveries: Array<NewDelivery> = []
  for (const [messageId, { claimed }] of given) {
    for (const { id: subscriptionId } of subscriptions.items) {
      deliveries.push({ id: yield* world.deliveryId, messageId, subscriptionId, claimed })
    }
  }
  const routing = (side: Side, version: number): Routing => ({
    version: stale ? version - 1 : version,
    messages: [...given].map(([messageId, { doubtful, eventId, fate, former }]) => ({
      owner: side.owner(world.groupOf(workerGroup(eventId)), former),
      messageId,
      seq: 1,
      matched: subscriptions.items.length,
      filtered: 0,
      transformedJson: fate === "transformed" ? "{\"transformed\":true}" : undefined,
      error: fate === "set aside" ? "thrown" : undefined,
      isDoubtful: doubtful
    })),
    deliveries,
    isBegun: begun
  })
  yield* world.both((side) =>
    Effect.gen(function*() {
      const { version } = yield* side.storage.subscriptions
      const answer = yield* side.storage.route(routing(side, version))
      return answer._tag !== "Routed" ? answer : [...answer.messageIds].sort()
    })
  )
  for (const { id } of deliveries) {
    if (Option.isSome(yield* Effect.orDie(world.reference.storage.getDelivery(id)))) world.deliveries.push(id)
  }
})

// -- claiming

const claim = Effect.fnUntraced(function*(world: World, verb: Omit<Of<"claim">, "_tag">) {
  const { former, free, group, lane, limit, pick, suspect } = verb
  const room = (n: number) => (subscriptionId: Id.SubscriptionId): LaneRoom => ({
    workerGroup: world.group(n).workerGroup,
    subscriptionId,
    free
  })
  const lanes = lane === "one"
    ? picked(world.subscriptions, pick).map(room(group))
    : [0, 1].flatMap((n) => world.subscriptions.map(room(n)))
  const suspects = new Map<Side, Claimed | undefined>()
  yield* world.both((side) =>
    Effect.map(
      side.storage.claim({
        owners: world.owners(side, former),
        lanes,
        // Which of several lanes get what a limit leaves is the storage's to say.
        limit: lane === "one" ? limit : 1000,
        bytes: lane === "one" ? 20 * limit : 1e9,
        suspectClaims,
        suspectProviders: suspect ? ["suite.provider"] : []
      }),
      ({ claimed, next }) => {
        const [found, ...more] = claimed.filter((one) => one.claims > suspectClaims)
        suspects.set(side, found)
        return {
          claimed: sortBy("deliveryId")(claimed.filter((one) => one !== found)),
          suspects: found ? 1 + more.length : 0,
          next: sortBy("workerGroup", "subscriptionId")(next)
        }
      }
    )
  )
  // So is which suspect: another one is given back, as if it had not been claimed.
  if (new Set([...suspects.values()].map((found) => found?.deliveryId)).size === 1) return
  yield* world.both((side) => {
    const found = suspects.get(side)
    return found
      ? side.storage.release(side.owner(world.groupOf(found.workerGroup)), [found.deliveryId])
      : Effect.void
  })
})

const load = Effect.fnUntraced(function*(world: World) {
  const held = yield* world.held
  yield* world.both(({ storage }) =>
    Effect.map(storage.load(held), ({ attempts, messages }) => ({
      messages: sortBy("id")(messages),
      attempts: sortBy("deliveryId")(attempts)
    }))
  )
})

const release = Effect.fnUntraced(function*(world: World, { former, group, picks }: Of<"release">) {
  const [held, unfinished] = [yield* world.held, yield* world.unfinished]
  const ids = picks.flatMap((pick) => picked(pick > 4 ? unfinished : held, pick).map(({ deliveryId }) => deliveryId))
  yield* world.both((side) => side.storage.release(side.owner(group, former), ids))
})

// -- recording

const transitionOf = (world: World, name: Of<"record">["outcomes"][number]["transition"]) =>
  name === "success"
    ? { ...success, externalId: "X-1" }
    : name === "failed"
    ? failure
    : retryAt(world.due(name === "again" ? "past" : "to come"))

const record = Effect.fnUntraced(function*(world: World, { outcomes }: Of<"record">) {
  const [held, unfinished] = [yield* world.held, yield* world.unfinished]
  const given: Array<(side: Side) => Outcome> = []
  for (const { former, pick, repeated, transition } of outcomes) {
    for (const { attemptCount, deliveryId, workerGroup } of picked(pick === 7 ? unfinished : held, pick)) {
      const group = world.groupOf(workerGroup)
      const made = transitionOf(world, transition)
      const startedAtMs = world.due("past")
      const number = Math.max(0, repeated ? attemptCount - 1 : attemptCount)
      given.push((side) =>
        outcome(side.owner(group, former), deliveryId, made, { attemptCount: number, attempt: { startedAtMs } })
      )
    }
  }
  yield* world.both((side) => Effect.map(side.storage.record(given.map((of) => of(side))), (ids) => [...ids].sort()))
})

// -- administration

const createSubscription = Effect.fnUntraced(function*(
  world: World,
  { enabled }: Omit<Of<"createSubscription">, "_tag">
) {
  const subscription = yield* world.subscription(enabled)
  yield* world.both(({ storage }) => Effect.map(storage.createSubscription(subscription), (version) => ({ version })))
  world.subscriptions.push(subscription.id)
})

const updateSubscription = (world: World, { change, pick }: Of<"updateSubscription">) =>
  each(
    world.subscriptions,
    pick,
    (id) =>
      world.both(({ storage }) =>
        storage.updateSubscription(id, (current) =>
          change === "nothing"
            ? current
            : change === "rename"
            ? { ...current, name: `${current.name}b`, retry: { type: "delays", delaysMs: [1] }, config: { b: ["x"] } }
            : { ...current, enabled: change === "enable", disabledReason: change === "enable" ? undefined : "gone" })
      )
  )

const subscriptions = (world: World) =>
  world.both(({ storage }) =>
    Effect.map(storage.subscriptions, ({ items, version }) => ({
      version,
      items: sortBy("id")(items.filter((item) => item.tenantId === world.tenantId))
    }))
  )

const replay = Effect.fnUntraced(function*(world: World, { by, fresh, pick, status }: Of<"replay">) {
  const [message] = picked(world.messages, pick)
  const [subscriptionId] = picked(world.subscriptions, pick)
  const [deliveryId] = picked(world.deliveries, pick)
  const chosen = by === "subscription"
    ? subscriptionId && { subscriptionId }
    : by === "event"
    ? message && { eventId: message.eventId }
    : by === "message"
    ? message && { messageId: message.id }
    : deliveryId && { fromMs: Id.timeOf(deliveryId) }
  if (chosen === undefined) return
  const { tenantId } = world
  const filter = { ...chosen, status }
  const id = yield* Id.replayId(yield* Effect.orDie(world.reference.storage.now))
  yield* world.both(({ storage }) => storage.countReplay({ tenantId, filter }, 1000))
  yield* world.both(({ storage }) =>
    Effect.gen(function*() {
      yield* storage.createReplay({ id, tenantId, filter, freshWebhookId: fresh }, 1000)
      const found = yield* storage.replaySome({ rows: 1000, look: 1000, waiting: 1e6, intervalMs: 0 })
      return found._tag === "Portion" ? { ...found, workerGroups: [...found.workerGroups].sort() } : found
    })
  )
})

// -- reading

const listDeliveries = (world: World, { after, by, limit, pick, reason, status }: Of<"listDeliveries">) => {
  const [message] = picked(world.messages, pick)
  const [subscriptionId] = picked(world.subscriptions, pick)
  const [deliveryId] = picked(world.deliveries, pick)
  const filter = by === "status"
    ? { status }
    : by === "reason"
    ? { reason }
    : by === "subscription" && subscriptionId
    ? { subscriptionId }
    : by === "event" && message
    ? { eventId: message.eventId }
    : by === "message" && message
    ? { messageId: message.id }
    : by === "time" && deliveryId
    ? pick % 2 === 0 ? { fromMs: Id.timeOf(deliveryId) } : { toMs: Id.timeOf(deliveryId) }
    : {}
  return world.both(({ storage }) =>
    storage.listDeliveries({ tenantId: world.tenantId, ...filter }, page(world.deliveries, after, limit))
  )
}
