import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Client } from "undici"
import { Connections } from "../../src/egress/Connections.ts"
import { served } from "../support/served.ts"

/** Sends a request; `ended` is called as its answer ends. */
const request = (client: Client, ended: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    client.dispatch({ path: "/", method: "POST", body: "{}" }, {
      onRequestStart: () => {},
      onResponseStart: () => {},
      onResponseData: () => {},
      onResponseEnd: () => {
        ended()
        resolve()
      },
      onResponseError: (_, error) => reject(error)
    })
  })

describe("a connection", () => {
  it.live("that its server closes under a request that waits is made anew, and rests again once that is answered", () =>
    Effect.gen(function*() {
      let answers = 0
      const { port, sockets } = yield* served((_, response) => {
        answers++
        response.writeHead(200, answers === 3 ? { connection: "close" } : {}).end("{}")
      })
      const rests: Array<() => void> = []
      const connections = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new Connections(`http://127.0.0.1:${port}`, { pipelining: 1 }, (call) => void rests.push(call))
        ),
        (all) => Effect.promise(() => all.close())
      )
      const client = connections.take()
      const answered = () => connections.giveBack(client)
      yield* Effect.promise(() => request(client, answered))
      assert.strictEqual(rests.length, 1)
      rests[0]?.()
      assert.strictEqual(connections.take(), client)
      yield* Effect.promise(() => request(client, answered))
      assert.strictEqual(connections.take(), client)
      // The fourth goes out as the third is answered, on what is closed by then.
      let taken: Client | undefined
      let fourth = Promise.resolve()
      yield* Effect.promise(() =>
        request(client, () => {
          answered()
          taken = connections.take()
          fourth = request(taken, answered)
        })
      )
      yield* Effect.promise(() => fourth)
      assert.strictEqual(taken, client)
      assert.strictEqual(answers, 4)
      assert.strictEqual(sockets.length, 2)
      assert.strictEqual(rests.length, 2)
      assert.notStrictEqual(connections.take(), client)
    }))
})
