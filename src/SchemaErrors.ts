/**
 * What a schema refused, for people: the field's path as they would write it and one sentence. Effect's default
 * messages name what was expected and never the refused value, which may be a secret.
 */
import { type Schema, SchemaIssue } from "effect"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/**
 * A path as it is written in JavaScript: `["payload", "systemIds", 0]` is `payload.systemIds[0]`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const formatPath = (path: ReadonlyArray<PropertyKey>): string =>
  path.map((key, i) => typeof key === "number" ? `[${key}]` : i === 0 ? String(key) : `.${String(key)}`).join("")

/**
 * Everything that was refused, each with its path below `prefix`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const all = (
  error: Schema.SchemaError,
  prefix: ReadonlyArray<PropertyKey>
): ReadonlyArray<{ readonly path: string; readonly message: string }> =>
  format(error.issue).issues.map((issue) => ({
    path: formatPath([...prefix, ...(issue.path ?? []).map((key) => typeof key === "object" ? key.key : key)]),
    message: issue.message === "Expected no excess property" ? "There is no such property" : issue.message
  }))

/**
 * The first thing that was refused.
 *
 * @category conversions
 * @since 0.1.0
 */
export const first = (
  error: Schema.SchemaError,
  prefix: ReadonlyArray<PropertyKey>
): { readonly path: string; readonly message: string } =>
  all(error, prefix)[0] ?? { path: formatPath(prefix), message: "refused by its schema" }
