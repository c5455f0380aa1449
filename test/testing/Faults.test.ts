import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../../src/Hook.ts"
import { Storage } from "../../src/Storage.ts"
import { MemoryTransactions } from "../../src/StorageMemory.ts"
import * as Deliveries from "../../src/testing/Deliveries.ts"
import * as Endpoints from "../../src/testing/Endpoints.ts"
import * as Faults from "../../src/testing/Faults.ts"
import * as HooklineTest from "../../src/testing/HooklineTest.ts"
import * as Requests from "../../src/testing/Requests.ts"
import { Created, IncidentPlugin } from "../support/world.ts"

const url = "https://example.com/hook"

const payload = { incidentId: "i1", systemIds: ["s1"] }

const world = (faults: Faults.Options) => HooklineTest.provide({ plugins: IncidentPlugin, faults })

const subscribe = HooklineTest.subscribe({
  events: ["incident.*"],
  url,
  retry: { type: "delays", delaysMs: Array.from({ length: 20 }, () => 1000) }
})

/** Strikes nothing that is not named. */
const none: Omit<Faults.Options, "seed"> = { rate: 1, inARow: 1, unavailable: [], lost: [], endpoints: [] }

describe("Faults", () => {
  it.effect("strike the same calls again by the same seed, and others by another", () =>
    Effect.gen(function*() {
      const run = (seed: number) =>
        Effect.gen(function*() {
          yield* subscribe
          for (let n = 0; n < 5; n++) {
            yield* Effect.retry(Hook.emit(Created, payload, { idempotencyKey: `${n}` }), { times: 10 })
          }
          yield* Deliveries.settled
          return {
            strikes: yield* Faults.strikes,
            requests: (yield* Requests.all).map(({ atMs, body, result }) => ({ atMs, body, result })),
            // Secrets, and so signatures, are the system's to draw.
            deliveries: (yield* Deliveries.all).map(({ attempts, ...delivery }) => ({
              ...delivery,
              attempts: attempts.map((attempt) => ({ ...attempt, request: undefined }))
            }))
          }
        }).pipe(
          world({ seed, rate: 0.4 }),
          Effect.provide(TestClock.layer()),
          // A fiber lets others go first after so many steps, and the test's has made some in the run before.
          Effect.provideService(Scheduler.MaxOpsBeforeYield, Number.MAX_SAFE_INTEGER)
        )
      // What is loaded when it is first needed takes its time in the first run of a process.
      yield* run(42)
      const first = yield* run(42)
      assert.isAtLeast(first.strikes.length, 5)
      assert.deepStrictEqual(yield* run(42), first)
      assert.notDeepEqual((yield* run(43)).strikes, first.strikes)
    }))

  it.effect("lose the answer of an append: the message is stored, and the same key gives its id", () =>
    Effect.gen(function*() {
      yield* subscribe
      const error = yield* Effect.flip(Hook.emit(Created, payload, { idempotencyKey: "k" }))
      assert.deepInclude(error, {
        _tag: "EmitOutcomeUnknown",
        message: "Fault 1 of the seed 7: appendOnce: answer lost"
      })
      const id = yield* Hook.emit(Created, payload, { idempotencyKey: "k" })
      yield* Deliveries.settled
      assert.deepStrictEqual((yield* Deliveries.all).map(({ messageId }) => messageId), [id])
    }).pipe(world({ ...none, seed: 7, lost: ["appendOnce"] })))

  it.effect("lose no answer inside a transaction, which has yet to commit", () =>
    Effect.gen(function*() {
      const { withTransaction } = yield* MemoryTransactions
      yield* withTransaction(Hook.emit(Created, payload))
      assert.isEmpty(yield* Faults.strikes)
    }).pipe(world({ ...none, seed: 1, lost: ["append"] })))

  it.effect("make the storage unavailable for the verbs that are named", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Hook.emit(Created, payload))
      assert.strictEqual(error._tag, "StorageUnavailable")
      const storage = yield* Storage
      const messages = storage.listMessages({}, { cursor: undefined, limit: 10, bytes: 1e9 })
      assert.isEmpty((yield* messages).items)
      yield* Hook.emit(Created, payload)
      assert.lengthOf((yield* messages).items, 1)
    }).pipe(world({ ...none, seed: "by name", unavailable: ["append"] })))

  it.effect("strike no more often in a row than they may, so that all goes on", () =>
    Effect.gen(function*() {
      yield* subscribe
      const id = yield* Effect.retry(Hook.emit(Created, payload, { idempotencyKey: "k" }), { times: 3 })
      yield* Deliveries.settled
      const [delivery] = yield* Deliveries.of(id)
      assert.strictEqual(delivery?.status, "success")
      assert.lengthOf(delivery?.attempts ?? [], 4)
    }).pipe(world({ seed: 0, rate: 1 })))

  it.effect("break connections after the endpoint has accepted: it gets the message again", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [201, 202])
      yield* subscribe
      yield* Hook.emit(Created, payload)
      yield* Deliveries.settled
      assert.deepStrictEqual((yield* Requests.to(url)).map(({ result }) => result), [
        { _tag: "Failed", code: "ECONNRESET", lostStatusCode: 201 },
        { _tag: "Answered", statusCode: 202 }
      ])
    }).pipe(world({ ...none, seed: 1, endpoints: ["reset"] })))

  it.effect("are told with their seed when a test fails, whatever fails it", () =>
    Effect.gen(function*() {
      const report = Effect.fnUntraced(function*<A, E>(test: Effect.Effect<A, E>) {
        const exit = yield* Effect.exit(test)
        return exit._tag === "Failure" ? Cause.pretty(exit.cause) : "passed"
      })
      const asserting = Effect.gen(function*() {
        yield* Effect.ignore(Hook.emit(Created, payload))
        assert.strictEqual(1, 2, "of the test")
      }).pipe(world({ ...none, seed: 11, unavailable: ["append"] }))
      const asserted = yield* report(asserting)
      assert.include(asserted, "of the test: expected 1 to equal 2")
      assert.include(asserted, "Faults of the seed 11 struck: append: unavailable.")
      const settling = Effect.gen(function*() {
        yield* subscribe
        yield* Hook.emit(Created, payload)
        yield* Deliveries.settledWithin({ virtualMs: 100 })
      }).pipe(world({ ...none, seed: "s", endpoints: ["hangs"] }))
      assert.include(yield* report(settling), `Faults of the seed "s" struck: ${url}: hangs.`)
    }))

  it.effect("are none where no layer of them is provided", () =>
    Effect.gen(function*() {
      yield* subscribe
      yield* Hook.emit(Created, payload)
      yield* Deliveries.settled
      assert.isEmpty(yield* Faults.strikes)
    }).pipe(HooklineTest.provide({ plugins: IncidentPlugin })))
})
