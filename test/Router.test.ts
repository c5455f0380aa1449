import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Router from "../src/dispatcher/Router.ts"
import * as State from "../src/dispatcher/State.ts"
import type { Subscribed } from "../src/dispatcher/Subscribed.ts"
import * as Id from "../src/Id.ts"
import * as Registry from "../src/Registry.ts"
import type { Unrouted } from "../src/Storage.ts"
import { IncidentPlugin, interfered } from "./support/world.ts"

const workerGroup = "integration.incident.incident.created"
const owner = { workerGroup, partition: 0, epoch: 1 }

describe("routing", () => {
  it.effect("matched before the subscriptions were read anew is not written under their new version", () => {
    const versions: Array<number> = []
    const messages: Array<Unrouted> = []
    const storage = interfered(() => ({
      unrouted: () => Effect.succeed(messages),
      route: ({ version, messages }) =>
        Effect.sync(() => {
          versions.push(version)
          return version === 2
            ? { _tag: "Routed", messageIds: messages.map(({ messageId }) => messageId), failing: [] }
            : { _tag: "Stale" }
        })
    }))
    return Effect.gen(function*() {
      for (const seq of [1, 2]) {
        messages.push({
          id: yield* Id.messageId(0),
          eventId: "incident.incident.created",
          tenantId: "default",
          orderingKey: undefined,
          payloadJson: "{}",
          seq,
          workerGroup
        })
      }
      const state = yield* State.make
      state.groups.set(workerGroup, {
        workerGroup,
        owner,
        subscriptionId: undefined,
        filledAtMs: undefined,
        phase: "open",
        unrouted: true,
        fed: new Set(),
        heldBackAtMs: undefined,
        held: 0,
        takenAtMs: 0,
        activeAtMs: 0
      })
      let version = 1
      const subscribed: Subscribed = {
        version: () => version,
        reload: Effect.void,
        // The sender reads them anew while the first message is matched.
        matching: () => {
          version = 2
          return []
        },
        isFailing: () => false,
        tenantOf: () => "",
        get: () => undefined,
        providers: [],
        hasProvider: () => true,
        binding: () => undefined,
        bind: () => Effect.never
      }
      const routeOnce = yield* Router.make(state, subscribed, () => {})
      yield* routeOnce
      assert.deepStrictEqual(versions, [1, 2])
    }).pipe(Effect.provide(Layer.mergeAll(storage, Layer.provideMerge(IncidentPlugin, Registry.layer))))
  })
})
