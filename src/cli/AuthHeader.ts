/**
 * The header that authenticates a webhook, given by a flag.
 */
import { Effect, Option, Redacted } from "effect"
import { Flag } from "effect/cli"
import { CommandFailed } from "./Remote.ts"

/**
 * The flag.
 *
 * @category flags
 * @since 0.1.0
 */
export const flag = Flag.Redacted("auth-header").pipe(
  Flag.withDescription("A header that authenticates, as in 'X-Api-Key: abc'"),
  Flag.optional
)

/**
 * What a webhook's configuration has of it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const config = (given: Option.Option<Redacted.Redacted<string>>) => {
  if (Option.isNone(given)) return Effect.succeed({})
  const [, name = "", value = ""] = /^\s*([^:\s]+)\s*:\s*(.+?)\s*$/u.exec(Redacted.value(given.value)) ?? []
  return name === ""
    ? Effect.fail(
      new CommandFailed({ message: "Expected --auth-header with a name and a value, as in 'X-Api-Key: abc'." })
    )
    : Effect.succeed({ authType: "header", authHeaderName: name, authHeaderValue: value })
}
