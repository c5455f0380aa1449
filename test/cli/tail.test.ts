import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Provider from "../../src/Provider.ts"
import { adminKey, call, emission, server, subscription } from "../http/support.ts"
import * as Cli from "../support/cli.ts"
import { exited, hookline, kill, until } from "../support/process.ts"
import { freePort } from "../support/runner.ts"
import { Endpoints } from "../support/world.ts"

const Line = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

const lines = (text: string) =>
  text.split("\n").filter((line) => line !== "").map((line) => Schema.decodeUnknownSync(Line)(line))

const says = (output: { readonly stderr: string }, text: string, times = 1) =>
  until(`it says ${text}`, Effect.sync(() => output.stderr.split(text).length > times))

/** A runner on a port that has one subscription. */
const serving = <A, E, R>(port: number, use: Effect.Effect<A, E, R>) => {
  const endpoints = new Endpoints()
  endpoints.behaviours.set("a", (attempt) =>
    attempt.number === 1
      ? Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "HTTP\u001b[31m 500", statusCode: 500 }))
      : Effect.succeed({ statusCode: 200 }))
  return Effect.gen(function*() {
    yield* call("POST", "/api/v1/subscriptions", subscription({ retry: { type: "delays", delaysMs: [1] } }))
    return yield* use
  }).pipe(Effect.provide(server({ endpoints, port })))
}

const emit = call("POST", "/api/v1/messages", emission())

describe("hookline tail", () => {
  it.live(
    "shows outcomes as they are recorded, and goes on when the runner was started again",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const env = { HOOKLINE_URL: `http://127.0.0.1:${port}`, HOOKLINE_ADMIN_KEY: adminKey }
        const { people, scripts } = yield* serving(
          port,
          Effect.gen(function*() {
            const people = yield* hookline(["tail", "--event", "incident.incident.created"], env)
            const scripts = yield* hookline(["tail", "--json"], env)
            const others = yield* hookline(["tail", "--json", "--tenant", "other"], env)
            for (const { output } of [people, scripts, others]) yield* says(output, "Listening to")
            yield* emit
            yield* until("both attempts are shown", Effect.sync(() => lines(scripts.output.stdout).length === 2))
            const [first, second] = lines(scripts.output.stdout)
            assert.deepInclude(first, { status: "retrying", attemptCount: 1 })
            assert.deepInclude(second, { status: "success", attemptCount: 2 })
            yield* until("people see them too", Effect.sync(() => people.output.stdout.split("\n").length === 3))
            assert.match(
              people.output.stdout,
              /retryable +500 .* attempt 1 .*HttpStatus: HTTP\\u001b\[31m 500 +again at/u
            )
            assert.match(people.output.stdout, /success +200 .* attempt 2 .* success$/mu)
            assert.strictEqual(others.output.stdout, "")
            yield* kill(others.child, "SIGINT")
            assert.strictEqual(yield* exited(others.child), 0)
            return { people, scripts }
          })
        )
        for (const { output } of [people, scripts]) yield* says(output, "has hung up: trying again")
        yield* serving(
          port,
          Effect.gen(function*() {
            for (const { output } of [people, scripts]) yield* says(output, "Listening to", 2)
            yield* emit
            yield* until("it goes on", Effect.sync(() => lines(scripts.output.stdout).length === 5))
            // What this runner recorded before it was asked again is not known.
            assert.deepStrictEqual(lines(scripts.output.stdout)[2], { gap: true })
          })
        )
        for (const { child } of [people, scripts]) yield* kill(child, "SIGTERM")
      }),
    60_000
  )

  it.live("a runner that is not there, or refuses the key, ends it at once", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const env = { HOOKLINE_URL: `http://127.0.0.1:${port}`, HOOKLINE_ADMIN_KEY: "wrong" }
      const away = yield* Cli.call(["tail"], env)
      assert.strictEqual(away.code, 1)
      assert.match(away.stderr, /^hookline: No Hookline answers at .*\n$/u)
      const refused = yield* serving(port, Cli.call(["tail"], env))
      assert.strictEqual(refused.code, 1)
      assert.match(refused.stderr, /^hookline: .* refuses the key .*\n$/u)
    }), 60_000)
})
