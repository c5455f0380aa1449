/**
 * The receiver of `hookline listen`: verifies what arrives, prints it and answers.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Clock, Config, Console, DateTime, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpIncomingMessage, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { defaults } from "../Limits.ts"
import * as Signature from "../Signature.ts"

/**
 * The receiver can't listen; the message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReceiverRefused extends Schema.TaggedError<ReceiverRefused>()("ReceiverRefused", {
  message: Schema.String
}) {}

/** @category models @since 0.1.0 */
export interface Given {
  readonly port: number
  readonly secret: Option.Option<string>
  /** The first requests that are answered with 500. */
  readonly fail: number
  /** Milliseconds to wait before each answer. */
  readonly delay: number
  readonly json: boolean
}

/**
 * Receives until it is interrupted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const receive = Effect.fnUntraced(function*(given: Given) {
  const secret = Option.isSome(given.secret)
    ? Option.some(Redacted.make(given.secret.value))
    : yield* Config.option(Config.Redacted("HOOKLINE_SECRET"))
  if (Option.isSome(secret)) yield* Signature.parseSecret(secret.value)
  let left = given.fail

  const answer = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* request.text
    const nowMs = yield* Clock.currentTimeMillis
    const signature = yield* verdict(request.headers, body, secret, nowMs)
    // Counted on arrival: with a delay, later requests may overtake.
    const status = left > 0 ? 500 : 200
    if (left > 0) left--
    yield* Effect.interruptible(Effect.sleep(given.delay))
    const seen = {
      at: DateTime.formatIso(DateTime.makeUnsafe(nowMs)),
      messageId: request.headers["webhook-id"] ?? null,
      deliveryId: request.headers["x-delivery-id"] ?? null,
      eventId: request.headers["x-event-type"] ?? null,
      signature,
      status,
      body: Option.getOrElse(decodeJson(body), () => body)
    }
    yield* Console.log(given.json ? JSON.stringify(seen) : readable(seen))
    return HttpServerResponse.empty({ status })
  }).pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(defaults.payloadBytes + 4096)),
    Effect.catch(() => Effect.succeed(HttpServerResponse.empty({ status: 413 })))
  )

  const listening = Console.error(
    `Listening on http://127.0.0.1:${given.port}/` +
      (Option.isSome(secret) ? "" : " (signatures are not verified: pass --secret whsec_…)")
  )
  yield* Layer.launch(
    HttpServer.serve(answer).pipe(
      Layer.tap(() => listening),
      Layer.provide(NodeHttpServer.layer(createServer, {
        port: given.port,
        host: "127.0.0.1",
        // Who stops it does not wait for a delay that simulates a slow receiver.
        gracefulShutdownTimeout: "100 millis"
      })),
      Layer.catchTag("ServeError", () => Layer.effectDiscard(Effect.fail(portTaken(given.port))))
    )
  )
})

// --- internal ---

const portTaken = (port: number) =>
  new ReceiverRefused({
    message: `Port ${port} on 127.0.0.1 can't be used: is another process listening there? Choose another with --port.`
  })

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))

const verdict = (
  headers: Readonly<Record<string, string | undefined>>,
  body: string,
  secret: Option.Option<Redacted.Redacted<string>>,
  nowMs: number
) =>
  headers["webhook-signature"] === undefined
    ? Effect.succeed("unsigned")
    : Option.isNone(secret)
    ? Effect.succeed("not verified")
    : Signature.verify({ headers, body, secrets: [secret.value], nowMs }).pipe(
      Effect.as("verified"),
      Effect.catch((error) => Effect.succeed(`BAD: ${error.message}`))
    )

const readable = (seen: {
  readonly at: string
  readonly messageId: string | null
  readonly deliveryId: string | null
  readonly eventId: string | null
  readonly signature: string
  readonly status: number
  readonly body: Schema.Json
}): string =>
  `${seen.at.slice(11, 23)}  ${seen.eventId ?? "?"}  signature ${seen.signature}  answered ${seen.status}
  message ${seen.messageId ?? "?"}  delivery ${seen.deliveryId ?? "?"}
  ${JSON.stringify(seen.body, null, 2).replaceAll("\n", "\n  ")}
`
