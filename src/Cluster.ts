/**
 * The running cluster: a worker group is a sharded entity, so that one runner owns it at a time; the sweep finds work that no
 * hint told of; hints and confirmations find their dispatcher. `single` and `test` run a cluster of one in this process; a
 * layer of socket runners takes the same place for many.
 */
import { Context, Effect, FiberSet, Layer, References, Schedule, Schema, Scope, Semaphore } from "effect"
import {
  ClusterSchema,
  Entity,
  EntityId,
  MessageStorage,
  RunnerHealth,
  Runners,
  RunnerStorage,
  ShardId,
  Sharding,
  ShardingConfig
} from "effect/cluster"
import { Rpc } from "effect/rpc"
import { Dispatcher } from "./Dispatcher.ts"
import { patient } from "./dispatcher/Patience.ts"
import { Dispatchers } from "./Dispatchers.ts"
import { type RunnerId, SubscriptionId } from "./Id.ts"
import { Limits } from "./Limits.ts"
import * as Monotonic from "./Monotonic.ts"
import { Storage } from "./Storage.ts"

/** Says that the group may have work; answered once its dispatcher is attached. */
const Wake = Rpc.make("Wake", { success: Schema.Void })

/** Keeps a dispatcher that has work, and makes one where there is none. */
const Keep = Rpc.make("Keep", { success: Schema.Void })

/** Drops claims of a subscription that are older than a version and not begun; false where another epoch is in force. */
const Drop = Rpc.make("Drop", {
  payload: { subscriptionId: SubscriptionId, version: Schema.Int, epoch: Schema.Int },
  success: Schema.Boolean
})

/**
 * The dispatcher of one worker group; its entity id is the group's name, `integration.<eventId>` or
 * `subscription.<id>`.
 *
 * @category entities
 * @since 0.1.0
 */
export const DispatcherEntity = Entity.make("HooklineDispatcher", [Wake, Keep, Drop])
  .annotate(ClusterSchema.ClientTracingEnabled, false)

const shardGroup = "default"

const handlers = Effect.gen(function*() {
  const dispatcher = yield* Dispatcher
  const { entityId } = yield* Entity.CurrentAddress
  const scope = yield* Effect.scope
  const attaching = yield* Semaphore.make(1)
  // A group that was superseded while this runner holds its shard is taken over again.
  const attachedUnless = (isAttached: (workerGroup: string) => boolean) =>
    attaching.withPermits(1)(
      Effect.suspend(() =>
        // A late hint must not take over what is being given back.
        scope.state._tag === "Closed" || isAttached(entityId)
          ? Effect.void
          : patient(`Taking over ${entityId}`, Scope.provide(dispatcher.attach(entityId), scope))
      )
    )
  // Not awaited: entities are made one after the other, and a take-over may have to wait.
  yield* Effect.forkIn(attachedUnless(dispatcher.isOpen), scope)
  return DispatcherEntity.of({
    Wake: () => attachedUnless((workerGroup) => dispatcher.poke(workerGroup)),
    Keep: () => attachedUnless(dispatcher.isOpen),
    Drop: ({ payload }) =>
      Effect.map(
        dispatcher.drop(payload.subscriptionId, payload.version),
        () => dispatcher.owns({ workerGroup: entityId, partition: 0, epoch: payload.epoch })
      )
  })
})

/**
 * Layer of the entity: an activation attaches its group to the engine of this runner and detaches it when it ends.
 *
 * @category layers
 * @since 0.1.0
 */
export const entity: Layer.Layer<never, never, Dispatcher | Sharding.Sharding> = Layer.unwrap(
  Effect.map(Limits, ({ groupIdleMs }) =>
    DispatcherEntity.toLayer(
      handlers,
      // A dispatcher with work is kept by the sweep's wakes.
      { maxIdleTime: groupIdleMs, concurrency: 4 }
    ))
  // Hints come all the time, and are in nobody's trace.
).pipe(Layer.provide(Layer.succeed(References.TracerEnabled, false)))

