import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Router from "../src/dispatcher/Router.ts"
import * as State from "../src/dispatcher/State.ts"
import type { Subscribed } from "../src/dispatcher/Subscribed.ts"
import * as Id from "../src/Id.ts"
import * as Limits from "../src/Limits.ts"
import * as Registry from "../src/Registry.ts"
import type { Routed, Storage, Unrouted } from "../src/Storage.ts"
import { StorageUnavailable } from "../src/StorageError.ts"
import { IncidentPlugin, interfered } from "./support/world.ts"

const workerGroup = "integration.incident.incident.created"
const owner = { workerGroup, partition: 0, epoch: 1 }

const message = (seq: number) =>
  Effect.map(Id.messageId(0), (id): Unrouted => ({
    id,
    eventId: "incident.incident.created",
    tenantId: "default",
    orderingKey: undefined,
    payloadJson: "{}",
    seq,
    workerGroup
  }))

const group = (unrouted: boolean): State.Group => ({
  workerGroup,
  owner,
  subscriptionId: undefined,
  filledAtMs: undefined,
  phase: "open",
  unrouted,
  fed: new Set(),
  heldBackAtMs: undefined,
  held: 0,
  takenAtMs: 0,
  activeAtMs: 0
})

const nobody: Subscribed = {
  version: () => 1,
  reload: Effect.void,
  matching: () => [],
  isFailing: () => false,
  tenantOf: () => "",
  get: () => undefined,
  providers: [],
  hasProvider: () => true,
  binding: () => undefined,
  bind: () => Effect.never
}

const on = (storage: Partial<Storage["Service"]>) =>
  Effect.provide(Layer.mergeAll(interfered(() => storage), Layer.provideMerge(IncidentPlugin, Registry.layer)))

describe("routing", () => {
  it.effect("matched before the subscriptions were read anew is not written under their new version", () => {
    const versions: Array<number> = []
    return Effect.gen(function*() {
      const messages = [yield* message(1), yield* message(2)]
      const state = yield* State.make
      state.groups.set(workerGroup, group(true))
      let version = 1
      const subscribed: Subscribed = {
        ...nobody,
        version: () => version,
        // The sender reads them anew while the first message is matched.
        matching: () => {
          version = 2
          return []
        }
      }
      yield* Effect.flatten(Router.make(state, subscribed, () => {})).pipe(on({
        unrouted: () => Effect.succeed(messages),
        route: ({ version, messages }) =>
          Effect.sync(() => {
            versions.push(version)
            return version === 2
              ? { _tag: "Routed", messageIds: messages.map(({ messageId }) => messageId), failing: [] }
              : { _tag: "Stale" }
          })
      }))
      assert.deepStrictEqual(versions, [1, 2])
    })
  })
})

/** A router of one group, how often it read, and what it routed. */
const watched = Effect.fnUntraced(function*(options?: { readonly alone?: boolean; readonly fails?: boolean }) {
  const state = yield* State.make
  const owned = group(false)
  state.groups.set(workerGroup, owned)
  const inbox: Array<Unrouted> = []
  const readings: Array<number> = []
  const routed: Array<number> = []
  const routeOnce = yield* Router.make(state, nobody, () => {}).pipe(on({
    unrouted: () => Effect.sync(() => (readings.push(inbox.length), inbox)),
    route: ({ isUnread, messages }) =>
      Effect.suspend((): Effect.Effect<Routed, StorageUnavailable> => {
        if (options?.alone === false && isUnread === true) return Effect.succeed({ _tag: "NotAlone" })
        if (options?.fails === true) return Effect.fail(new StorageUnavailable({ message: "away" }))
        routed.push(...messages.map(({ seq }) => seq))
        return Effect.succeed({ _tag: "Routed", messageIds: messages.map(({ messageId }) => messageId), failing: [] })
      })
  }))
  const store = Effect.fnUntraced(function*(...seqs: ReadonlyArray<number>) {
    const stored = yield* Effect.forEach(seqs, message)
    inbox.push(...stored)
    State.handOver(state, owned, stored)
  })
  return { state, owned, readings, routed, routeOnce, store }
})

describe("what this process has just stored", () => {
  it.effect("is routed without being read", () =>
    Effect.gen(function*() {
      const { owned, readings, routeOnce, routed, state, store } = yield* watched()
      yield* store(1, 2)
      yield* store(3)
      assert.isFalse(yield* routeOnce)
      assert.deepStrictEqual({ readings, routed }, { readings: [], routed: [1, 2, 3] })
      assert.deepStrictEqual([state.fresh, owned.unrouted], [[], false])
    }))

  it.effect("is read with the others where something of its group has to be read", () =>
    Effect.gen(function*() {
      const { owned, readings, routeOnce, routed, store } = yield* watched()
      yield* store(1)
      owned.unrouted = true
      yield* store(2)
      yield* routeOnce
      assert.deepStrictEqual({ readings, routed }, { readings: [2], routed: [1, 2] })
    }))

  it.effect("is read with what else waits beside it", () =>
    Effect.gen(function*() {
      const { owned, readings, routeOnce, routed, store } = yield* watched({ alone: false })
      yield* store(1, 2)
      assert.isTrue(yield* routeOnce)
      assert.isTrue(owned.unrouted)
      yield* routeOnce
      assert.deepStrictEqual({ readings, routed }, { readings: [2], routed: [1, 2] })
    }))

  it.effect("is read where it comes while the router is at work", () =>
    Effect.gen(function*() {
      const { owned, readings, routeOnce, routed, state, store } = yield* watched()
      state.isRouting = true
      yield* store(1)
      assert.isTrue(owned.unrouted)
      yield* routeOnce
      assert.deepStrictEqual({ readings, routed }, { readings: [1], routed: [1] })
      assert.isFalse(state.isRouting)
    }))

  it.effect("is read where it is more than a few messages, or bytes", () =>
    Effect.gen(function*() {
      const many = yield* watched()
      yield* many.store(1, 2)
      yield* many.store(3)
      yield* many.routeOnce
      assert.deepStrictEqual(many.readings, [3])
      assert.deepStrictEqual(many.state.fresh, [])
    }).pipe(Effect.provide(Limits.layer({ routeFresh: 2 }))))

  it.effect("is read where routing it failed", () =>
    Effect.gen(function*() {
      const { owned, routeOnce, state, store } = yield* watched({ fails: true })
      yield* store(1)
      yield* Effect.flip(routeOnce)
      assert.isTrue(owned.unrouted)
      assert.deepStrictEqual(state.fresh, [])
    }))

  it.effect("is left to others where its group was given back meanwhile", () =>
    Effect.gen(function*() {
      const { owned, readings, routeOnce, routed, store } = yield* watched()
      yield* store(1)
      owned.phase = "closing"
      yield* routeOnce
      assert.deepStrictEqual({ readings, routed }, { readings: [], routed: [] })
    }))
})
