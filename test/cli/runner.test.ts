import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { exited, hookline, kill, madeDataDir, until } from "../support/process.ts"
import { adminKey, config, freePort, post, ready, receiver, startArgs } from "../support/runner.ts"

const emission = (n: number) => ({
  eventId: "incident.incident.created",
  payload: {
    incidentId: `i${n}`,
    systemIds: ["web"],
    title: "t",
    severity: "s",
    status: "open",
    createdAt: "2026-01-31"
  }
})

describe("the runner", () => {
  it.live(
    "killed with its whole process group in mid-delivery and started again, it delivers everything",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* madeDataDir
        const port = yield* freePort
        const endpoint = yield* receiver
        const args = startArgs({ port, dataDir })
        const env = { HOOKLINE_ADMIN_KEY: adminKey }
        const first = yield* hookline(args, env)
        yield* until("the runner is ready", ready(port))
        const url = `http://127.0.0.1:${port}/api/v1`
        const created = yield* post(`${url}/subscriptions`, {
          name: "a",
          events: ["incident.*"],
          providerId: "webhook.webhook",
          config: { url: `http://127.0.0.1:${endpoint.port}/` }
        })
        assert.strictEqual(created.status, 201)
        endpoint.hold = true
        const ids = new Set<string>()
        for (let n = 0; n < 100; n++) ids.add(String((yield* post(`${url}/messages`, emission(n))).json["id"]))
        yield* until("some are in flight", Effect.sync(() => endpoint.held.length > 10))
        yield* kill(first.child, "SIGKILL")
        yield* exited(first.child)
        endpoint.hold = false
        const inFlight = new Set(endpoint.seen.keys())
        const second = yield* hookline(args, env)
        yield* until("the runner is ready again", ready(port))
        yield* until("every message came", Effect.sync(() => [...ids].every((id) => endpoint.seen.has(id))))
        yield* until(
          "those in flight came again",
          Effect.sync(() => [...inFlight].every((id) => (endpoint.seen.get(id) ?? 0) >= 2))
        )
        for (const [id, times] of endpoint.seen) assert.isAtMost(times, inFlight.has(id) ? 2 : 1, id)
        yield* kill(second.child, "SIGTERM")
        assert.strictEqual(yield* exited(second.child), 0)
      }),
    90_000
  )

  it.live(
    "says what to set where something is missing, and what to do where a port or file can't be used",
    () =>
      Effect.gen(function*() {
        const [thrownDir, takenDir] = [yield* madeDataDir, yield* madeDataDir]
        const endpoint = yield* receiver
        const bare = yield* hookline(["start", "--config", config])
        const noFile = yield* hookline(["start", "--dev", "--config", "nowhere.ts"])
        const throwing = yield* hookline(
          ["start", "--dev", "--config", "test/cli/configs/throws.ts", "--data-dir", thrownDir]
        )
        const unknown = yield* hookline(["no-such-command"])
        const taken = yield* hookline(startArgs({ port: endpoint.port, dataDir: takenDir }))
        assert.notStrictEqual(yield* exited(bare.child), 0)
        for (const name of ["DATABASE_URL", "HOOKLINE_MASTER_KEY", "HOOKLINE_ADMIN_KEY"]) {
          assert.include(bare.output.text, name)
        }
        assert.notStrictEqual(yield* exited(noFile.child), 0)
        assert.include(noFile.output.text, "--config")
        assert.notStrictEqual(yield* exited(throwing.child), 0)
        assert.include(throwing.output.text, "throws.ts: no connection to the incident database")
        assert.notStrictEqual(yield* exited(unknown.child), 0)
        assert.notStrictEqual(yield* exited(taken.child), 0)
        assert.include(taken.output.text, "--port")
      }),
    90_000
  )
})
