/**
 * A receiver of webhooks: it verifies each request with the third-party package, answers as it is told to, and remembers
 * what it saw.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Clock, Effect, Option, Redacted, Schema } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Signature } from "hookline"
import { createServer } from "node:http"
import { Webhook } from "standardwebhooks"

/** A request as the receiver saw it. */
export interface Seen {
  readonly messageId: string
  /** What tells which incident it is of; none where the body is not an incident. */
  readonly title: string | undefined
  readonly verified: boolean
  readonly accepted: boolean
  readonly atMs: number
}

/** The status for a message's nth request, counted from 0; undefined lets it hang. */
export type Answer = (nth: number) => number | undefined

export interface Receiver {
  readonly url: string
  readonly secret: Redacted.Redacted<string>
  /** In the order in which they came. */
  readonly seen: ReadonlyArray<Seen>
}

const decodeBody = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ data: Schema.Struct({ title: Schema.String }) }))
)

/** Listens on a port of its own while the scope is open. */
export const make = Effect.fnUntraced(function*(answer: Answer) {
  const secret = yield* Signature.generateSecret
  const webhook = new Webhook(Redacted.value(secret))
  const seen: Array<Seen> = []
  const times = new Map<string, number>()

  const receive = Effect.gen(function*() {
    const atMs = yield* Clock.currentTimeMillis
    const { headers, text } = yield* HttpServerRequest.HttpServerRequest
    const body = yield* text
    const verified = yield* Effect.isSuccess(Effect.try(() => webhook.verify(body, { ...headers })))
    const messageId = headers["webhook-id"] ?? "none"
    const nth = times.get(messageId) ?? 0
    times.set(messageId, nth + 1)
    const status = verified ? answer(nth) : 401
    const title = Option.getOrUndefined(Option.map(decodeBody(body), ({ data }) => data.title))
    seen.push({ messageId, title, verified, accepted: status !== undefined && status < 300, atMs })
    // Interrupted when the sender has given up: a handler is not, unless it says so.
    if (status === undefined) return yield* Effect.interruptible(Effect.never)
    return HttpServerResponse.empty({ status })
  })

  const server = yield* NodeHttpServer.make(createServer, { host: "127.0.0.1", port: 0 })
  yield* server.serve(receive)
  const receiver: Receiver = { url: HttpServer.formatAddress(server.address), secret, seen }
  return receiver
})
