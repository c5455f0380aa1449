import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { exited, hookline, kill, madeDataDir, until } from "../support/process.ts"
import { adminKey, freePort, get, post, ready, receiver, startArgs } from "../support/runner.ts"

describe("guarantee 10, nothing poisons", () => {
  it.live(
    "a message that kills the process when delivered ends as crashed-owner and takes no neighbour with it",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* madeDataDir
        const port = yield* freePort
        const endpoint = yield* receiver
        const args = startArgs({ config: "test/cli/configs/poison.ts", port, dataDir })
        const env = { HOOKLINE_ADMIN_KEY: adminKey, POISON_URL: `http://127.0.0.1:${endpoint.port}/` }
        const url = `http://127.0.0.1:${port}/api/v1`
        let runner = yield* hookline(args, env)
        yield* until("the runner is ready", ready(port))
        const created = yield* post(`${url}/subscriptions`, {
          name: "a",
          events: ["test.happened"],
          providerId: "test.endpoint",
          config: {},
          enabled: false
        })
        assert.strictEqual(created.status, 201)
        const emit = (poison: boolean) =>
          Effect.map(post(`${url}/messages`, { eventId: "test.happened", payload: { poison } }), ({ json }) =>
            String(json["id"]))
        const neighbours: Array<string> = []
        let poison = ""
        for (let n = 0; n < 60; n++) {
          if (n === 30) {
            poison = yield* emit(true)
          }
          neighbours.push(yield* emit(false))
        }
        // The poison may be quicker than the answer.
        yield* post(`${url}/subscriptions/${created.json["id"]}/enable`, {}).pipe(Effect.ignore)
        let crashes = 0
        const done = Effect.sync(() =>
          neighbours.every((id) => endpoint.seen.has(id))
        )
        const failed = Effect.map(get(`${url}/deliveries?messageId=${poison}`), ({ text }) =>
          text.includes("crashed-owner"))
        yield* until(
          "the poison has failed and every neighbour was delivered",
          Effect.gen(function*() {
            if (runner.child.signalCode !== null) {
              crashes++
              runner = yield* hookline(args, env)
              yield* until("the runner is ready again", ready(port))
            }
            return (yield* done) && (yield* failed)
          })
        )
        assert.strictEqual(crashes, 3)
        const { text } = yield* get(`${url}/deliveries?status=failed`)
        assert.include(text, "\"crashed-owner\"")
        assert.strictEqual(text.split("\"failed\"").length, 2, "the poison alone failed")
        yield* kill(runner.child, "SIGTERM")
        yield* exited(runner.child)
      }),
    120_000
  )
})
