/**
 * What a command is given: options that may be left out, and JSON in a flag, in a file or on standard input.
 */
import { Effect, Option, Schema, Stdio, Stream } from "effect"
import * as Fs from "node:fs/promises"
import { CommandFailed } from "./Remote.ts"

/**
 * Reads a file's text; `-` is standard input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fileText = (path: string): Effect.Effect<string, CommandFailed, Stdio.Stdio> =>
  path === "-" ? stdinText : Effect.tryPromise({
    try: () => Fs.readFile(path, "utf8"),
    catch: () => new CommandFailed({ message: `${path} can't be read: is there such a file?` })
  })

/**
 * The JSON value of a file, or of standard input where the path is `-`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fileJson = (path: string): Effect.Effect<Schema.Json, CommandFailed, Stdio.Stdio> =>
  Effect.flatMap(fileText(path), (text) => json(text, sourceOf(path)))

/**
 * What a path is called where its text is at fault.
 *
 * @category conversions
 * @since 0.1.0
 */
export const sourceOf = (path: string): string => path === "-" ? "Standard input" : path

/**
 * All of standard input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stdinText: Effect.Effect<string, CommandFailed, Stdio.Stdio> = Effect.flatMap(
  Stdio.Stdio,
  ({ stdin }) => Stream.mkString(Stream.decodeText(stdin))
).pipe(
  Effect.mapError(() => new CommandFailed({ message: "Standard input can't be read." }))
)

/**
 * The JSON value of a text that came from `source`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const json = (text: string, source: string): Effect.Effect<Schema.Json, CommandFailed> =>
  Effect.mapError(
    Schema.decodeEffect(Schema.fromJsonString(Schema.Json))(text),
    () => new CommandFailed({ message: `${source} is no JSON: pass one JSON value, such as '{"incidentId":"i-1"}'.` })
  )

/**
 * Whether a JSON value is an object.
 *
 * @category guards
 * @since 0.1.0
 */
export const isObject = (value: Schema.Json): value is { readonly [name: string]: Schema.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * The options that were given, without those that were left out.
 *
 * @category conversions
 * @since 0.1.0
 */
export const given = <A extends object>(
  options: { readonly [K in keyof A]: Option.Option<A[K]> }
): { readonly [K in keyof A]?: A[K] } => {
  const found: { [K in keyof A]?: A[K] } = {}
  for (const name in options) {
    const option = options[name]
    if (Option.isSome(option)) found[name] = option.value
  }
  return found
}
