/**
 * Pages of a list: the flags that ask for one, and how the next is reached.
 */
import { Console, Effect, Schema } from "effect"
import { Flag } from "effect/cli"
import { defaults } from "../Limits.ts"

/**
 * The flags of every command that lists.
 *
 * @category flags
 * @since 0.1.0
 */
export const flags = {
  limit: Flag.Int("limit").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: defaults.pageSize }))),
    Flag.withDescription(`Items at once, up to ${defaults.pageSize} (${defaults.pageSizeDefault})`),
    Flag.optional
  ),
  cursor: Flag.String("cursor").pipe(
    Flag.withDescription("Goes on after the page that named this cursor"),
    Flag.optional
  )
}

/**
 * Says how to see the next page, on stderr.
 *
 * @category printing
 * @since 0.1.0
 */
export const more = (nextCursor: string | null): Effect.Effect<void> =>
  nextCursor === null ? Effect.void : Console.error(`There are more: go on with --cursor ${nextCursor}`)
