/**
 * A runner's part in the cluster: stands in for `Cluster.ts`, whose entities need a real cluster. As there, groups that are
 * assigned are attached, a sweep finds work that no hint told of, idle groups are let go, and hints and confirmations go
 * over a network that may lose or double them.
 */
import { Effect, Exit, Layer, Scope, Semaphore } from "effect"
import { Dispatcher } from "../../src/Dispatcher.ts"
import { patient } from "../../src/dispatcher/Patience.ts"
import { Dispatchers } from "../../src/Dispatchers.ts"
import { Limits } from "../../src/Limits.ts"
import { Storage } from "../../src/Storage.ts"
import type { Assignments } from "./Assignments.ts"
import type { Dice } from "./Dice.ts"
import { call, type Process } from "./Machine.ts"

/** How runners reach each other. */
export interface Network {
  /** Share of hints that are lost, and of those that come twice. */
  hintsLost: number
  readonly members: Map<string, Peer>
}

/** A runner as the others see it. */
export interface Peer {
  readonly process: Process
  readonly wake: (workerGroup: string) => Effect.Effect<void>
  readonly dispatcher: Dispatcher["Service"]
}

interface Entity {
  readonly group: string
  readonly scope: Scope.Closeable
  readonly attached: Effect.Effect<void>
  wokenAtMs: number
}

export const layer = (
  process: Process,
  assignments: Assignments,
  network: Network,
  dice: Dice
): Layer.Layer<Dispatchers, never, Dispatcher | Storage> =>
  Layer.effect(
    Dispatchers,
    Effect.gen(function*() {
      const dispatcher = yield* Dispatcher
      const storage = yield* Storage
      const limits = yield* Limits
      const entities = new Map<string, Entity>()
      /** Entities that are coming to their end; the cluster does not wait for them when it stops meanwhile. */
      const closing = new Set<Entity>()
      const { machine } = process

      const activate = Effect.fnUntraced(function*(group: string) {
        const known = entities.get(group)
        if (known) return known
        const scope = yield* Scope.make()
        const attaching = yield* Semaphore.make(1)
        const entity: Entity = {
          group,
          scope,
          wokenAtMs: machine.nowMs,
          attached: attaching.withPermits(1)(Effect.suspend(() =>
            scope.state._tag === "Closed" || dispatcher.isOpen(group)
              ? Effect.void
              : patient(`Taking over ${group}`, Scope.provide(dispatcher.attach(group), scope))
          ))
        }
        entities.set(group, entity)
        return entity
      })

      const keep = (group: string): Effect.Effect<void> =>
        Effect.gen(function*() {
          if (!assignments.believes(process.name, group)) {
            return
          }
          const entity = yield* activate(group)
          entity.wokenAtMs = machine.nowMs
          yield* Effect.forkIn(entity.attached, entity.scope)
        })

      const wake = (group: string): Effect.Effect<void> =>
        Effect.suspend(() =>
          dispatcher.poke(group) ? Effect.void : keep(group)
        )

      const close = (entity: Entity) =>
        Effect.suspend(() => {
          entities.delete(entity.group)
          closing.add(entity)
          return Effect.ensuring(Scope.close(entity.scope, Exit.void), Effect.sync(() => closing.delete(entity)))
        })

      const find = Effect.gen(function*() {
        const found = yield* storage.due({ aheadMs: limits.sweepAheadMs })
        dispatcher.due(found)
        yield* Effect.forEach(found, (due) => keep(due.workerGroup), { discard: true })
      })

      /** Lets go of what was assigned to others, or has nothing to do. */
      const letGo = Effect.gen(function*() {
        for (const group of yield* dispatcher.active) {
          const entity = entities.get(group)
          if (entity) entity.wokenAtMs = machine.nowMs
        }
        for (const [group, entity] of entities) {
          const idle = machine.nowMs - entity.wokenAtMs > limits.groupIdleMs
          if (idle || !assignments.believes(process.name, group)) yield* Effect.forkDetach(close(entity))
        }
        for (const group of assignments.groups) {
          const isHeld = entities.has(group) || assignments.believes(process.name, group) ||
            [...closing].some((entity) => entity.group === group)
          if (!isHeld) assignments.released(group, process.name)
        }
      })

      const sweep = patient("The sweep", find).pipe(Effect.andThen(Effect.sleep(limits.sweepIntervalMs)))
      const keeping = letGo.pipe(Effect.andThen(Effect.sleep(limits.sweepIntervalMs / 4)))
      yield* Effect.addFinalizer(() =>
        Effect.forEach([...entities.values()], close, { concurrency: "unbounded", discard: true })
      )
      yield* Effect.forkScoped(Effect.forever(sweep))
      yield* Effect.forkScoped(Effect.forever(keeping))
      // Housekeeping is one runner's in production; beside others it does no harm.
      yield* storage.expire(50).pipe(
        Effect.ignore,
        Effect.andThen(Effect.sleep("1 second")),
        Effect.forever,
        Effect.forkScoped
      )
      yield* storage.maintain({
        partitionsAheadDays: 1,
        heldMaxAgeMs: limits.heldMaxAgeMs,
        broadcastKeptMs: limits.broadcastKeptMs,
        replaysKeptMs: limits.replaysKeptMs,
        rows: 50
      }).pipe(
        Effect.ignore,
        Effect.andThen(Effect.sleep("3 seconds")),
        Effect.forever,
        Effect.forkScoped
      )
      network.members.set(process.name, { process, wake, dispatcher })

      const hint = (group: string) => {
        const peer = network.members.get(assignments.holder(group) ?? "")
        if (peer && !dice.chance(network.hintsLost)) {
          for (let times = dice.chance(network.hintsLost) ? 2 : 1; times > 0; times--) {
            machine.after(dice.below(10), () => peer.process.run(peer.wake(group)))
          }
        }
      }

      const drop = (group: string, subscription: Parameters<Dispatchers["Service"]["confirm"]>[0], epoch: number) =>
        Effect.gen(function*() {
          const peer = network.members.get(assignments.holder(group) ?? "")
          yield* Effect.sleep(1 + dice.below(10))
          if (!peer || dice.chance(network.hintsLost)) return yield* Effect.never
          return yield* call(
            peer.process,
            Effect.map(
              peer.dispatcher.drop(subscription.id, subscription.version),
              () => peer.dispatcher.owns({ workerGroup: group, partition: 0, epoch })
            )
          )
        }).pipe(
          Effect.timeout(limits.confirmTimeoutMs),
          Effect.catch(() => Effect.succeed(false))
        )

      const tell: Dispatchers["Service"]["wake"] = (group, committed) =>
        Effect.sync(() => {
          if (!dispatcher.poke(group, committed)) hint(group)
        })
      yield* Effect.forkScoped(
        Effect.forever(Effect.flatMap(dispatcher.stirred, Effect.forEach((group) => tell(group), { discard: true })))
      )

      return Dispatchers.of({
        runnerId: dispatcher.runnerId,
        wake: tell,
        confirm: Effect.fnUntraced(function*(subscription) {
          yield* dispatcher.drop(subscription.id, subscription.version)
          const owners = yield* Effect.result(storage.claimants(subscription.id))
          const unconfirmed = owners._tag === "Failure" || (yield* Effect.forEach(
            owners.success.filter((owner) => !dispatcher.owns(owner)),
            (owner) => drop(owner.workerGroup, subscription, owner.epoch),
            { concurrency: 16 }
          )).includes(false)
          // Whoever did not confirm begins nothing after its lease.
          if (unconfirmed) yield* Effect.sleep(limits.leaseMs)
        })
      })
    })
  )
