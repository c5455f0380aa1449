/**
 * A cluster of runners as real processes on a database of their own, asked over their HTTP side.
 */
import { Effect, Redacted, Schema } from "effect"
import * as Postgres from "./postgres.ts"
import { hookline, until } from "./process.ts"
import { adminKey, freePort, get, post, ready } from "./runner.ts"

const Overview = Schema.fromJsonString(Schema.Struct({
  runners: Schema.Array(Schema.Struct({
    id: Schema.String,
    self: Schema.Boolean,
    alive: Schema.Boolean,
    shards: Schema.Int,
    dispatchers: Schema.Int
  })),
  shards: Schema.Struct({ total: Schema.Int, held: Schema.Int }),
  codeMissing: Schema.Array(Schema.Struct({
    kind: Schema.String,
    id: Schema.String,
    runnerIds: Schema.Array(Schema.String)
  }))
}))

const Dispatchers = Schema.fromJsonString(Schema.Struct({
  items: Schema.Array(Schema.Struct({ workerGroup: Schema.String, runnerId: Schema.optionalKey(Schema.String) }))
}))

const Deliveries = Schema.fromJsonString(Schema.Struct({
  items: Schema.Array(Schema.Struct({ id: Schema.String, messageId: Schema.String, status: Schema.String })),
  nextCursor: Schema.NullOr(Schema.String)
}))

const Attempts = Schema.fromJsonString(Schema.Struct({
  attempts: Schema.Array(Schema.Struct({ outcome: Schema.String }))
}))

export const events = Array.from({ length: 12 }, (_, n) => `load.e${n}`)

/** Makes a database; runners are started one by one and stopped with the scope. */
export const make = Effect.gen(function*() {
  const { url } = yield* Postgres.testDatabase
  const env = {
    DATABASE_URL: Redacted.value(url),
    HOOKLINE_MASTER_KEY: "0".repeat(64),
    HOOKLINE_ADMIN_KEY: adminKey,
    HOOKLINE_EGRESS_ALLOW: "127.0.0.0/8"
  }
  return {
    env,
    /** Starts a runner; it is ready when this returns. */
    start: (options: { readonly config?: string; readonly env?: Record<string, string> } = {}) =>
      Effect.gen(function*() {
        const port = yield* freePort
        const process = yield* hookline(
          ["start", "--config", options.config ?? "test/cluster/hookline.config.ts", "--port", String(port)],
          { ...env, ...options.env }
        )
        const url = `http://127.0.0.1:${port}/api/v1`
        yield* until("the runner is ready", ready(port)).pipe(
          Effect.mapError((error) => new Error(`${error.message}\n${process.output.text}`))
        )
        const overview = Effect.flatMap(get(`${url}/cluster`), ({ text }) => Schema.decodeUnknownEffect(Overview)(text))
        const id = Effect.map(overview, ({ runners }) => runners.find(({ self }) => self)?.id ?? "")
        return {
          ...process,
          port,
          url,
          id: yield* id,
          overview,
          /** The worker groups with their owners' ids. */
          owners: Effect.flatMap(get(`${url}/cluster/dispatchers?limit=100`), ({ text }) =>
            Effect.map(
              Schema.decodeUnknownEffect(Dispatchers)(text),
              ({ items }) => new Map(items.map((item) => [item.workerGroup, item.runnerId]))
            )),
          /** Emits and tells the message's id. */
          emit: (eventId: string, n: number) =>
            Effect.flatMap(
              post(`${url}/messages`, { eventId, payload: { n } }),
              ({ json, status }) =>
                status === 202 ? Effect.succeed(String(json["id"])) : Effect.fail(new Error(JSON.stringify(json)))
            ),
          subscribe: (target: string) =>
            post(`${url}/subscriptions`, {
              name: "all",
              events: ["load.*"],
              providerId: "webhook.webhook",
              config: { url: target },
              retry: { type: "delays", delaysMs: Array.from({ length: 20 }, () => 200) }
            }),
          /** How the attempts of a message's deliveries ended. */
          outcomes: (messageId: string) =>
            Effect.gen(function*() {
              const { text } = yield* get(`${url}/deliveries?messageId=${messageId}`)
              const { items } = yield* Schema.decodeUnknownEffect(Deliveries)(text)
              const found = yield* Effect.forEach(items, ({ id }) =>
                Effect.flatMap(get(`${url}/deliveries/${id}`), ({ text }) =>
                  Schema.decodeUnknownEffect(Attempts)(text)))
              return found.flatMap(({ attempts }) =>
                attempts.map(({ outcome }) => outcome)
              )
            }),
          /** Each delivery's state, by message. */
          deliveries: Effect.gen(function*() {
            const found = new Map<string, string>()
            let cursor: string | null = ""
            while (cursor !== null) {
              const { text } = yield* get(`${url}/deliveries?limit=100${cursor === "" ? "" : `&cursor=${cursor}`}`)
              const page: typeof Deliveries.Type = yield* Schema.decodeUnknownEffect(Deliveries)(text)
              for (const { messageId, status } of page.items) found.set(messageId, status)
              cursor = page.nextCursor
            }
            return found
          })
        }
      })
  }
})
