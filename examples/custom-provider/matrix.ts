/**
 * A provider of one's own: posts each message to a Matrix room, as a text that the subscription's template makes.
 */
import { Effect, Schema } from "effect"
import { Egress, Plugin, Provider } from "hookline"
import * as Template from "hookline/Template"

const Config = Schema.Struct({
  server: Schema.String,
  room: Schema.String.check(Schema.isPattern(/^!\S{1,250}$/u, { message: "a room's id, as in !abc:example.com" })),
  token: Schema.String.check(Schema.isPattern(/^[!-~]+$/u, { message: "an access token" })).annotate({ secret: true }),
  text: Schema.String
})

const decodePosted = Schema.decodeOption(Schema.fromJsonString(Schema.Struct({ event_id: Schema.String })))

const refused = (path: string) => ({ message }: { readonly message: string }) =>
  new Provider.ConfigRefused({ path, message })

const room = Provider.make({
  id: "room",
  displayName: "Matrix room",
  config: Config,
  bind: Effect.fnUntraced(function*({ room, server, text, token }: typeof Config.Type) {
    const template = yield* Effect.mapError(Template.compile(text, "text"), refused("config.text"))
    const url = `${server}/_matrix/client/v3/rooms/${encodeURIComponent(room)}/send/m.room.message`
    return {
      check: Effect.mapError(Egress.Egress.use(({ check }) => check(url)), refused("config.server")),
      origin: URL.parse(url)?.origin,
      deliver: Effect.fnUntraced(function*(attempt: Provider.Attempt) {
        const egress = yield* Egress.Egress
        const rendered = yield* template.render(Template.contextOf(attempt)).pipe(
          Effect.mapError(({ message }) => new Provider.PermanentError({ code: "TemplateFailed", message }))
        )
        const { body, headers, statusCode } = yield* egress.send({
          method: "PUT",
          // By the delivery's id the server knows what it has posted already: an attempt may be made again.
          url: `${url}/${attempt.deliveryId}`,
          headers: ["authorization", `Bearer ${token}`, "content-type", "application/json"],
          body: JSON.stringify({ msgtype: "m.text", body: rendered })
        }).pipe(Effect.catchTags({
          ForbiddenTarget: ({ message }) => new Provider.PermanentError({ code: "ForbiddenTarget", message }),
          EgressTimeout: ({ message }) => new Provider.RetryableError({ code: "Timeout", message, timedOut: true }),
          ConnectionFailed: ({ code, message }) => new Provider.RetryableError({ code, message })
        }))
        const posted = decodePosted(body)
        if (statusCode === 200 && posted._tag === "Some") return { statusCode, externalId: posted.value.event_id }
        const failure = { code: "HttpStatus", message: `HTTP ${statusCode}`, statusCode }
        if (statusCode === 404) return yield* new Provider.GoneError(failure)
        if (statusCode !== 429 && statusCode < 500) return yield* new Provider.PermanentError(failure)
        const seconds = Number.parseInt(headers["retry-after"] ?? "", 10) || 0
        return yield* new Provider.RetryableError({ ...failure, retryAfterMs: seconds * 1000 })
      })
    }
  })
})

export default Plugin.make("matrix", { providers: [room] })
