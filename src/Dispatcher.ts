/**
 * The engine of a runner: it owns worker groups, routes their messages, attempts their deliveries and records the outcomes.
 * It knows neither SQL nor the cluster: `Cluster.ts` says which groups to attach, `Storage` keeps the truth.
 */
import { Context, DateTime, Effect, FiberMap, Latch, Layer, Metric, Schedule, type Scope, Semaphore } from "effect"
import type { Bindings } from "./Bindings.ts"
import * as Circuit from "./Circuit.ts"
import * as Core from "./Core.ts"
import type * as Attempting from "./dispatcher/Attempting.ts"
import * as Claimer from "./dispatcher/Claimer.ts"
import * as Express from "./dispatcher/Express.ts"
import * as Gathering from "./dispatcher/Gathering.ts"
import * as Gauges from "./dispatcher/Gauges.ts"
import * as HandedOver from "./dispatcher/HandedOver.ts"
import type * as Lane from "./dispatcher/Lane.ts"
import * as Measured from "./dispatcher/Measured.ts"
import { patient } from "./dispatcher/Patience.ts"
import * as Recorder from "./dispatcher/Recorder.ts"
import * as Router from "./dispatcher/Router.ts"
import * as Sender from "./dispatcher/Sender.ts"
import * as State from "./dispatcher/State.ts"
import * as Subscribed from "./dispatcher/Subscribed.ts"
import type { Committed } from "./Dispatchers.ts"
import * as Id from "./Id.ts"
import type { RunnerId, SubscriptionId } from "./Id.ts"
import type { Live } from "./Live.ts"
import { baseGroup, workerGroup } from "./Message.ts"
import * as Metrics from "./Metrics.ts"
import * as Monotonic from "./Monotonic.ts"
import { Registry } from "./Registry.ts"
import { type Due, type Owner, Storage } from "./Storage.ts"
import { StorageUnavailable } from "./StorageError.ts"
import { ofGroup, withEnabled } from "./Subscription.ts"

/**
 * The engine.
 *
 * @category services
 * @since 0.1.0
 */
export class Dispatcher extends Context.Service<Dispatcher, {
  readonly runnerId: RunnerId
  /**
   * Owns a worker group while the scope is open. When it closes, attempts in flight get `drainTimeoutMs`, what was not begun
   * is given back, and so is the ownership.
   */
  readonly attach: (workerGroup: string) => Effect.Effect<void, StorageUnavailable, Scope.Scope>
  /** Says that an attached group may have work, and what it need not read; false where the group is not attached (any more). */
  readonly poke: (workerGroup: string, committed?: Committed) => boolean
  /** Whether the group is attached and may begin attempts. */
  readonly isOpen: (workerGroup: string) => boolean
  /** Waits for deliveries routed here to groups that are not attached, and tells which. */
  readonly stirred: Effect.Effect<ReadonlyArray<string>>
  /** Whether the group is attached. */
  readonly holds: (workerGroup: string) => boolean
  /** Whether this runner holds an epoch of a group. */
  readonly owns: (owner: Owner) => boolean
  /** Takes in what the sweep found for attached groups. */
  readonly due: (found: ReadonlyArray<Due>) => void
  /** The attached groups that hold deliveries or had something to do lately. */
  readonly active: Effect.Effect<ReadonlyArray<string>>
  /** Begins no attempt any more that was claimed under a version of the subscription older than `version`. */
  readonly drop: (id: SubscriptionId, version: number) => Effect.Effect<void>
  /** Whether this runner's lease is in force: the database answers. */
  readonly leased: Effect.Effect<boolean>
}>()("hookline/Dispatcher") {}

