import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { Hook } from "hookline"
import { Arbitraries, Deliveries, Endpoints, HooklineTest, Requests } from "hookline/testing"
import { IncidentCreated, IncidentPlugin } from "./incident.ts"

const pager = "https://pager.example.com/hook"
const chat = "https://chat.example.com/hook"
const other = "https://other.example.com/hook"

// A receiver fails at most five times by its script, and each message there at most three times in a row by faults.
const retry = { type: "delays", delaysMs: Array.from({ length: 30 }, () => 1000) }

/** Emits until it is known to be stored: the key makes a repetition safe. */
const emit = (incident: typeof IncidentCreated.payload.Type, idempotencyKey: string) =>
  Hook.emit(IncidentCreated, incident, { idempotencyKey }).pipe(
    Effect.retry({ while: ({ _tag }) => _tag === "EmitOutcomeUnknown" || _tag === "StorageUnavailable" })
  )

describe("incidents", () => {
  it.effect.prop(
    "every emitted incident is delivered once to each matching subscription, whatever fails",
    {
      incidents: Arbitrary.array(Arbitraries.payload(IncidentCreated)),
      receiver: Arbitraries.script({ failures: 5 }),
      // Faults of the storage and the network.
      seed: Schema.Int
    },
    ({ incidents, receiver, seed }) =>
      Effect.gen(function*() {
        yield* Endpoints.script(pager, receiver)
        const matching = [
          yield* HooklineTest.subscribe({ events: ["incident.incident.created"], url: pager, retry }),
          yield* HooklineTest.subscribe({ events: ["incident.*"], url: chat, retry })
        ]
        yield* HooklineTest.subscribe({ events: ["incident.incident.resolved.*"], url: other })
        const ids = yield* Effect.forEach(incidents, (incident, i) => emit(incident, `incident-${i}`), {
          concurrency: "unbounded"
        })
        yield* Deliveries.settled

        assert.isEmpty(yield* Requests.to(other))
        for (const url of [pager, chat]) {
          const received = (yield* Requests.to(url)).map(({ headers }) => headers["webhook-id"])
          assert.sameMembers([...new Set(received)], ids)
        }
        const requests = Map.groupBy(yield* Requests.all, ({ headers }) => headers["x-delivery-id"])
        for (const id of ids) {
          const deliveries = yield* Deliveries.of(id)
          assert.sameMembers(deliveries.map((delivery) => delivery.subscriptionId), matching.map(({ id }) => id))
          for (const { attempts, id, status } of deliveries) {
            assert.strictEqual(status, "success")
            assert.lengthOf(attempts.filter(({ outcome }) => outcome === "success"), 1)
            const sent = requests.get(id) ?? []
            const accepted = sent.filter(Requests.isAccepted)
            assert.isNotEmpty(accepted)
            // Again only where an outcome was lost: a request without a record.
            assert.isAtMost(accepted.length - 1, sent.length - attempts.length)
          }
        }
      }).pipe(HooklineTest.provide({ plugins: IncidentPlugin, faults: { seed } })),
    { arbitrary: { runs: 50 }, timeout: 60_000 }
  )
})
