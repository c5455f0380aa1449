/**
 * The cluster as an operator sees it: which runners there are and what each of them does, what is due, whose code is
 * missing; and whether this runner does its part.
 */
import { Context, Effect, Layer, Schedule } from "effect"
import { Pulse, Reached } from "./Cluster.ts"
import { Dispatcher } from "./Dispatcher.ts"
import type { RunnerId } from "./Id.ts"
import { Limits } from "./Limits.ts"
import type { Announcement, Member } from "./Member.ts"
import { eventOfGroup } from "./Message.ts"
import * as Monotonic from "./Monotonic.ts"
import { Registry } from "./Registry.ts"
import { Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"
import { version } from "./Version.ts"

/**
 * What is needed and some runner that is alive lacks: where that one owns the group, deliveries stay `pending`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CodeMissing {
  readonly kind: "event" | "provider"
  readonly id: string
  /** The runners that lack it. */
  readonly runnerIds: ReadonlyArray<RunnerId>
}

/** @category models @since 0.1.0 */
export interface Overview {
  readonly self: RunnerId
  readonly members: ReadonlyArray<Member>
  /** Shards of the cluster, and those that runners which are alive hold. */
  readonly shards: { readonly total: number; readonly held: number }
  /** Worker groups with work that is due and that nobody has in hand, and since when the oldest of it is due. */
  readonly due: { readonly groups: number; readonly oldestAtMs: number | undefined }
  readonly codeMissing: ReadonlyArray<CodeMissing>
  readonly nowMs: number
}

/** @category models @since 0.1.0 */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string }

/**
 * The cluster's members.
 *
 * @category services
 * @since 0.1.0
 */
export class Members extends Context.Service<Members, {
  readonly overview: Effect.Effect<Overview, StorageUnavailable>
  /** Whether this runner does due work: not whether the process is alive. Asks nothing of the database. */
  readonly readiness: Effect.Effect<Readiness>
}>()("hookline/Members") {}

/**
 * Layer of the members; while it is up, this runner announces itself to the others.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Members, never, Dispatcher | Pulse | Registry | Storage> = Layer.effect(
  Members,
  Effect.gen(function*() {
    const dispatcher = yield* Dispatcher
    const pulse = yield* Pulse
    const registry = yield* Registry
    const storage = yield* Storage
    const limits = yield* Limits
    const address = yield* Reached
    const startedAtMs = yield* storage.now
    const code = {
      events: (yield* registry.hooks).map((hook) => hook.eventId).sort(),
      providers: (yield* registry.providers).map((provider) => provider.providerId).sort()
    }

    const announcement = Effect.map(pulse.shards, ({ held }): Announcement => ({
      ...(address === undefined ? {} : { address }),
      version,
      startedAtMs,
      shards: held,
      ...code
    }))

    let joined = false
    let said = ""
    let passes = 0
    const announce = Effect.gen(function*() {
      const words = yield* announcement
      // Again now and then, as the row may have been lost with its lease.
      if (JSON.stringify(words) === said && ++passes % repeatAfter !== 0) return
      yield* storage.announce(dispatcher.runnerId, words)
      said = JSON.stringify(words)
    })
    yield* Effect.forkScoped(Effect.repeat(Effect.ignore(announce), Schedule.spaced(limits.sweepIntervalMs)))
    if (address === undefined) yield* Effect.forkScoped(alone(storage, dispatcher.runnerId, 2 * limits.leaseMs))

    return Members.of({
      overview: Effect.gen(function*() {
        const members = yield* storage.members
        const [needed, due, unroutedMs, at] = yield* Effect.all([
          storage.neededProviders,
          storage.due({ aheadMs: 0 }),
          storage.oldestUnroutedMs,
          storage.now
        ])
        const alive = members.filter((member) => member.alive)
        const lacking = (kind: CodeMissing["kind"], of: "events" | "providers") => (id: string) => {
          const without = alive.filter(({ announced }) => announced && !announced[of].includes(id))
          return without.length === 0 ? [] : [{ kind, id, runnerIds: without.map((member) => member.id) }]
        }
        const { total } = yield* pulse.shards
        return {
          self: dispatcher.runnerId,
          members,
          shards: { total, held: alive.reduce((sum, { announced }) => sum + (announced?.shards ?? 0), 0) },
          due: {
            groups: due.length,
            oldestAtMs: earliest([
              ...due.flatMap(({ lanes }) => lanes.map((lane) => lane.dueAtMs)),
              ...(unroutedMs === undefined ? [] : [unroutedMs])
            ])
          },
          codeMissing: [
            ...needed.map(({ providerId }) => providerId).flatMap(lacking("provider", "providers")),
            ...due.filter(({ unrouted }) => unrouted)
              .flatMap(({ workerGroup }) => eventOfGroup(workerGroup) ?? [])
              .flatMap(lacking("event", "events"))
          ],
          nowMs: at
        }
      }),
      readiness: Effect.gen(function*() {
        const { held } = yield* pulse.shards
        const sweptAtMs = yield* pulse.sweptAtMs
        const stuck = yield* pulse.stuck
        const not = (reason: string): Readiness => ({ ready: false, reason })
        if (!(yield* dispatcher.leased)) return not("The database does not answer: this runner has no lease.")
        joined ||= held > 0
        if (!joined) return not("This runner holds no shards yet: it is joining the cluster.")
        if (sweptAtMs === undefined || (yield* Monotonic.nowMs) - sweptAtMs > limits.stuckAfterMs) {
          return not("This runner can't find out what is due: the database answers too slowly.")
        }
        if (stuck.length > 0) {
          return not(`Due work of ${stuck.length} worker groups is not taken up, of ${stuck[0]} for one.`)
        }
        return { ready: true }
      })
    })
  })
)

// --- internal ---

/** Passes after which an unchanged announcement is made again. */
const repeatAfter = 10

/** Two clusters of one would take every group from each other again and again: nothing is lost, but all is slow. */
const alone = (storage: Storage["Service"], self: RunnerId, laterMs: number) =>
  storage.members.pipe(
    Effect.delay(laterMs),
    Effect.flatMap((members) =>
      members.some(({ alive, id }) => alive && id !== self)
        ? Effect.logWarning(
          "Another runner uses this database, and this one is a cluster of its own: they take the work from each other. " +
            "Give both `cluster: SocketCluster.runner()`, of hookline/cluster."
        )
        : Effect.void
    ),
    Effect.ignore
  )

const earliest = (times: ReadonlyArray<number>): number | undefined =>
  times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b))
