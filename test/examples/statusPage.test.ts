/**
 * The example that users read first, run as they run it: a process of its own, a real database and a real receiver.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { Reactivity } from "effect/reactivity"
import { Webhook } from "standardwebhooks"
import * as Signature from "../../src/Signature.ts"
import { testDatabase } from "../support/postgres.ts"
import { exited, kill, program, until } from "../support/process.ts"
import { served } from "../support/served.ts"

const Body = Schema.Struct({
  type: Schema.String,
  data: Schema.Struct({ incidentId: Schema.String, title: Schema.String, systemIds: Schema.Array(Schema.String) })
})

/** A receiver that takes only what the third party verifies. */
const receiver = (secret: string) =>
  Effect.gen(function*() {
    const webhook = new Webhook(secret)
    const received: Array<{ readonly id: string; readonly body: typeof Body.Type }> = []
    const refused: Array<string> = []
    const { port } = yield* served((request, response) => {
      let body = ""
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString()
      }).on("end", () => {
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)])
        )
        try {
          const verified = Schema.decodeUnknownSync(Body)(webhook.verify(body, headers))
          received.push({ id: String(headers["webhook-id"]), body: verified })
          response.writeHead(204).end()
        } catch (error) {
          refused.push(String(error))
          response.writeHead(400).end()
        }
      })
    })
    return { url: `http://127.0.0.1:${port}/`, received, refused }
  })

describe("the status page", () => {
  it.live(
    "sends what its transactions committed, signed, and nothing of the one that rolled back; started again, goes on",
    () =>
      Effect.gen(function*() {
        const database = yield* testDatabase
        const secret = Redacted.value(yield* Signature.generateSecret)
        const endpoint = yield* receiver(secret)
        const start = program(["examples/status-page/main.ts"], {
          DATABASE_URL: Redacted.value(database.url),
          HOOKLINE_MASTER_KEY: "ab".repeat(32),
          HOOKLINE_EGRESS_ALLOW: "127.0.0.0/8",
          WEBHOOK_URL: endpoint.url,
          WEBHOOK_SECRET: secret
        })
        const sql = yield* PgClient.make({ url: database.url, maxConnections: 1 })
        const unfinished = Effect.map(
          sql<{ readonly n: number }>`select (select count(*) from hookline.inbox)::int
            + (select count(*) from hookline.work)::int as n`,
          ([row]) => row?.n
        )
        for (const run of [1, 2]) {
          const { child, output } = yield* start
          yield* until(`run ${run} has sent its messages`, Effect.sync(() => endpoint.received.length >= 2 * run))
          // All that was emitted is routed, sent and recorded: nothing more can come.
          yield* until("nothing is left to do", Effect.map(unfinished, (n) => n === 0))
          assert.include(output.text, "SystemHasIncident")
          yield* kill(child, "SIGTERM")
          yield* exited(child)
        }
        assert.deepStrictEqual(endpoint.refused, [])
        assert.strictEqual(new Set(endpoint.received.map(({ id }) => id)).size, 4)
        const byIncident = Map.groupBy(endpoint.received, ({ body }) => body.data.incidentId)
        assert.strictEqual(byIncident.size, 2)
        for (const messages of byIncident.values()) {
          assert.deepStrictEqual(messages.map(({ body }) => body.type).sort(), [
            "incident.incident.created",
            "incident.incident.resolved"
          ])
          for (const { body: { data } } of messages) {
            assert.deepInclude(data, { title: "Checkout is down", systemIds: ["checkout"] })
          }
        }
        const stored = yield* sql<{ readonly title: string }>`select title from incidents`
        assert.deepStrictEqual(stored.map(({ title }) => title), ["Checkout is down", "Checkout is down"])
      }).pipe(Effect.provide(Reactivity.layer)),
    90_000
  )
})
