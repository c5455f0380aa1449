/**
 * Claiming: deliveries that wait in the database come into memory as their lanes have room, in one fenced statement for all
 * groups of the runner. After an answer was lost, the claims that memory does not know are taken up again.
 */
import { Effect } from "effect"
import * as Circuit from "../Circuit.ts"
import type { DeliveryId } from "../Id.ts"
import { letGo } from "../LetGo.ts"
import * as Monotonic from "../Monotonic.ts"
import { type Claimed, type Claims, type Health, type LaneRoom, Storage } from "../Storage.ts"
import * as Lane from "./Lane.ts"
import * as Shares from "./Shares.ts"
import * as State from "./State.ts"
import type { Subscribed } from "./Subscribed.ts"

/** Makes the effects of one claim (how long until the next, in milliseconds) and of taking up lost claims. */
export const make = Effect.fnUntraced(function*(
  state: State.State,
  subscribed: Subscribed,
  giveBack: (ready: Lane.Ready) => void
) {
  const storage = yield* Storage
  const { limits } = state

  const isSuspect = (claim: Claimed) => claim.claims > limits.suspectClaims

  /** Takes claims in for the groups whose epochs they were made under: those may have been given up meanwhile. */
  const take = Effect.fnUntraced(function*(claimed: ReadonlyArray<Claimed>, groups: ReadonlyArray<State.Group>) {
    if (claimed.length === 0) return
    const byName = new Map(groups.map((group) => [group.workerGroup, group]))
    const loaded = yield* letGo(storage.load(claimed))
    const messages = new Map(loaded.messages.map((message) => [message.id, message]))
    const attempts = Map.groupBy(loaded.attempts, (entry) => entry.deliveryId)
    for (const claim of claimed) {
      const group = byName.get(claim.workerGroup)
      const message = messages.get(claim.messageId)
      if (!group || !message) continue
      const ready = new Lane.Ready(group, claim, message, {
        history: (attempts.get(claim.deliveryId) ?? []).map((entry) => entry.attempt)
          .filter((attempt) => attempt.number > claim.retryBase),
        suspect: isSuspect(claim),
        express: undefined
      })
      if (!State.admit(state, ready)) giveBack(ready)
    }
  })

  /** Takes in as much as there is room for, one suspect among it, and gives the rest back. */
  const takeSome = Effect.fnUntraced(function*(claimed: ReadonlyArray<Claimed>, groups: ReadonlyArray<State.Group>) {
    let bytes = limits.windowBytes - state.windowBytes
    let count = State.free(state)
    let suspects = 1 - state.suspects
    const fits = claimed.map((claim) =>
      count-- > 0 && (bytes -= claim.size) >= 0 && (!isSuspect(claim) || suspects-- > 0)
    )
    yield* take(claimed.filter((_, i) => fits[i]), groups)
    for (const group of groups) {
      const surplus = claimed.filter((claim, i) => !fits[i] && claim.workerGroup === group.workerGroup)
      if (surplus.length > 0) yield* storage.release(group.owner, surplus.map((claim) => claim.deliveryId))
      for (const { subscriptionId } of surplus) State.backlog(state, group, subscriptionId, 0)
    }
  })

  /** What of the window is left to each tenant, while others wait as well. */
  const shares = (now: number) => {
    const held = new Map<string, number>()
    const wanted = new Map<string, number>()
    for (const lane of state.lanes.values()) {
      const tenant = subscribed.tenantOf(lane.subscriptionId)
      const isWaiting = Lane.isBehind(lane, now)
      held.set(tenant, (held.get(tenant) ?? 0) + lane.held)
      wanted.set(tenant, (wanted.get(tenant) ?? 0) + (isWaiting ? limits.laneWindow : lane.held))
    }
    const limitOf = Shares.divide(limits.window, wanted)
    return {
      take: (lane: Lane.Lane, most: number): number => {
        const tenant = subscribed.tenantOf(lane.subscriptionId)
        const before = held.get(tenant) ?? 0
        // Some room is kept for a tenant that has nothing yet.
        const own = Math.min(limitOf(tenant), Math.ceil(limits.window * limits.tenantShare))
        const free = Math.max(0, Math.min(most, own - before))
        held.set(tenant, before + free)
        return free
      }
    }
  }

  const lanes = (
    now: number,
    monotonic: number
  ): {
    readonly limit: number
    readonly lanes: ReadonlyArray<LaneRoom>
    /** A lane was left out because its tenant has its share. */
    readonly isShort: boolean
  } => {
    const found: Array<{ readonly lane: Lane.Lane; readonly group: State.Group; readonly room: number }> = []
    const limit = state.windowBytes >= limits.windowBytes
      ? 0
      : Math.max(0, Math.min(limits.claimDeliveries, State.free(state)))
    let slowRoom = State.slowRoom(state, monotonic)
    for (
      const lane of Shares.inTurn(state.lanes.values(), ({ subscriptionId }) => subscribed.tenantOf(subscriptionId))
    ) {
      if (found.length >= Math.min(limits.claimLanes, limit)) break
      if (lane.backlog.size === 0) continue
      const subscription = subscribed.get(lane.subscriptionId)
      // Whether it is enabled is the statement's to say: this copy may be behind.
      if (subscription && !subscribed.hasProvider(subscription)) continue
      const free = Lane.room(lane, { monotonicMs: monotonic, nowMs: now, slowRoom }, limits)
      for (const [group, dueAtMs] of lane.backlog) {
        if (free <= 0) break
        if (group.phase !== "open") {
          lane.backlog.delete(group)
          continue
        }
        const room = Math.floor(Math.min(free, Lane.ownRoom(lane, group, subscription, now, limits)))
        if (dueAtMs > now || room <= 0) continue
        found.push({ lane, group, room })
        if (Lane.isSlow(lane, monotonic, limits)) slowRoom -= room
        // The next group of this lane is asked when this one has answered.
        break
      }
    }
    // Not many more rows are locked than a claim can take; the next one follows at once. And a tenant's share is not used up by
    // a few of its lanes that could hold more than this claim gives them.
    const most = Math.ceil(2 * limit / Math.max(1, found.length))
    const share = shares(now)
    const asked: Array<LaneRoom> = []
    for (const { group, lane, room } of found) {
      const free = share.take(lane, Math.min(room, most))
      if (free <= 0) continue
      asked.push({ workerGroup: group.workerGroup, subscriptionId: lane.subscriptionId, free })
      // What is added from here on came after the statement's snapshot, and stays.
      lane.backlog.delete(group)
    }
    return { limit, isShort: asked.length < found.length, lanes: asked }
  }

  const claim = Effect.gen(function*() {
    if (subscribed.version() < 0) yield* subscribed.reload
    const now = yield* storage.now
    const { isShort, lanes: asked, limit } = lanes(now, yield* Monotonic.nowMs)
    if (asked.length > 0) {
      const names = new Set(asked.map((lane) => lane.workerGroup))
      const groups = State.open(state).filter((group) => names.has(group.workerGroup))
      const answer = yield* Effect.onError(
        storage.claim({
          owners: groups.map((group) => group.owner),
          lanes: asked,
          limit,
          bytes: limits.windowBytes - state.windowBytes,
          suspectClaims: limits.suspectClaims,
          suspectProviders: state.suspects === 0 ? subscribed.providers : []
        }),
        () =>
          Effect.sync(() => {
            state.answerLost = true
            settle(state, asked.map((lane) => ({ ...lane, dueAtMs: now })))
          })
      )
      settle(state, answer.next)
      yield* heed(asked, answer.health)
      // What is behind a backlog may have waited for its end.
      state.route.openUnsafe()
      yield* letGo(Effect.onError(take(answer.claimed, groups), () =>
        Effect.sync(() => {
          state.answerLost = true
        })))
    }
    const nowMs = yield* storage.now
    const waitMs = nextDue(state, subscribed, nowMs, yield* Monotonic.nowMs) - nowMs
    // Whose deliveries make room for another lane of their tenant, nobody tells.
    return isShort ? Math.max(waitMs, limits.shortPollMs) : waitMs
  })

  /** Takes over how the subscriptions fare that were asked for, unless a circuit has opened here meanwhile. */
  const heed = (asked: ReadonlyArray<LaneRoom>, health: ReadonlyArray<Health>) =>
    Effect.map(storage.now, (nowMs) => {
      const failing = new Map(health.map((one) => [one.subscriptionId, one]))
      for (const room of asked) {
        const lane = state.lanes.get(room.subscriptionId)
        if (!lane || Circuit.stateAt(lane.circuit, nowMs) === "open") continue
        const found = failing.get(room.subscriptionId)
        lane.circuit = circuitOf(found, lane.circuit)
        // What is due waits until the circuit lets it be tried.
        if (Circuit.stateAt(lane.circuit, nowMs) === "open") {
          settle(state, [{ ...room, dueAtMs: Lane.circuitNextMs(lane) }])
        }
      }
    })

  const takeUpLost = Effect.gen(function*() {
    if (!state.answerLost) return
    const groups = State.open(state)
    if (groups.length === 0) return
    const left = new Set<DeliveryId>()
    state.left = left
    state.answerLost = false
    const held = yield* storage.held(groups.map((group) => group.owner))
    const unknown = held.filter((claim) => !state.deliveries.has(claim.deliveryId) && !left.has(claim.deliveryId))
    yield* takeSome(unknown, groups)
  }).pipe(
    Effect.onError(() =>
      Effect.sync(() => {
        state.answerLost = true
      })
    ),
    Effect.ensuring(Effect.sync(() => {
      state.left = undefined
    }))
  )

  return { claim, takeUpLost }
})

