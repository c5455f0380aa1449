/**
 * The places of a JSON value whose schema is of a kind, wherever they are: in structs, records, tuples and arrays, in members
 * of a union, in recursive schemas and behind transformations.
 */
import type { Schema, SchemaAST } from "effect"

/**
 * A place in a value, with what is there and its schema.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  /** As of `placeOf`. */
  readonly name: string
  readonly path: ReadonlyArray<string | number>
  readonly ast: SchemaAST.AST
  readonly value: Schema.Json
}

/** @category guards @since 0.1.0 */
export const isRecord = (value: Schema.Json): value is { readonly [key: string]: Schema.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * The name of a place inside of another, whose own is empty for the whole.
 *
 * @category conversions
 * @since 0.1.0
 */
export const inside = (place: string, name: string | number) => `${place}/${JSON.stringify(name)}`

/**
 * The name of the place at a path.
 *
 * @category conversions
 * @since 0.1.0
 */
export const placeOf = (path: ReadonlyArray<string | number>): string => path.reduce<string>(inside, "")

/**
 * Whether a schema has an annotation of this value, at itself, at a check of it, or as a property.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAnnotated = (ast: SchemaAST.AST, name: string, value: boolean): boolean =>
  ast.annotations?.[name] === value ||
  (ast.checks ?? []).some((check) => check.annotations?.[name] === value) ||
  ast.context?.annotations?.[name] === value

/**
 * A schema and what stands behind its transformations, down to the form that is stored.
 *
 * @category conversions
 * @since 0.1.0
 */
export const chain = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => [
  ast,
  ...(ast.encoding ?? []).flatMap((link) => chain(link.to))
]

/** @category conversions @since 0.1.0 */
export const encoded = (ast: SchemaAST.AST): SchemaAST.AST => chain(ast).at(-1) ?? ast

/**
 * The schemas inside of one, each with the name by which a path goes on.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parts = (ast: SchemaAST.AST): ReadonlyArray<readonly [name: string, ast: SchemaAST.AST]> => {
  switch (ast._tag) {
    case "Suspend":
      return [["", ast.thunk()]]
    case "Union":
      return ast.types.map((type) => ["", type])
    case "Objects":
      return [
        ...ast.propertySignatures.map(({ name, type }) => [`.${String(name)}`, type] as const),
        ...ast.indexSignatures.map(({ type }) => [".*", type] as const)
      ]
    case "Arrays":
      return [...ast.elements, ...ast.rest].map((type) => ["[n]", type])
    default:
      return []
  }
}

/**
 * The places of a value whose schema is wanted, and none inside of them; one that members of a union have in common once for
 * each schema of it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const locate = (
  schema: Schema.Constraint,
  root: Schema.Json,
  isWanted: (ast: SchemaAST.AST) => boolean
): ReadonlyArray<Place> => {
  const found: Array<Place> = []
  const visit = (ast: SchemaAST.AST, value: Schema.Json, path: ReadonlyArray<string | number>): void => {
    if (isWanted(ast)) {
      found.push({ name: placeOf(path), path, ast, value })
      return
    }
    const shape = encoded(ast)
    if (shape._tag === "Suspend" || shape._tag === "Union") {
      for (const [, part] of parts(shape)) visit(part, value, path)
    } else if (shape._tag === "Objects" && isRecord(value)) {
      const named = new Map(shape.propertySignatures.map(({ name, type }) => [String(name), type]))
      for (const [name, item] of Object.entries(value)) {
        const type = named.get(name)
        if (type) visit(type, item, [...path, name])
        else for (const signature of shape.indexSignatures) visit(signature.type, item, [...path, name])
      }
    } else if (shape._tag === "Arrays" && Array.isArray(value)) {
      for (const [i, item] of value.entries()) {
        const type = shape.elements[i] ?? shape.rest[0]
        if (type) visit(type, item, [...path, i])
        // What follows a rest is told by its place from the end: wanted wherever it might be.
        if (i >= shape.elements.length) { for (const last of shape.rest.slice(1)) visit(last, item, [...path, i]) }
      }
    }
  }
  visit(schema.ast, root, [])
  return found
}