/** Dispatchers over the cluster, and those of this process where it is a runner. */
const makeDispatchers = Effect.fnUntraced(function*(
  local: Pick<Dispatcher["Service"], "drop" | "owns" | "poke"> & { readonly runnerId: RunnerId | undefined }
) {
  const storage = yield* Storage
  const limits = yield* Limits
  const client = yield* DispatcherEntity.client
  const fibers = yield* FiberSet.make()
  const waking = new Set<string>()

  const wakeRemote = (workerGroup: string) =>
    client(workerGroup).Wake().pipe(
      Effect.timeout(limits.confirmTimeoutMs),
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => waking.delete(workerGroup)))
    )

  return Dispatchers.of({
    runnerId: local.runnerId,
    wake: (workerGroup, committed) =>
      Effect.suspend(() => {
        if (local.poke(workerGroup, committed) || waking.has(workerGroup)) return Effect.void
        waking.add(workerGroup)
        return Effect.asVoid(FiberSet.run(fibers, wakeRemote(workerGroup)))
      }),
    confirm: Effect.fn("Dispatchers.confirm")(function*({ id, version }) {
      yield* local.drop(id, version)
      const owners = yield* Effect.result(storage.claimants(id))
      const unconfirmed = owners._tag === "Failure" || (yield* Effect.forEach(
        owners.success.filter((owner) => !local.owns(owner)),
        (owner) =>
          client(owner.workerGroup).Drop({ subscriptionId: id, version, epoch: owner.epoch }).pipe(
            Effect.timeout(limits.confirmTimeoutMs),
            Effect.catch(() => Effect.succeed(false))
          ),
        { concurrency: 16 }
      )).includes(false)
      // Whoever did not confirm begins nothing after its lease.
      if (unconfirmed) yield* Effect.sleep(limits.leaseMs)
    })
  })
})

/**
 * Layer of `Dispatchers` for a runner: hints go to the local dispatcher where there is one, else over the cluster.
 *
 * @category layers
 * @since 0.1.0
 */
export const dispatchers: Layer.Layer<Dispatchers, never, Dispatcher | Storage | Sharding.Sharding> = Layer.effect(
  Dispatchers,
  Effect.gen(function*() {
    const dispatcher = yield* Dispatcher
    const all = yield* makeDispatchers(dispatcher)
    yield* Effect.forkScoped(
      Effect.forever(Effect.flatMap(dispatcher.stirred, Effect.forEach((group) => all.wake(group), { discard: true })))
    )
    return all
  })
)

/**
 * Layer of `Dispatchers` for a process that owns no group: hints go over the cluster.
 *
 * @category layers
 * @since 0.1.0
 */
export const hints: Layer.Layer<Dispatchers, never, Storage | Sharding.Sharding> = Layer.effect(
  Dispatchers,
  makeDispatchers({ runnerId: undefined, drop: () => Effect.void, owns: () => false, poke: () => false })
)

/**
 * How the other runners reach this one, where it is one of many; a cluster's layer says so.
 *
 * @category services
 * @since 0.1.0
 */
export const Reached = Context.Reference<string | undefined>("hookline/Cluster/Reached", {
  defaultValue: () => undefined
})

/**
 * How this runner's part in the cluster goes.
 *
 * @category services
 * @since 0.1.0
 */
export class Pulse extends Context.Service<Pulse, {
  /** How many of the cluster's shards there are, and how many this runner holds. */
  readonly shards: Effect.Effect<{ readonly total: number; readonly held: number }>
  /** Monotonic time of the last sweep that the database answered, in milliseconds; none before the first. */
  readonly sweptAtMs: Effect.Effect<number | undefined>
  /** Groups of this runner's shards whose work has been due for `stuckAfterMs` while nobody took them up. */
  readonly stuck: Effect.Effect<ReadonlyArray<string>>
}>()("hookline/Cluster/Pulse") {}

/**
 * Layer that once a second finds the groups with work due, of the shards that this runner holds, and wakes them; and apart
 * from that keeps those awake that have work in memory, however long the database takes to answer.
 *
 * @category layers
 * @since 0.1.0
 */
