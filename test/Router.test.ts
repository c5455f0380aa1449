import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Express from "../src/dispatcher/Express.ts"
import * as HandedOver from "../src/dispatcher/HandedOver.ts"
import * as Router from "../src/dispatcher/Router.ts"
import * as State from "../src/dispatcher/State.ts"
import type { Subscribed } from "../src/dispatcher/Subscribed.ts"
import * as Id from "../src/Id.ts"
import { layer as limits } from "../src/Limits.ts"
import * as Registry from "../src/Registry.ts"
import { type Storage, StorageUnavailable, type Unrouted } from "../src/Storage.ts"
import { groupOf } from "./support/group.ts"
import { IncidentPlugin, interfered } from "./support/world.ts"

const workerGroup = "integration.incident.incident.created"

const message = (seq: number, tenantId = "default") =>
  Effect.map(Id.messageId(0), (id): Unrouted => ({
    id,
    eventId: "incident.incident.created",
    tenantId,
    orderingKey: undefined,
    payloadJson: "{}",
    seq,
    workerGroup
  }))

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

const nothing = () => {}

/** A state that owns a group with something to route. */
const owning = Effect.gen(function*() {
  const state = yield* State.make
  const owned = groupOf(workerGroup)
  state.groups.set(workerGroup, owned)
  State.unrouted(state, owned)
  return { state, owned }
})

const on = (storage: Partial<Storage["Service"]>) =>
  Effect.provide(Layer.mergeAll(interfered(() => storage), Layer.provideMerge(IncidentPlugin, Registry.layer)))

describe("routing", () => {
  it.effect("matched before the subscriptions were read anew is not written under their new version", () => {
    const versions: Array<number> = []
    return Effect.gen(function*() {
      const messages = [yield* message(1), yield* message(2)]
      const { state } = yield* owning
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
      yield* Effect.flatten(Router.make(state, subscribed, nothing, nothing)).pipe(on({
        unrouted: () => Effect.succeed({ messages, version: 1, listened: [] }),
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

/** A router of one group, and what it routed. */
const watched = Effect.fnUntraced(function*() {
  const { owned, state } = yield* owning
  const inbox: Array<Unrouted> = []
  const routed: Array<number> = []
  const routeOnce = yield* Router.make(state, nobody, nothing, nothing).pipe(on({
    unrouted: () => Effect.succeed({ messages: inbox, version: 1, listened: [] }),
    route: ({ messages }) => {
      routed.push(...messages.map(({ seq }) => seq))
      return Effect.succeed({ _tag: "Routed", messageIds: messages.map(({ messageId }) => messageId), failing: [] })
    }
  }))
  inbox.push(...yield* Effect.forEach([1, 2], (seq) => message(seq)))
  return { owned, routed, routeOnce }
})

describe("what waits to be routed", () => {
  it.effect("is left to others where its group is given back", () =>
    Effect.gen(function*() {
      const { owned, routeOnce, routed } = yield* watched()
      owned.phase = "closing"
      yield* routeOnce
      assert.deepStrictEqual(routed, [])
    }))
})

describe("what was handed over", () => {
  it.effect("is read where it could not be routed", () =>
    Effect.gen(function*() {
      const state = yield* State.make
      const owned = groupOf(workerGroup)
      state.groups.set(workerGroup, owned)
      const [first, second] = [yield* message(1), yield* message(2)]
      const asked: Array<number> = []
      const routed: Array<number> = []
      let isAway = true
      const routeOnce = yield* Router.make(state, nobody, nothing, nothing).pipe(on({
        unrouted: () =>
          Effect.sync(() => {
            asked.push(1)
            return { messages: [first, second], version: 1, listened: [] }
          }),
        route: ({ messages }) =>
          Effect.suspend(() => {
            if (isAway) return Effect.fail(new StorageUnavailable({ message: "away" }))
            routed.push(...messages.map(({ seq }) => seq))
            return Effect.succeed(
              {
                _tag: "Routed",
                messageIds: messages.map(({ messageId }) => messageId),
                failing: []
              } as const
            )
          })
      }))
      HandedOver.add(state, owned, { messages: [first], version: 1, epoch: owned.owner.epoch })
      assert.strictEqual((yield* Effect.flip(routeOnce))._tag, "StorageUnavailable")
      assert.deepStrictEqual([asked.length, state.handed.count], [0, 0])
      assert.isTrue(state.unrouted.has(owned))
      isAway = false
      yield* routeOnce
      assert.deepStrictEqual(asked.length, 1)
      assert.deepStrictEqual(routed, [1, 2])
    }))
})

describe("a batch of no more tenants than it may have", () => {
  it.effect("is followed by the next ones, also where all that it left out ended while it was read", () =>
    Effect.gen(function*() {
      const { owned, state } = yield* owning
      const ahead = yield* Effect.forEach(["t1", "t2"], (tenantId, n) =>
        Effect.map(message(n + 1, tenantId), (one) => {
          const matched = { transformedJson: undefined, version: 1, filtered: 0, sinceMs: 0 }
          const held = new Express.Held(one, owned, matched)
          const express = new Express.Express(held)
          Express.add(state, express, held)
          return express
        }))
      const third = yield* message(3, "t3")
      const asked: Array<{ readonly except: ReadonlyArray<number>; readonly after: string | undefined }> = []
      const routed: Array<number> = []
      const routeOnce = yield* Router.make(state, nobody, nothing, nothing).pipe(on({
        unrouted: (_, { afterTenants, except = [] }) =>
          Effect.sync(() => {
            asked.push({ except, after: afterTenants?.get(workerGroup) })
            // As the database looked, both were in its way: it has no more than two tenants to look at.
            for (const express of ahead.splice(0)) Express.end(state, express, nothing, nothing)
            return { messages: asked.length === 1 ? [] : [third], version: 1, listened: [] }
          }),
        route: ({ messages }) =>
          Effect.sync(() => {
            routed.push(...messages.map(({ seq }) => seq))
            return { _tag: "Routed", messageIds: messages.map(({ messageId }) => messageId), failing: [] }
          })
      }))
      assert.isTrue(yield* routeOnce)
      yield* routeOnce
      assert.deepStrictEqual(asked, [{ except: [1, 2], after: undefined }, { except: [], after: "t2" }])
      assert.deepStrictEqual(routed, [3])
    }).pipe(Effect.provide(limits({ routeTenants: 2 }))))
})
