/**
 * `hookline listen`: a local receiver that verifies signatures and prints what arrives.
 */
import { Effect, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as Stopping from "./Stopping.ts"

const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

const flags = {
  port: Flag.Int("port").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))),
    Flag.withDescription("The port to listen on"),
    Flag.withDefault(4690)
  ),
  secret: Flag.String("secret").pipe(
    Flag.withDescription("The subscription's signing secret (HOOKLINE_SECRET), to verify with"),
    Flag.optional
  ),
  fail: Flag.Int("fail").pipe(
    Flag.withSchema(count),
    Flag.withDescription("Answers 500 to the first requests"),
    Flag.withDefault(0)
  ),
  delay: Flag.Int("delay").pipe(
    Flag.withSchema(count),
    Flag.withDescription("Milliseconds to wait before each answer"),
    Flag.withDefault(0)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Prints one line of JSON for each request"),
    Flag.withDefault(false)
  )
}

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const listen = Command.make("listen", flags, (given) =>
  Effect.gen(function*() {
    const { receive } = yield* Effect.promise(() => import("./Receiver.ts"))
    yield* receive(given)
  }).pipe(Stopping.untilStopped)).pipe(
    Command.withDescription("Receives deliveries on this machine, verifies and prints them")
  )
