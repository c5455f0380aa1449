/**
 * What a payload's JSON Schema says of one path in it: whether it can be there, and what values it can have. Lists are
 * looked through: what is said of a list is said of its elements.
 */
import type { JsonSchema } from "effect"

/**
 * The kinds of JSON values that are not lists.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "string" | "number" | "boolean" | "null" | "object"

/**
 * What is known of a path: the kinds of its values, each with its values where the schema lists them.
 *
 * @category models
 * @since 0.1.0
 */
export type Known = ReadonlyMap<Kind, ReadonlySet<unknown> | undefined>

/**
 * The kind of a JSON value that is not a list.
 *
 * @category guards
 * @since 0.1.0
 */
export const kindOf = (value: unknown): Kind => {
  switch (typeof value) {
    case "string":
      return "string"
    case "number":
      return "number"
    case "boolean":
      return "boolean"
    default:
      return value === null ? "null" : "object"
  }
}

/**
 * Finds a path, given by its names below the payload. `undefined` where the schema has no such path; `open` where it leaves
 * open what is there, as a record's values without a type do.
 *
 * @category combinators
 * @since 0.1.0
 */
export const find = (root: JsonSchema.JsonSchema, names: ReadonlyArray<string>): Known | "open" | undefined => {
  const definitions = isRecord(root["$defs"]) ? root["$defs"] : {}
  let nodes = alternatives([root], definitions)
  for (const name of names) {
    const below = nodes.flatMap((node) => property(node, name))
    if (below.includes(anything)) return "open"
    nodes = alternatives(below, definitions)
  }
  if (nodes.some(isOpen)) return "open"
  return nodes.length === 0 ? undefined : known(nodes)
}

// --- internal ---

type Node = Readonly<Record<string, unknown>>

const isRecord = (value: unknown): value is Node => typeof value === "object" && value !== null && !Array.isArray(value)

const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/** The schema that allows every value. */
const anything: Node = {}

/** The schemas that a value may be of, through references, unions and lists. */
const alternatives = (schemas: ReadonlyArray<unknown>, definitions: Node): ReadonlyArray<Node> => {
  const found = new Set<Node>()
  const pending = [...schemas]
  const seen = new Set<unknown>()
  while (pending.length > 0) {
    const schema = pending.pop()
    if (seen.has(schema)) continue
    seen.add(schema)
    if (schema === true) found.add(anything)
    if (!isRecord(schema)) continue
    const unions = [schema["anyOf"], schema["oneOf"], schema["allOf"]].flatMap(listOf)
    pending.push(...unions)
    const reference = schema["$ref"]
    const types = [schema["type"] ?? []].flat()
    if (typeof reference === "string") {
      pending.push(definitions[decodeURIComponent(reference.split("/").at(-1) ?? "")])
    } else if (types.includes("array")) {
      const items = [...listOf(schema["prefixItems"]), ...("items" in schema ? [schema["items"]] : [])]
      pending.push(...(items.length === 0 ? [anything] : items))
    }
    if (
      types.some((type) => type !== "array") || (types.length === 0 && unions.length === 0 && reference === undefined)
    ) {
      found.add(schema)
    }
  }
  return [...found]
}

const isOpen = (node: Node): boolean => !("type" in node || "enum" in node || "const" in node || "properties" in node)

const property = (node: Node, name: string): ReadonlyArray<unknown> => {
  const properties = node["properties"]
  const rest = node["additionalProperties"]
  if (isRecord(properties) && Object.hasOwn(properties, name)) return [properties[name]]
  if (isRecord(rest)) return Object.keys(rest).length === 0 ? [anything] : [rest]
  if (isOpen(node) || "patternProperties" in node) return [anything]
  // A struct allows more properties by its schema, but they are dropped before anyone sees them.
  return node["type"] === "object" && !isRecord(properties) && rest !== false ? [anything] : []
}

const known = (nodes: ReadonlyArray<Node>): Known => {
  const kinds = new Map<Kind, Set<unknown> | undefined>()
  for (const node of nodes) {
    const listed = "const" in node ? [node["const"]] : Array.isArray(node["enum"]) ? node["enum"] : undefined
    if (listed) {
      for (const value of listed) {
        const kind = kindOf(value)
        if (!kinds.has(kind)) kinds.set(kind, new Set())
        kinds.get(kind)?.add(value)
      }
    } else {
      for (const type of [node["type"] ?? "object"].flat()) {
        if (type === "integer") kinds.set("number", undefined)
        else if (isKind(type)) kinds.set(type, undefined)
      }
    }
  }
  return kinds
}

const isKind = (value: unknown): value is Kind =>
  value === "string" || value === "number" || value === "boolean" || value === "null" || value === "object"
