import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as Id from "../src/Id.ts"
import { workerGroup } from "../src/Message.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Lane, type Work } from "../src/StorageMemoryLane.ts"

const eventId = "test.lane"
const group = workerGroup(eventId)

const work = (seq: number, dueAtMs: number) =>
  Effect.gen(function*() {
    const subscriptionId = yield* Id.subscriptionId(0)
    const message = { id: yield* Id.messageId(0), eventId, tenantId: "t", orderingKey: undefined, payloadJson: "{}" }
    const made: Work = {
      id: yield* Id.deliveryId(0),
      message: { message, seq, workerGroup: group, size: 2, state: { _tag: "Unrouted" }, transformedJson: undefined },
      subscriptionId,
      workerGroup: group,
      attempts: 0,
      retryBase: 0,
      claims: 0,
      epoch: undefined,
      dueAtMs,
      expiresAtMs: undefined,
      lastError: undefined
    }
    return made
  })

const Steps = Schema.Array(Schema.Struct({
  step: Schema.Literals(["wait", "claim", "release", "retry", "remove"]),
  at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
}))

describe("a lane of the memory storage", () => {
  it.effect.prop(
    "whatever happens in it, it claims what a sorted list would",
    [Arbitrary.schema(Steps)],
    ([steps]) =>
      Effect.gen(function*() {
        const lane = new Lane(group, yield* Id.subscriptionId(0))
        let waiting: Array<Work> = []
        const claimed: Array<Work> = []
        let seq = 0
        const wait = (one: Work) => {
          lane.wait(one)
          waiting.push(one)
        }
        for (const { at, step } of steps) {
          waiting.sort((a, b) => a.dueAtMs - b.dueAtMs || a.message.seq - b.message.seq)
          const mine = step === "release" || step === "retry" ? claimed.pop() : undefined
          if (step === "wait") wait(yield* work(++seq, at))
          else if (step === "remove") {
            const gone = new Set(waiting.filter((one) => one.dueAtMs === at))
            lane.remove(gone)
            waiting = waiting.filter((one) => !gone.has(one))
          } else if (step === "claim") {
            const expected = waiting.filter((one) => one.dueAtMs <= at).slice(0, 2)
            const { nextDueAtMs, taken } = lane.claim({
              free: 2,
              bytes: 1e9,
              first: true,
              nowMs: at,
              suspectClaims: 100,
              epoch: 1
            })
            assert.deepStrictEqual(taken, expected)
            waiting = waiting.filter((one) => !expected.includes(one))
            assert.strictEqual(nextDueAtMs, waiting[0]?.dueAtMs)
            claimed.push(...expected)
          } else if (mine) {
            if (step === "release") mine.claims--
            else Object.assign(mine, { claims: 0, dueAtMs: at })
            wait(mine)
          }
        }
        assert.strictEqual(lane.waiting.length, waiting.length)
        assert.strictEqual(lane.claimed.size, claimed.length)
        assert.strictEqual(lane.isEmpty, waiting.length + claimed.length === 0)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect("a backlog of 200,000 is claimed and recorded in bounded time", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const subscriptionId = yield* Id.subscriptionId(0)
      yield* storage.createSubscription({
        id: subscriptionId,
        tenantId: "t",
        name: "a",
        description: undefined,
        events: [eventId],
        providerId: "test.endpoint",
        config: {},
        connectionId: undefined,
        signingSecrets: [],
        retry: undefined,
        enabled: true,
        disabledReason: undefined,
        disabledAtMs: undefined,
        filter: undefined,
        ordered: false,
        maxConcurrency: undefined,
        rateLimit: undefined,
        createdAtMs: 0,
        updatedAtMs: 0
      })
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, { workerGroup: group, partition: 0 }, 1000)
      const { version } = yield* storage.subscriptions
      const messageId = yield* Id.messageId(0)
      yield* storage.append([{ id: messageId, eventId, tenantId: "t", orderingKey: undefined, payloadJson: "{}" }])
      const ids = yield* Effect.replicateEffect(Id.deliveryId(0), 200_000)
      yield* storage.route({
        version,
        messages: [
          { owner, messageId, seq: 1, matched: ids.length, filtered: 0, transformedJson: undefined, error: undefined }
        ],
        deliveries: ids.map((id) => ({ id, messageId, subscriptionId, claimed: false }))
      })
      const claim = storage.claim({
        owners: [owner],
        lanes: [{ workerGroup: group, subscriptionId, free: 10 }],
        limit: 10,
        bytes: 1e9,
        suspectClaims: 2,
        suspectProviders: ["test.endpoint"]
      })
      // Did a claim or the sweep walk the backlog, the test's time would be over long before the last of these.
      for (let n = 0; n < 10_000; n++) {
        const { claimed } = yield* claim
        const [first, ...rest] = claimed
        assert.strictEqual(rest.length, 9)
        if (!first) continue
        yield* storage.release(owner, rest.map((one) => one.deliveryId))
        yield* storage.record([{
          owner,
          deliveryId: first.deliveryId,
          attemptCount: 0,
          attempt: { number: 1, startedAtMs: 0, durationMs: 1, outcome: "success" },
          transition: {
            _tag: "Final",
            status: "success",
            reason: undefined,
            externalId: undefined,
            lastError: undefined
          }
        }])
        yield* storage.due({ aheadMs: 0 })
      }
    }).pipe(Effect.provide(StorageMemory.layer)))
})
