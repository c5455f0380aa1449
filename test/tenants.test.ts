import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Shares from "../src/dispatcher/Shares.ts"
import * as Hook from "../src/Hook.ts"
import { layer as limits } from "../src/Limits.ts"
import { Storage } from "../src/Storage.ts"
import { Created, Endpoints, layer, subscribe, until, within } from "./support/world.ts"

const payload = { incidentId: "i", systemIds: [] }

const emitMany = (tenantId: string, count: number) =>
  Effect.replicateEffect(Hook.emit(Created, payload, { tenantId }), count, { discard: true, concurrency: 500 })

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))

describe("shares", () => {
  it.effect.prop(
    "are an equal part each for those who want it, and what others leave for those who want more",
    { total: count, wanted: Schema.Array(count).check(Schema.isMinLength(1), Schema.isMaxLength(8)) },
    ({ total, wanted }) =>
      Effect.sync(() => {
        const shareOf = Shares.divide(total, new Map(wanted.entries()))
        const part = Math.floor(total / wanted.length)
        for (const n of wanted.keys()) {
          const others = wanted.reduce((sum, want, m) => n === m ? sum : sum + Math.min(part, want), 0)
          assert.isAtLeast(shareOf(n), part)
          assert.isAtLeast(shareOf(n), total - others)
          assert.isAtMost(shareOf(n), total)
        }
      })
  )
})

describe("a tenant", () => {
  it.effect("does not wait for another's thousands of messages to be routed", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), "1 second"))
    const body = Effect.gen(function*() {
      yield* subscribe("a", undefined, { tenantId: "acme" })
      yield* subscribe("b", undefined, { tenantId: "bolt" })
      yield* emitMany("acme", 5000)
      yield* emitMany("bolt", 1)
      yield* until("its message arrives", () => endpoints.of("b").length === 1, 2000)
      assert.isBelow(endpoints.of("a").length, 500)
    })
    return Effect.provide(within(layer(endpoints), body), limits({ slots: 64, laneWindow: 64 }))
  })

  it.effect("does not wait for the large messages of many others to be routed", () => {
    const endpoints = new Endpoints()
    const body = Effect.gen(function*() {
      yield* subscribe("z", undefined, { tenantId: "zulu" })
      const large = { incidentId: "i", systemIds: ["x".repeat(900)] }
      yield* Effect.forEach(
        Array.from({ length: 30 * 20 }),
        (_, n) => Hook.emit(Created, large, { tenantId: `t${n % 30}` }),
        { concurrency: 100 }
      )
      yield* Hook.emit(Created, large, { tenantId: "zulu" })
      yield* until("its message arrives", () => endpoints.of("z").length === 1, 2000)
      const unrouted = yield* Storage.use((storage) =>
        storage.listMessages({ tenantId: "t0" }, { cursor: undefined, limit: 100, bytes: 1e9 })
      )
      assert.isAtLeast(unrouted.items.filter(({ state }) => state._tag === "Unrouted").length, 15)
    })
    return Effect.provide(within(layer(endpoints), body), limits({ routeBytes: 4000 }))
  })

  it.effect("with one subscription has its share of the slots beside another with hundreds", () => {
    const endpoints = new Endpoints()
    const underWay = new Map([["acme", 0], ["bolt", 0]])
    let most = 0
    const slow = (tenant: string) => () =>
      Effect.gen(function*() {
        underWay.set(tenant, (underWay.get(tenant) ?? 0) + 1)
        if (tenant === "bolt") most = Math.max(most, underWay.get("bolt") ?? 0)
        yield* Effect.sleep("800 millis")
        underWay.set(tenant, (underWay.get(tenant) ?? 0) - 1)
        return {}
      })
    endpoints.behaviours.set("b", slow("bolt"))
    const body = Effect.gen(function*() {
      for (let n = 0; n < 200; n++) {
        endpoints.behaviours.set(`a${n}`, slow("acme"))
        yield* subscribe(`a${n}`, undefined, { tenantId: "acme" })
      }
      yield* subscribe("b", undefined, { tenantId: "bolt" })
      yield* emitMany("acme", 40)
      yield* until("the other tenant is busy", () => (underWay.get("acme") ?? 0) >= 32)
      yield* emitMany("bolt", 60)
      yield* until("its messages are through", () => endpoints.of("b").length === 60, 60_000)
      // It has half of 64 slots, and of the other's 8000 not many more than that one's went out meanwhile.
      assert.isAtLeast(most, 24)
      assert.isBelow(endpoints.seen.length - 60, 2000)
    })
    return Effect.provide(within(layer(endpoints), body), limits({ slots: 64, firstSlots: 16, window: 512 }))
  })
})
