import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Hook } from "hookline"
import { Deliveries, Endpoints, HooklineTest, Requests } from "hookline/testing"
import { IncidentCreated, IncidentPlugin } from "./incident.ts"

const url = "https://pager.example.com/hook"

const incident: typeof IncidentCreated.payload.Type = {
  incidentId: "i-1",
  systemIds: ["checkout"],
  title: "Checkout is down",
  severity: "critical"
}

describe("the pager's webhook", () => {
  it.effect("gets an incident again, under the same id, until it accepts it", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [
        500,
        Endpoints.hangs,
        Endpoints.reply(429, { headers: { "retry-after": "30" } }),
        200
      ])
      const { signingSecret } = yield* HooklineTest.subscribe({ events: ["incident.*"], url })
      const id = yield* Hook.emit(IncidentCreated, incident)
      yield* Deliveries.settled

      const requests = yield* Requests.to(url)
      assert.lengthOf(requests, 4)
      for (const request of requests) {
        assert.strictEqual(request.headers["webhook-id"], id)
        yield* Requests.verify(request, signingSecret)
      }
      const [delivery] = yield* Deliveries.of(id)
      assert.strictEqual(delivery?.status, "success")
      assert.deepStrictEqual(delivery?.attempts.map(({ outcome }) => outcome), [
        "retryable",
        "timeout",
        "retryable",
        "success"
      ])
    }).pipe(HooklineTest.provide({ plugins: IncidentPlugin })))

  it.effect("gets nothing that its filter does not want", () =>
    Effect.gen(function*() {
      const filter = { field: "payload.severity", in: ["major", "critical"] }
      yield* HooklineTest.subscribe({ events: ["incident.*"], url, filter })
      yield* Hook.emit(IncidentCreated, { ...incident, severity: "minor" })
      yield* Hook.emit(IncidentCreated, incident)
      yield* Deliveries.settled
      const [request, ...more] = yield* Requests.to(url)
      assert.include(request?.body, "critical")
      assert.isEmpty(more)
    }).pipe(HooklineTest.provide({ plugins: IncidentPlugin })))
})
