/**
 * Secret fields: the parts of a JSON value that its schema annotates with `secret`, or has as `Redacted`, wherever they are: in
 * structs, records, tuples and arrays, in members of a union, in recursive schemas and behind transformations.
 */
import { Effect, type Schema, type SchemaAST } from "effect"
import {
  chain,
  encoded,
  inside,
  isAnnotated,
  isRecord,
  locate as locateAll,
  parts,
  type Place
} from "./SchemaPlaces.ts"

/**
 * Applies an effect to every secret text of a value; what is no text stays, as it belongs to another member of a union.
 *
 * @category combinators
 * @since 0.1.0
 */
export const map = <E, R>(
  schema: Schema.Constraint,
  value: Schema.Json,
  f: (secret: string) => Effect.Effect<string, E, R>
): Effect.Effect<Schema.Json, E, R> =>
  Effect.map(rebuild(value, "", locate(schema, value), keepOthers(f)), (changed) => changed ?? null)

/**
 * The value without its secrets, and without whatever else is at their places.
 *
 * @category combinators
 * @since 0.1.0
 */
export const without = (schema: Schema.Constraint, value: Schema.Json): Effect.Effect<Schema.Json> =>
  Effect.map(
    rebuild(value, "", locate(schema, value), (found) => Effect.succeed(found === null ? null : undefined)),
    (changed) => changed ?? null
  )

/**
 * The value with each blank secret replaced by what `stored` has in its place, or left out where that has none. Those in
 * lists stay blank: an element's place is no name, and a secret must not pass to its neighbour. One that is null is left out,
 * where its schema has no null.
 *
 * @category combinators
 * @since 0.1.0
 */
export const keep = (schema: Schema.Constraint, value: Schema.Json, stored: Schema.Json): Schema.Json => {
  const places = locateAll(schema, value, isSecret)
  const secrets = new Set(places.map(({ name }) => name))
  const nullable = new Set(places.filter(({ ast }) => admitsNull(ast)).map(({ name }) => name))
  const visit = (item: Schema.Json, place: string, before: Schema.Json | undefined): Schema.Json | undefined => {
    if (secrets.has(place)) {
      if (item === null && !nullable.has(place)) return undefined
      return item !== "" ? item : typeof before === "string" ? before : undefined
    }
    if (!isRecord(item)) return item
    const copy: Record<string, Schema.Json> = {}
    for (const [name, part] of Object.entries(item)) {
      const earlier = before !== undefined && isRecord(before) && Object.hasOwn(before, name) ? before[name] : undefined
      const kept = visit(part, inside(place, name), earlier)
      if (kept !== undefined) Object.defineProperty(copy, name, { value: kept, enumerable: true })
    }
    return copy
  }
  return visit(value, "", stored) ?? null
}

/**
 * The secret texts of a value that are sent to where it says, with their places: not those that sign or decrypt, which their
 * schema annotates with `unsent`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const sent = (schema: Schema.Constraint, value: Schema.Json): ReadonlyArray<Place> =>
  locateAll(schema, value, isSecret).filter(({ ast, value }) =>
    typeof value === "string" && !chain(ast).some((one) => isAnnotated(one, "unsent", true))
  )

/**
 * Where a schema annotates as secret what can't be sealed, as it is no text in the stored form; undefined where all is well.
 *
 * @category guards
 * @since 0.1.0
 */
export const problem = (schema: Schema.Constraint): string | undefined => {
  const seen = new Set<SchemaAST.AST>()
  const visit = (ast: SchemaAST.AST, path: string): string | undefined => {
    const shape = encoded(ast)
    if (isSecret(ast)) return isText(shape) ? undefined : path
    // Where the form in memory has a secret that the stored form does not know of, nobody finds it.
    const hidden = chain(ast).slice(0, -1).flatMap(parts).find(([, part]) => holdsSecret(part))
    if (hidden) return `${path}${hidden[0]}`
    if (seen.has(shape)) return undefined
    seen.add(shape)
    for (const [name, part] of parts(shape)) {
      const found = visit(part, `${path}${name}`)
      if (found !== undefined) return found
    }
    return undefined
  }
  return visit(schema.ast, "config")
}

/**
 * The paths of a schema's secret fields, as in `config.bearerToken`; a recursive schema's once.
 *
 * @category conversions
 * @since 0.1.0
 */
export const paths = (schema: Schema.Constraint): ReadonlyArray<string> => {
  const found = new Set<string>()
  const visit = (ast: SchemaAST.AST, path: string, open: ReadonlyArray<SchemaAST.AST>): void => {
    if (isSecret(ast)) {
      found.add(path)
      return
    }
    const shape = encoded(ast)
    if (open.includes(shape)) return
    for (const [name, part] of parts(shape)) visit(part, `${path}${name}`, [...open, shape])
  }
  visit(schema.ast, "config", [])
  return [...found]
}

// --- internal ---

const isSecret = (ast: SchemaAST.AST): boolean =>
  chain(ast).some((one) =>
    isAnnotated(one, "secret", true) || isRedacted(one) || (one._tag === "Union" && one.types.some(isSecret))
  )

const locate = (schema: Schema.Constraint, value: Schema.Json): ReadonlySet<string> =>
  new Set(locateAll(schema, value, isSecret).map(({ name }) => name))

const holdsSecret = (ast: SchemaAST.AST, open: ReadonlyArray<SchemaAST.AST> = []): boolean =>
  isSecret(ast) ||
  (!open.includes(ast) && chain(ast).flatMap(parts).some(([, part]) => holdsSecret(part, [...open, ast])))

const isRedacted = (ast: SchemaAST.AST): boolean => {
  const representation = ast.annotations?.["representation"]
  return ast._tag === "Declaration" && typeof representation === "object" && representation !== null &&
    "id" in representation && representation.id === "effect/schema/Redacted"
}

const admitsNull = (ast: SchemaAST.AST): boolean => {
  const shape = encoded(ast)
  return shape._tag === "Null" || (shape._tag === "Union" && shape.types.some(admitsNull))
}

const isText = (ast: SchemaAST.AST): boolean => {
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
    case "Null":
    case "Undefined":
      return true
    case "Literal":
      return typeof ast.literal === "string"
    case "Union":
      return ast.types.every((type) => isText(encoded(type)))
    default:
      return false
  }
}

type Change<E, R> = (found: Schema.Json) => Effect.Effect<Schema.Json | undefined, E, R>

const keepOthers = <E, R>(f: (secret: string) => Effect.Effect<string, E, R>): Change<E, R> => (found) =>
  typeof found === "string" ? f(found) : Effect.succeed(found)

const rebuild = <E, R>(
  value: Schema.Json,
  place: string,
  secrets: ReadonlySet<string>,
  change: Change<E, R>
): Effect.Effect<Schema.Json | undefined, E, R> =>
  Effect.gen(function*() {
    if (secrets.has(place)) return yield* change(value)
    if (Array.isArray(value)) {
      const items: Array<Schema.Json> = []
      for (const [i, item] of value.entries()) {
        const changed = yield* rebuild(item, inside(place, i), secrets, change)
        if (changed !== undefined) items.push(changed)
      }
      return items
    }
    if (!isRecord(value)) return value
    const copy: Record<string, Schema.Json> = {}
    for (const [name, item] of Object.entries(value)) {
      const changed = yield* rebuild(item, inside(place, name), secrets, change)
      if (changed !== undefined) Object.defineProperty(copy, name, { value: changed, enumerable: true })
    }
    return copy
  })