// --- internal ---

const circuitOf = (found: Health | undefined, { sample }: Circuit.Circuit): Circuit.Circuit => {
  if (!found) return { ...Circuit.closed, sample }
  const { subscriptionId: _, ...circuit } = found
  return { ...circuit, sample }
}

/** Takes over what a claim says of the lanes' backlogs; those with more to claim go to the end, so that all take turns. */
const settle = (state: State.State, next: Claims["next"]): void => {
  for (const { dueAtMs, subscriptionId, workerGroup } of next) {
    const group = state.groups.get(workerGroup)
    if (group?.phase !== "open") continue
    State.moveLast(state, State.laneOf(state, subscriptionId))
    State.backlog(state, group, subscriptionId, dueAtMs)
  }
}

/** When the next claim can find something: lanes without room are asked again when a delivery leaves them. */
const nextDue = (state: State.State, subscribed: Subscribed, nowMs: number, monotonic: number): number => {
  let next = Number.POSITIVE_INFINITY
  if (state.deliveries.size >= state.limits.window || state.windowBytes >= state.limits.windowBytes) return next
  const slowRoom = State.slowRoom(state, monotonic)
  for (const lane of state.lanes.values()) {
    if (lane.backlog.size === 0) continue
    const subscription = subscribed.get(lane.subscriptionId)
    if (subscription && !subscribed.hasProvider(subscription)) continue
    // Where there is no room, one that leaves the lane makes it; an open circuit takes its time.
    const circuitMs = Lane.circuitNextMs(lane)
    const at = { monotonicMs: monotonic, nowMs: Math.max(nowMs, circuitMs), slowRoom }
    if (Lane.room(lane, at, state.limits) <= 0) continue
    for (const [group, dueAtMs] of lane.backlog) {
      const soonestMs = Math.max(circuitMs, Lane.rateNextMs(lane, group, subscription, nowMs, state.limits))
      if (Lane.ownRoom(lane, group, subscription, nowMs, state.limits) > 0 || soonestMs > nowMs) {
        next = Math.min(next, Math.max(dueAtMs, soonestMs))
      }
    }
  }
  return next
}
