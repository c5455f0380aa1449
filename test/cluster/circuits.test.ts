import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { createServer, type ServerResponse } from "node:http"
import * as Cluster from "../support/cluster.ts"
import { until } from "../support/process.ts"
import { get } from "../support/runner.ts"
import { listening } from "../support/served.ts"

/** An endpoint on one port that goes away and comes back, and holds its answers when it is told to. */
const endpoint = Effect.acquireRelease(
  Effect.sync(() => {
    const state = { arrived: 0, isHolding: false, held: new Array<ServerResponse>() }
    const server = createServer((request, response) => {
      request.resume().on("end", () => {
        state.arrived++
        if (state.isHolding) state.held.push(response)
        else response.writeHead(204).end()
      })
    })
    const listen = (port: number) => listening(server, port)
    const close = Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
    const answer = Effect.sync(() => {
      state.isHolding = false
      for (const response of state.held.splice(0)) response.writeHead(204).end()
    })
    return { state, listen, close, answer }
  }),
  ({ close }) => close
)

const Subscription = Schema.fromJsonString(Schema.Struct({
  health: Schema.optionalKey(Schema.Struct({ circuit: Schema.String }))
}))

const Deliveries = Schema.fromJsonString(Schema.Struct({
  items: Schema.Array(Schema.Struct({
    messageId: Schema.String,
    attemptCount: Schema.Int
  }))
}))

describe("an endpoint that dies", () => {
  it.live(
    "is left in peace by all runners until one delivery finds it back, and then gets everything",
    () =>
      Effect.gen(function*() {
        const { answer, close, listen, state } = yield* endpoint
        const port = yield* listen(0)
        const cluster = yield* Cluster.make
        const runners = yield* Effect.all([cluster.start(), cluster.start()], { concurrency: 2 })
        const [one, other] = runners
        const { json } = yield* one.subscribe(`http://127.0.0.1:${port}/`)
        const circuit = Effect.flatMap(get(`${other.url}/subscriptions/${json["id"]}`), ({ text }) =>
          Effect.map(Schema.decodeUnknownEffect(Subscription)(text), ({ health }) =>
            health?.circuit ?? "closed"))
        const emitAll = Effect.forEach(Cluster.events, (eventId, n) =>
          (n % 2 === 0 ? one : other).emit(eventId, n), { concurrency: 4 })
        const first = yield* emitAll
        yield* until(
          "it has the first",
          Effect.sync(() =>
            state.arrived === first.length
          )
        )

        yield* close
        yield* emitAll
        yield* until("the circuit is open", Effect.map(circuit, (is) => is === "open"))
        const spared = new Set(yield* emitAll)
        const waiting = Effect.map(
          Effect.flatMap(get(`${other.url}/deliveries?limit=100`), ({ text }) =>
            Schema.decodeUnknownEffect(Deliveries)(text)),
          ({ items }) =>
            items.filter(({ messageId }) =>
              spared.has(messageId)
            )
        )
        yield* until("all wait", Effect.map(waiting, (found) => found.length === spared.size))
        // One of them may have been sent meanwhile to see whether it is back.
        assert.isAtMost((yield* waiting).filter(({ attemptCount }) => attemptCount > 0).length, runners.length)

        state.isHolding = true
        yield* listen(port)
        yield* until("one is sent to see whether it is back", Effect.sync(() => state.held.length > 0))
        assert.strictEqual(yield* circuit, "half-open")
        assert.isAtMost(state.held.length, runners.length)
        yield* answer
        yield* until(
          "it has everything",
          Effect.map(one.deliveries, (all) =>
            all.size === 36 && [...all.values()].every((status) => status === "success"))
        )
        assert.strictEqual(yield* circuit, "closed")
        assert.strictEqual(state.arrived, 36)
      }),
    120_000
  )
})