const make = Effect.gen(function*() {
  const storage = yield* Storage
  const registry = yield* Registry
  const state = yield* State.make
  const { limits } = state
  const subscribed = yield* Subscribed.make
  const runnerId = yield* Id.runnerId
  const hooks = new Set((yield* registry.hooks).map((hook) => workerGroup(hook.eventId)))
  const released: Array<Lane.Ready> = []

  const drop = (id: SubscriptionId, version: number) =>
    Effect.sync(() => {
      const lane = State.laneOf(state, id)
      lane.minVersion = Math.max(lane.minVersion, version)
      // Its endpoint may be another; where it is not, the next claim tells.
      lane.circuit = Circuit.closed
      for (const ready of lane.waiting.splice(0)) giveBack(ready)
      state.send.openUnsafe()
    })

  const dropAndReload = (id: SubscriptionId, version: number) =>
    Effect.andThen(
      drop(id, version),
      Effect.ignore(Effect.andThen(
        subscribed.reload,
        // The copy knows of this change now; a later one may be on its way.
        Effect.sync(() => {
          const lane = State.laneOf(state, id)
          if (lane.minVersion <= version) lane.minVersion = 0
          if (!subscribed.get(id)) lane.timedOut = false
          State.forget(state, lane)
        })
      ))
    )

  const giveBack = (ready: Lane.Ready) => {
    const { express } = ready
    if (express?.held) return Express.giveBack(state, express, express.held, ready)
    released.push(ready)
    state.release.openUnsafe()
  }

  const disable = Effect.fnUntraced(
    function*({ outcome, ready, subscription }: Attempting.Finished, reason: "gone" | "failing") {
      const { id, name, providerId, tenantId } = subscription
      const now = yield* storage.now
      const { lastError } = outcome.transition
      const message = Core.isOwn(ready.message.eventId) ? undefined : yield* Core.message(Core.SubscriptionDisabled, {
        subscriptionId: id,
        name,
        providerId,
        reason,
        ...(lastError === undefined ? {} : { lastError })
      }, { nowMs: now, tenantId })
      const updated = yield* patient(
        `Disabling ${id}, which is ${reason},`,
        storage.updateSubscription(
          id,
          (current) =>
            current.version === ready.claimed.subscriptionVersion ? withEnabled(current, false, now, reason) : current,
          message
        )
      )
      if (message) State.told(state, message)
      if (updated._tag === "Some") {
        if (!updated.value.enabled) yield* Effect.logWarning(`A subscription is disabled: its endpoint is ${reason}`)
        yield* dropAndReload(id, updated.value.version)
      }
    }
  )

  const warn = Effect.fnUntraced(function*({ outcome, subscription }: Attempting.Finished, sinceMs: number) {
    const { id, name, providerId, tenantId } = subscription
    const { lastError } = outcome.transition
    const message = yield* Core.message(Core.SubscriptionFailing, {
      subscriptionId: id,
      name,
      providerId,
      failingSince: DateTime.makeUnsafe(sinceMs),
      disabledAt: DateTime.makeUnsafe(sinceMs + limits.failingDisableMs),
      ...(lastError === undefined ? {} : { lastError })
    }, { nowMs: yield* storage.now, tenantId })
    if (yield* patient(`Warning of ${id}`, storage.warn(id, message))) State.told(state, message)
    const lane = State.laneOf(state, id)
    lane.circuit = { ...lane.circuit, warned: true }
    State.forget(state, lane)
  })

  const acting: FiberMap.FiberMap<string> = yield* FiberMap.make<string>()
  /** Apart from the recorder, which others wait for; one of each kind at a time for a subscription. */
  const act = Effect.fnUntraced(function*(finished: Attempting.Finished) {
    const { disable: reason, subscription: { id }, warnOfMs } = finished
    const once = { onlyIfMissing: true }
    const { deliveryId, messageId } = finished.ready.claimed
    const about = Effect.annotateLogs({ messageId, deliveryId, subscriptionId: id })
    if (warnOfMs !== undefined) yield* FiberMap.run(acting, `warn ${id}`, about(warn(finished, warnOfMs)), once)
    if (reason !== undefined) yield* FiberMap.run(acting, `${reason} ${id}`, about(disable(finished, reason)), once)
  })

  const recorder = yield* Recorder.make(
    state,
    (finished) => FiberMap.run(acting, finished.ready.claimed.subscriptionId, act(finished), { onlyIfMissing: true }),
    (id) => subscribed.get(id)?.ordered === true
  )
  yield* Gauges.watch(state, { outcomes: recorder.queued, releases: () => released.length })
  const sender = yield* Sender.make(state, subscribed, recorder.finish, giveBack)
  const routeOnce = yield* Router.make(state, subscribed, recorder.finish, giveBack)
  const claimer = yield* Claimer.make(state, subscribed, giveBack)
  // Routing and claiming may overlap; taking up lost claims must see neither under way. One each: a semaphore of two lets
  // those that want one go before those that want both.
  const routes = yield* Semaphore.make(1)
  const claims = yield* Semaphore.make(1)
  const settled = <A, E>(effect: Effect.Effect<A, E>) => routes.withPermits(1)(claims.withPermits(1)(effect))
  // Groups fall idle together, as after a load.
  const returned = yield* Gathering.make(storage.giveBack)
  const quiet = yield* Gathering.make(() => settled(Effect.void))
  /** Groups that are being given back: the same runner must not take one over from itself. */
  const detaching = new Map<string, Latch.Latch>()
  /** Groups with claims of owners before this one, which were not found when they were taken over. */
  const orphans = new Set<State.Group>()
  /** Ownership that could not be given back: as long as it stands, nobody looks for the claims that were left. */
  const owed = new Set<Owner>()

  const release = Effect.gen(function*() {
    const batch = released.splice(0, limits.claimDeliveries)
    if (batch.length === 0) return
    const now = yield* storage.now
    for (const [group, items] of Map.groupBy(batch, (ready) => ready.group)) {
      if (group.phase !== "lost") {
        // Not repeated: what was given back may have been claimed again. Claims that are left are found and taken up.
        yield* storage.release(group.owner, items.map((ready) => ready.claimed.deliveryId)).pipe(
          Effect.catchCause(() =>
            Effect.sync(() => {
              state.answerLost = true
            })
          )
        )
      }
      for (const ready of items) {
        State.dismiss(state, ready)
        if (group.phase === "open") State.backlog(state, group, ready.claimed.subscriptionId, now)
      }
    }
  })

  const routing = State.take(state.route).pipe(
    Effect.andThen(patient("Routing", routes.withPermits(1)(routeOnce))),
    Effect.tap((more) => Effect.sync(() => more && state.route.openUnsafe())),
    Effect.forever
  )

  /** A pass looks at every lane: where there are many it comes so seldom that the looking costs little, and does more at once. */
  const spaced = Effect.suspend(() => {
    const ms = Math.floor(state.lanes.size / limits.lanesPerMs)
    return ms === 0 ? Effect.void : Effect.sleep(ms)
  })

  /** Waits for a latch, at most so long; a timer costs more than a latch, so there is one only where there is a time. */
  const awaited = (latch: Latch.Latch, ms: number): Effect.Effect<unknown> =>
    ms === Number.POSITIVE_INFINITY
      ? State.take(latch)
      : Effect.timeoutOption(State.take(latch), Math.max(1, Math.min(ms, limits.sweepIntervalMs)))

  const claiming = patient(
    "Claiming",
    Effect.andThen(
      Effect.suspend(() => state.answerLost ? settled(claimer.takeUpLost) : Effect.void),
      claims.withPermits(1)(claimer.claim)
    )
  ).pipe(
    Effect.flatMap((waitMs) => awaited(state.claim, waitMs)),
    Effect.andThen(spaced),
    Effect.forever
  )

  // Lanes become slow as time passes, and a lease may come back: a pass a second finds what no event would tell.
  const ticking = Effect.sync(() => {
    state.send.openUnsafe()
    state.claim.openUnsafe()
  }).pipe(Effect.delay(Math.min(limits.slowAfterMs, limits.sweepIntervalMs)), Effect.forever)

  const sending = patient("Sending", sender.pass).pipe(
    Effect.flatMap((nextMs) => awaited(state.send, nextMs)),
    Effect.andThen(spaced),
    Effect.forever
  )

  const releases = State.take(state.release).pipe(
    Effect.andThen(Effect.whileLoop({ while: () => released.length > 0, body: () => release, step: () => {} })),
    Effect.forever
  )

  /** Renewals that know of a change of the subscriptions which the copy does not know, oldest first. */
  const renewals: Array<{ readonly endMs: number; readonly version: number }> = []
  const outdated = Latch.makeUnsafe()

  /** Prolongs the lease as far as the copy of the subscriptions allows. */
  const prolong = Effect.map(Monotonic.nowMs, (now) => {
    const at = renewals.findLastIndex(({ version }) => subscribed.version() < 0 || version <= subscribed.version())
    const [renewal] = renewals.splice(0, at + 1).slice(-1)
    while (renewals[0] && renewals[0].endMs <= now) renewals.shift()
    if (renewals.length > 0) outdated.openUnsafe()
    if (!renewal) return
    const lapsed = state.leaseEndMs <= now
    state.leaseEndMs = Math.max(state.leaseEndMs, renewal.endMs)
    if (lapsed) state.send.openUnsafe()
  })

  const renew = Effect.gen(function*() {
    const sentAtMs = yield* Monotonic.nowMs
    const { owners, version } = yield* storage.renewLease(runnerId, limits.leaseMs)
    // Who changes a subscription and can't reach this runner waits for the time of a lease: one that was prolonged later
    // must be for attempts that know of the change.
    renewals.push({ endMs: sentAtMs + limits.leaseMs, version })
    const epochs = new Map(owners.map((owner) => [owner.workerGroup, owner.epoch]))
    for (const group of state.groups.values()) {
      if (group.phase !== "lost" && group.takenAtMs < sentAtMs && epochs.get(group.workerGroup) !== group.owner.epoch) {
        yield* Effect.logWarning(`${group.workerGroup} has another owner now`)
        yield* Metric.update(Metrics.ownershipsLost, 1)
        lose(group)
      }
    }
    yield* prolong
  })

  // Apart from the renewal, which must not wait for a long reading.
  const catchingUp = State.take(outdated).pipe(
    Effect.andThen(patient("Reading the subscriptions", subscribed.reload)),
    Effect.andThen(prolong),
    // A group of a subscription that was not known yet, or whose limits were others.
    Effect.andThen(Effect.sync(() => state.claim.openUnsafe())),
    Effect.forever
  )

  // Apart from the renewal, which must not wait for anything else.
  const settling = Effect.suspend(() => {
    const owners = [...owed]
    if (owners.length === 0) return Effect.void
    return Effect.map(storage.giveBack(owners), () => {
      for (const owner of owners) owed.delete(owner)
    })
  }).pipe(Effect.ignore, Effect.repeat(Schedule.spaced(limits.sweepIntervalMs)))

  const lose = (group: State.Group) => {
    group.phase = "lost"
    state.unrouted.delete(group)
    State.forgetHanded(state, group)
    if (state.groups.get(group.workerGroup) === group) state.groups.delete(group.workerGroup)
    for (const express of Express.ofGroup(state, group)) {
      Express.end(state, express, ({ ready }) => State.dismiss(state, ready), (ready) => State.dismiss(state, ready))
    }
    for (const lane of state.lanes.values()) {
      lane.backlog.delete(group)
      for (const ready of lane.waiting.splice(0)) {
        if (ready.group === group) State.dismiss(state, ready)
        else lane.waiting.push(ready)
      }
      State.forget(state, lane)
    }
  }

  const leasing = patient(
    "Renewing the lease",
    Effect.timeoutOrElse(renew, {
      duration: limits.leaseMs,
      orElse: () => Effect.fail(new StorageUnavailable({ message: `No answer within ${limits.leaseMs} ms` }))
    })
  ).pipe(Effect.repeat(Schedule.spaced(limits.leaseRenewMs)))

  const adopting = Effect.suspend(() => {
    const groups = [...orphans].filter((group) => group.phase === "open")
    orphans.clear()
    return groups.length === 0
      ? Effect.void
      : Effect.asVoid(storage.recover(groups.map((group) => group.owner), limits.crashedClaims))
  })

  // What ends a delivery makes the next of its key due; but a statement does not see what came after it began.
  const unparking = Effect.gen(function*() {
    const ordered = State.open(state).filter(({ subscriptionId }) =>
      subscriptionId !== undefined && subscribed.get(subscriptionId)?.ordered === true
    )
    if (ordered.length === 0) return
    for (const name of yield* storage.unpark(ordered.map((group) => group.owner))) {
      const group = state.groups.get(name)
      if (group?.subscriptionId !== undefined) State.backlog(state, group, group.subscriptionId, 0)
    }
  })

  // Both are found again where they fail: parked deliveries by the next look, claims by the next sweep.
  const mending = Effect.ignore(unparking).pipe(
    Effect.andThen(Effect.ignore(adopting)),
    Effect.delay(limits.unparkIntervalMs),
    Effect.forever
  )

  const overdue = Effect.map(Monotonic.nowMs, (now) => Express.delayOverdue(state, now)).pipe(
    Effect.delay(limits.expressMs / 2)
  )
  const hastening = State.take(state.expresses.some).pipe(
    Effect.andThen(
      Effect.whileLoop({ while: () => state.expresses.bySeq.size > 0, body: () => overdue, step: () => {} })
    ),
    Effect.forever
  )

  // Whatever was lost without a word is found by a look now and then.
  const looking = Effect.map(storage.now, (now) => {
    state.answerLost = true
    state.claim.openUnsafe()
    for (const [id, atMs] of state.accepted) if (now - atMs > limits.expressAcceptedMs) state.accepted.delete(id)
    for (const lane of state.lanes.values()) {
      const isThere = subscribed.get(lane.subscriptionId) !== undefined
      // A change that the copy knows of by now, whose own reading failed or was given up; or a subscription that was deleted elsewhere.
      if (!isThere || lane.minVersion <= subscribed.version()) lane.minVersion = 0
      if (!isThere) {
        lane.timedOut = false
        lane.circuit = Circuit.closed
      }
      State.forget(state, lane)
    }
  }).pipe(Effect.delay(limits.takeUpIntervalMs), Effect.forever)

  // Runs after the loops have ended, so that none renews what was returned.
  yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(storage.returnLease(runnerId), "1 second")))
  const loops = [
    routing,
    claiming,
    sending,
    ticking,
    releases,
    leasing,
    catchingUp,
    hastening,
    looking,
    mending,
    settling,
    ...recorder.loops
  ]
  for (const loop of loops) yield* Effect.forkScoped(loop)
  // A cluster that stops while it moves a group does not wait for that group's end: the loops must, which it needs.
  yield* Effect.addFinalizer(() =>
    Effect.forEach([...state.groups.values()], detach, { concurrency: "unbounded", discard: true })
  )

  const take = (found: ReadonlyArray<Due>) => {
    for (const { lanes, orphaned, unrouted, workerGroup } of found) {
      const group = state.groups.get(workerGroup)
      if (!group || group.phase !== "open") continue
      if (orphaned) {
        orphans.add(group)
      }
      if (unrouted && group.isOurs) State.unrouted(state, group)
      for (const lane of lanes) State.backlog(state, group, lane.subscriptionId, lane.dueAtMs)
    }
  }

  const begin = Effect.fnUntraced(function*(group: State.Group, claimableAtMs: number) {
    let waitMs = claimableAtMs - (yield* storage.now)
    do {
      yield* Effect.sleep(Math.max(0, waitMs))
      waitMs = yield* patient(
        `Recovering ${group.workerGroup}`,
        Effect.suspend(() =>
          group.phase === "open" ? storage.recover([group.owner], limits.crashedClaims) : Effect.succeed(0)
        )
      )
    } while (waitMs > 0)
    const { subscriptionId } = group
    if (subscriptionId !== undefined) {
      const filled = yield* patient(`Reading ${group.workerGroup}`, storage.filled([subscriptionId]))
      group.filledAtMs = filled.get(subscriptionId) ?? 0
      if (!subscribed.get(subscriptionId)) yield* patient("Reading the subscriptions", subscribed.reload)
      yield* patient(`Reading ${group.workerGroup}`, storage.unpark([group.owner]))
    }
    take(
      yield* patient(
        `Reading ${group.workerGroup}`,
        storage.due({ aheadMs: limits.sweepAheadMs, workerGroups: [group.workerGroup] })
      )
    )
  })

  const detach = (group: State.Group) =>
    Effect.suspend(() => {
      if (group.phase === "lost") return Effect.void
      if (group.phase === "closing") return detaching.get(group.workerGroup)?.await ?? Effect.void
      const done = Latch.makeUnsafe()
      detaching.set(group.workerGroup, done)
      return Effect.ensuring(
        close(group),
        Effect.sync(() => {
          if (detaching.get(group.workerGroup) === done) detaching.delete(group.workerGroup)
          done.openUnsafe()
        })
      )
    })

  const close = Effect.fnUntraced(function*(group: State.Group) {
    group.phase = "closing"
    State.forgetHanded(state, group)
    for (const again of [...state.again.values()].filter((ready) => ready.group === group)) {
      State.forgetAgain(state, again)
      // Where it is the claim that an attempt under way will record by, it stays.
      if (State.isSameClaim(again, state.deliveries.get(again.claimed.deliveryId))) continue
      group.held++
      giveBack(again)
    }
    for (const lane of state.lanes.values()) {
      lane.backlog.delete(group)
      for (const ready of lane.waiting.splice(0)) {
        if (ready.group === group) giveBack(ready)
        else lane.waiting.push(ready)
      }
    }
    for (const express of Express.ofGroup(state, group)) Express.delay(state, express)
    // A claim or route that is under way may yet bring some in.
    yield* Effect.timeoutOption(quiet(undefined), "1 second")
    const empty = State.take(state.gone).pipe(
      Effect.timeoutOption("20 millis"),
      Effect.repeat({ until: () => group.held === 0 }),
      Effect.when(Effect.sync(() => group.held > 0))
    )
    yield* Effect.timeoutOption(empty, limits.drainTimeoutMs)
    if (group.held > 0) {
      sender.abort(group)
      yield* Effect.timeoutOption(empty, "1 second")
    }
    yield* Effect.timeout(returned(group.owner), "1 second").pipe(
      Effect.catch(() => Effect.sync(() => void owed.add(group.owner)))
    )
    lose(group)
  })

  const attach = Effect.fn("Dispatcher.attach")(function*(workerGroup: string) {
    for (let earlier = detaching.get(workerGroup); earlier; earlier = detaching.get(workerGroup)) yield* earlier.await
    const taking = Effect.acquireRelease(
      Effect.flatMap(
        storage.takeOver(runnerId, { workerGroup, partition: 0 }, limits.takeOverPatienceMs),
        ({ claimableAtMs, doubtfulSeq, owner }) =>
          Effect.map(Monotonic.nowMs, (now) => {
            const group: State.Group = {
              workerGroup,
              owner,
              subscriptionId: ofGroup(workerGroup),
              isOurs: hooks.has(baseGroup(workerGroup)),
              filledAtMs: undefined,
              phase: "open",
              doubtfulSeq,
              readSeq: 0,
              claimableAtMs,
              fed: new Set(),
              heldBackAtMs: undefined,
              held: 0,
              ahead: 0,
              takenAtMs: now,
              activeAtMs: now
            }
            // The answer to an earlier take-over may come after that to a later one, which has superseded it.
            const other = state.groups.get(workerGroup)
            if (other && other.owner.epoch > owner.epoch) group.phase = "lost"
            else {
              if (other) lose(other)
              state.groups.set(workerGroup, group)
              if (group.isOurs) State.unrouted(state, group)
            }
            return { group, claimableAtMs }
          })
      ),
      ({ group }) => detach(group)
    )
    // Whoever asked for it may have given up meanwhile: a group that is taken has to begin.
    yield* Effect.uninterruptible(
      Effect.flatMap(
        taking,
        ({ claimableAtMs, group }) => Effect.forkScoped(Effect.interruptible(begin(group, claimableAtMs)))
      )
    )
  })

  return Dispatcher.of({
    runnerId,
    attach,
    poke: (workerGroup, committed) => {
      const group = state.groups.get(workerGroup)
      if (!group || group.phase !== "open") return false
      if (committed && group.isOurs && HandedOver.add(state, group, committed)) return true
      if (group.subscriptionId !== undefined) State.backlog(state, group, group.subscriptionId, 0)
      if (group.isOurs) State.unrouted(state, group)
      return true
    },
    isOpen: (workerGroup) => state.groups.get(workerGroup)?.phase === "open",
    stirred: Effect.map(State.take(state.stir), () => {
      const groups = [...state.stirred]
      state.stirred.clear()
      return groups
    }),
    holds: (workerGroup) => state.groups.has(workerGroup),
    owns: (owner) => state.groups.get(owner.workerGroup)?.owner.epoch === owner.epoch,
    due: take,
    active: Effect.map(Monotonic.nowMs, (now) =>
      [...state.groups.values()]
        // Each time it is told, it begins to be idle anew.
        .filter((group) => group.held > 0 || now - group.activeAtMs < 2 * limits.sweepIntervalMs)
        .map((group) => group.workerGroup)),
    drop: dropAndReload,
    leased: Effect.map(Monotonic.nowMs, (now) => now < state.leaseEndMs)
  })
})

/**
 * Layer of the engine. It takes its lease at once and prolongs it while the layer is up.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Dispatcher, never, Storage | Registry | Bindings | Live> = Layer.effect(
  Dispatcher,
  Effect.provideServiceEffect(make, Storage, Measured.make)
)
