/**
 * Messages that a process stores itself, and whose group it owns: they need not be read to be routed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as HandedOver from "../src/dispatcher/HandedOver.ts"
import * as State from "../src/dispatcher/State.ts"
import type { Committed } from "../src/Dispatchers.ts"
import * as Hook from "../src/Hook.ts"
import type { MessageId } from "../src/Id.ts"
import * as Id from "../src/Id.ts"
import { Limits } from "../src/Limits.ts"
import { Storage, type Unrouted } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { groupOf } from "./support/group.ts"
import { Created, Endpoints, layerOn, subscribe, until } from "./support/world.ts"

const times = { nowMs: 0, monotonicMs: 0 }

const make = Effect.gen(function*() {
  const limits = yield* Limits
  const state = yield* Effect.provideService(State.make, Limits, {
    ...limits,
    routeMessages: 4,
    routeTenants: 3,
    handedMessages: 6,
    handedLength: 100
  })
  const group = groupOf("integration.a.b", { readSeq: 10 })
  state.groups.set(group.workerGroup, group)
  const committed = (
    seqs: ReadonlyArray<number>,
    extra: Partial<Committed> = {},
    payloadJson = "{}",
    tenantId = "t"
  ) =>
    Effect.map(
      Effect.forEach(seqs, (seq) =>
        Effect.map(Id.messageId(seq), (id): Unrouted => ({
          id,
          eventId: "a.b",
          tenantId,
          orderingKey: undefined,
          payloadJson,
          seq,
          workerGroup: group.workerGroup
        }))),
      (messages): Committed => ({ messages, version: 1, epoch: group.owner.epoch, ...extra })
    )
  const add = (...of: Parameters<typeof committed>) =>
    Effect.map(committed(...of), (one) => HandedOver.add(state, group, one))
  const take = () => HandedOver.take(state, times)
  const taken = () => take().messages.map(({ seq }) => seq)
  return { state, group, committed, add, take, taken }
})

describe("a message that is handed over", () => {
  it.effect("is taken by the next batch, with what held when it was stored, and once", () =>
    Effect.gen(function*() {
      const { add, group, take } = yield* make
      assert.isTrue(yield* add([11, 12], { version: 7 }))
      assert.isTrue(yield* add([13], { version: 5 }))
      const batch = take()
      assert.deepStrictEqual(batch.messages.map(({ seq }) => seq), [11, 12, 13])
      assert.deepStrictEqual(batch.groups, [group])
      assert.strictEqual(batch.version, 7)
      assert.deepStrictEqual(take().messages, [])
    }))

  it.effect("waits for the next batch where one has as many as it may have", () =>
    Effect.gen(function*() {
      const { add, take, taken } = yield* make
      yield* add([11, 12, 13, 14, 15, 16])
      const batch = take()
      assert.deepStrictEqual(batch.messages.map(({ seq }) => seq), [11, 12, 13, 14])
      assert.isTrue(batch.isLeft)
      assert.deepStrictEqual(taken(), [15, 16])
    }))

  it.effect("is read with the others where others of its group wait to be read", () =>
    Effect.gen(function*() {
      const { add, group, state } = yield* make
      State.unrouted(state, group)
      assert.isFalse(yield* add([11]))
    }))

  it.effect("is not routed again where it was read meanwhile", () =>
    Effect.gen(function*() {
      const { add, committed, state, taken } = yield* make
      yield* add([11, 12, 14])
      // The last was numbered before, and committed after the reading.
      HandedOver.read(state, (yield* committed([9, 11, 12])).messages)
      assert.deepStrictEqual([state.handed.count, state.handed.length], [1, 2])
      assert.isFalse(yield* add([12]))
      assert.deepStrictEqual(taken(), [14])
      assert.deepStrictEqual([state.handed.count, state.handed.length], [0, 0])
    }))

  it.effect("is read where its group had another epoch when it was committed", () =>
    Effect.gen(function*() {
      const { add } = yield* make
      assert.isFalse(yield* add([11], { epoch: 2 }))
      assert.isTrue(yield* add([11]))
    }))

  it.effect("is forgotten when its group is to be read: that finds it", () =>
    Effect.gen(function*() {
      const { add, group, state, taken } = yield* make
      yield* add([11, 12])
      State.unrouted(state, group)
      assert.deepStrictEqual(taken(), [])
      assert.deepStrictEqual([state.handed.count, state.handed.length], [0, 0])
    }))

  it.effect("is read where it may have been read before, as the answer to its commit came late", () =>
    Effect.gen(function*() {
      const { add } = yield* make
      assert.isFalse(yield* add([10]))
      assert.isFalse(yield* add([11, 9]))
      assert.isTrue(yield* add([11]))
    }))

  it.effect("is read where more are there, or longer ones, than memory is kept for", () =>
    Effect.gen(function*() {
      const { add, taken } = yield* make
      assert.isTrue(yield* add([11, 12, 13, 14]))
      assert.isFalse(yield* add([15, 16, 17]))
      assert.deepStrictEqual(taken(), [11, 12, 13, 14])
      assert.isTrue(yield* add([15, 16, 17]))
      assert.isFalse(yield* add([18], {}, JSON.stringify("x".repeat(100))))
      assert.deepStrictEqual(taken(), [15, 16, 17])
      assert.isFalse(yield* add([18], {}, JSON.stringify("x".repeat(100))))
    }))

  it.effect("is read where many wait, of more than one tenant: they have to take turns", () =>
    Effect.gen(function*() {
      const { add, taken } = yield* make
      assert.isTrue(yield* add([11, 12]))
      assert.isTrue(yield* add([13], {}, "{}", "other"))
      assert.isFalse(yield* add([14], {}, "{}", "third"))
      assert.isTrue(yield* add([14]))
      assert.deepStrictEqual(taken(), [11, 12, 13, 14])
    }))

  it.effect("of a group that has more than fits has its turn after those of others", () =>
    Effect.gen(function*() {
      const { add, committed, state, taken } = yield* make
      yield* add([11, 12, 13, 14, 15])
      HandedOver.add(state, groupOf("integration.a.other"), yield* committed([20]))
      assert.deepStrictEqual(taken(), [11, 12, 13, 14])
      assert.deepStrictEqual(taken(), [20, 15])
    }))

  it.effect("waits while its lanes are full, and holds no other group back", () =>
    Effect.gen(function*() {
      const { add, committed, state, taken } = yield* make
      const id = yield* Id.subscriptionId(1)
      const full = groupOf("integration.a.full", { fed: [id] })
      const lane = State.laneOf(state, id)
      for (let n = 0; n < state.limits.laneWindow; n++) {
        lane.inFlight.add({ deliveryId: yield* Id.deliveryId(n), group: full, atMs: 0, maker: undefined })
      }
      HandedOver.add(state, full, yield* committed([11]))
      yield* add([12])
      assert.deepStrictEqual(taken(), [12])
      while (lane.inFlight.size > 0) lane.inFlight.shift()
      assert.deepStrictEqual(taken(), [11])
    }))
})

describe("a process that stores messages of a group that it owns", () => {
  /** What the storage has read. */
  const reading = (read: Array<MessageId>) =>
    Layer.effect(
      Storage,
      Effect.map(Storage, (storage) => ({
        ...storage,
        unrouted: (owners, options) =>
          Effect.tap(
            storage.unrouted(owners, options),
            ({ messages }) => Effect.sync(() => read.push(...messages.map(({ id }) => id)))
          )
      }))
    ).pipe(Layer.provide(StorageMemory.layer))

  const emit = (n: number, options?: Parameters<typeof Hook.emit>[2]) =>
    Hook.emit(Created, { incidentId: String(n), systemIds: [] }, options)

  /** Delivers a first message, for which the group is taken over. */
  const taken = Effect.fnUntraced(function*(endpoints: Endpoints) {
    yield* subscribe("a")
    yield* emit(0)
    yield* until("the first is delivered", () => endpoints.seen.length === 1)
  })

  it.effect("delivers them without reading them, each once", () => {
    const endpoints = new Endpoints()
    const read: Array<MessageId> = []
    return Effect.gen(function*() {
      yield* taken(endpoints)
      read.length = 0
      const ids = yield* Effect.forEach([1, 2, 3], (n) => emit(n))
      yield* until("all are delivered", () => endpoints.seen.length === 4)
      assert.deepStrictEqual(read, [])
      assert.deepStrictEqual(endpoints.seen.slice(1).map(({ attempt }) => attempt.message.id), ids)
      yield* until("they are recorded", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const items = yield* Effect.orDie(storage.listDeliveries({}, { cursor: undefined, limit: 10 }))
          return items.length === 4 && items.every(({ status }) => status === "success")
        }))
      assert.strictEqual(endpoints.seen.length, 4)
    }).pipe(Effect.provide(layerOn(endpoints, reading(read))))
  })

  it.effect("delivers them to subscriptions that were made just before", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* taken(endpoints)
      yield* subscribe("b")
      yield* emit(1)
      yield* until("both have it", () => endpoints.of("a").length === 2 && endpoints.of("b").length === 1)
    }).pipe(Effect.provide(layerOn(endpoints, StorageMemory.layer)))
  })

  it.effect("reads those that somebody listens to, as others may store some, too", () => {
    const endpoints = new Endpoints()
    const read: Array<MessageId> = []
    return Effect.gen(function*() {
      yield* taken(endpoints)
      yield* Storage.use((storage) => storage.listen(["integration.incident.incident.created"]))
      const id = yield* emit(1)
      yield* until("it is delivered", () => endpoints.seen.length === 2)
      assert.include(read, id)
    }).pipe(Effect.provide(layerOn(endpoints, reading(read))))
  })

  it.effect("reads those that are stored with an idempotency key", () => {
    const endpoints = new Endpoints()
    const read: Array<MessageId> = []
    return Effect.gen(function*() {
      yield* taken(endpoints)
      const id = yield* emit(1, { idempotencyKey: "k" })
      yield* emit(1, { idempotencyKey: "k" })
      yield* until("it is delivered", () => endpoints.seen.length === 2)
      assert.include(read, id)
    }).pipe(Effect.provide(layerOn(endpoints, reading(read))))
  })
})
