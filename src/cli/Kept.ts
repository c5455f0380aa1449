/**
 * The keys that a runner in development keeps in its folder, as others read them.
 */
import { Effect, Option, Redacted, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

/**
 * The file is there, but can't be read; the message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyUnreadable extends Schema.TaggedError<KeyUnreadable>()("KeyUnreadable", { message: Schema.String }) {}

/**
 * Reads a kept key; none where there is no such file. An empty one is what a start leaves that was cut off: it is refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = (
  folder: string,
  name: "admin-key" | "master-key"
): Effect.Effect<Option.Option<Redacted.Redacted<string>>, KeyUnreadable> => {
  const file = Path.join(folder, name)
  return Effect.try({
    try: () => Fs.existsSync(file) ? Fs.readFileSync(file, "utf8").trim() : undefined,
    catch: () => new KeyUnreadable({ message: `${file} can't be read: run as the user who started the runner.` })
  }).pipe(Effect.flatMap((text) =>
    text === ""
      ? Effect.fail(
        new KeyUnreadable({
          message: `${file} is empty: put the key back, or remove the file to have a new one made.`
        })
      )
      : Effect.succeed(Option.map(Option.fromUndefinedOr(text), (key) => Redacted.make(key)))
  ))
}
