/**
 * The endpoints of sessions.
 */
import { Effect, Layer, Option, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Principal } from "../Access.ts"
import { Api } from "./Api.ts"
import { Unauthorized, unavailable } from "./Problem.ts"
import { Sessions } from "./Sessions.ts"
import { Throttle } from "./Throttle.ts"
import * as Views from "./Views.ts"

const session = HttpApiBuilder.group(
  Api,
  "session",
  (handlers) => Effect.succeed(handlers.handle("get", () => Effect.map(Principal, Views.asker)))
)

const login = HttpApiBuilder.group(
  Api,
  "login",
  Effect.fnUntraced(function*(handlers) {
    const sessions = yield* Sessions
    const throttle = yield* Throttle
    return handlers
      .handle("begin", ({ payload }) =>
        Effect.gen(function*() {
          const asker = yield* Effect.mapError(sessions.begin(Redacted.make(payload.key)), unavailable)
          if (Option.isSome(asker)) return Views.asker(asker.value)
          yield* throttle.refuse
          return yield* new Unauthorized({ detail: "The key is not valid: it is unknown, revoked or expired." })
        }))
      .handle("end", () => sessions.end)
  })
)

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = Layer.mergeAll(session, login)