export const sweep: Layer.Layer<Pulse, never, Dispatcher | Storage | Sharding.Sharding> = Layer.effect(
  Pulse,
  Effect.gen(function*() {
    const dispatcher = yield* Dispatcher
    const storage = yield* Storage
    const sharding = yield* Sharding.Sharding
    const limits = yield* Limits
    const client = yield* DispatcherEntity.client
    let sweptAtMs: number | undefined
    /** Since when the due groups are known that are not attached. */
    let waiting = new Map<string, number>()

    const isOurs = (workerGroup: string) =>
      sharding.hasShardId(sharding.getShardId(EntityId.make(workerGroup), shardGroup))

    /** When each was kept, of those whose dispatchers are here: while a thousand are busy, each second would be felt. */
    let kept = new Map<string, number>()

    const keep = Effect.fnUntraced(function*(groups: ReadonlyArray<string>) {
      const now = yield* Monotonic.nowMs
      kept = new Map([...kept].filter(([, atMs]) => now - atMs < limits.groupIdleMs / 2))
      for (const workerGroup of groups) {
        if ((kept.has(workerGroup) && dispatcher.holds(workerGroup)) || !isOurs(workerGroup)) continue
        kept.set(workerGroup, now)
        yield* Effect.timeout(client(workerGroup).Keep(undefined, { discard: true }), limits.confirmTimeoutMs).pipe(
          Effect.catch(() => Effect.sync(() => kept.delete(workerGroup)))
        )
      }
    })

    const find = Effect.gen(function*() {
      const found = yield* storage.due({ aheadMs: limits.sweepAheadMs })
      dispatcher.due(found)
      const now = yield* Monotonic.nowMs
      sweptAtMs = now
      const groups = found.map((due) => due.workerGroup)
      waiting = new Map(
        groups.filter((group) => !dispatcher.holds(group) && isOurs(group))
          .map((group) => [group, waiting.get(group) ?? now])
      )
      yield* keep(groups)
    })

    for (const pass of [patient("The sweep", find), Effect.flatMap(dispatcher.active, keep)]) {
      yield* Effect.forkScoped(Effect.repeat(pass, Schedule.spaced(limits.sweepIntervalMs)))
    }
    return Pulse.of({
      shards: Effect.sync(() => {
        let held = 0
        for (let id = 1; id <= limits.shards; id++) if (sharding.hasShardId(ShardId.make(shardGroup, id))) held++
        return { total: limits.shards, held }
      }),
      sweptAtMs: Effect.sync(() => sweptAtMs),
      stuck: Effect.map(
        Monotonic.nowMs,
        (now) => [...waiting].filter(([, sinceMs]) => now - sinceMs >= limits.stuckAfterMs).map(([group]) => group)
      )
    })
  })
)

/**
 * Layer of what makes a runner a member of the cluster it is given: entity, hints, sweep.
 *
 * @category layers
 * @since 0.1.0
 */
export const member: Layer.Layer<Dispatchers | Pulse, never, Dispatcher | Storage | Sharding.Sharding> = Layer.mergeAll(
  dispatchers,
  sweep
).pipe(Layer.provideMerge(entity))

/**
 * Layer of the cluster's settings, from the limits; all processes of a cluster must have the same.
 *
 * @category layers
 * @since 0.1.0
 */
export const settings = (
  overrides: Partial<ShardingConfig.ShardingConfig["Service"]>
): Layer.Layer<ShardingConfig.ShardingConfig> =>
  Layer.unwrap(Effect.map(Limits, (limits) =>
    ShardingConfig.layer({
      shardsPerGroup: limits.shards,
      shardLockExpiration: limits.lockExpiryMs,
      shardLockRefreshInterval: limits.lockRefreshMs,
      refreshAssignmentsInterval: limits.assignIntervalMs,
      // How soon shards are tried again that were not to be had.
      entityMessagePollInterval: limits.assignIntervalMs,
      maxResidentEntities: limits.residentGroups,
      entityTerminationTimeout: limits.drainTimeoutMs + 3000,
      simulateRemoteSerialization: false,
      ...overrides
    })))

const one = (overrides: Partial<ShardingConfig.ShardingConfig["Service"]>): Layer.Layer<Sharding.Sharding> =>
  Sharding.layer.pipe(
    Layer.provide(Runners.layerNoop),
    Layer.provideMerge(MessageStorage.layerNoop),
    Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
    Layer.provide(settings(overrides))
  )

/**
 * Layer of a cluster of one: this process holds every shard.
 *
 * @category layers
 * @since 0.1.0
 */
export const single: Layer.Layer<Sharding.Sharding> = one({})

/**
 * Layer of a cluster of one on virtual time: nobody else could take a shard, so it looks after them seldom.
 *
 * @category layers
 * @since 0.1.0
 */
export const test: Layer.Layer<Sharding.Sharding> = one({
  shardLockRefreshInterval: "1 hour",
  shardLockExpiration: "1 day",
  refreshAssignmentsInterval: "1 hour",
  runnerHealthCheckInterval: "1 hour",
  entityMessagePollInterval: "1 hour"
})
