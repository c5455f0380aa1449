/**
 * A payload's properties, flattened for people and editors: every path of a JSON Schema with its type and description.
 */
import { type JsonSchema, Schema } from "effect"
import { told } from "./Told.ts"

/** @category schemas @since 0.1.0 */
export const PayloadProperty = Schema.Struct({
  path: Schema.String.pipe(told("As in `payload.systemIds[n]`")),
  type: Schema.String.pipe(told("What it is, as JSON Schema has it")),
  description: Schema.optionalKey(Schema.String).pipe(told("What the schema says of it"))
}).annotate({ identifier: "PayloadProperty" })
/** @category models @since 0.1.0 */
export type PayloadProperty = typeof PayloadProperty.Type

/**
 * Flattens a JSON Schema: objects into `payload.a.b`, arrays into `[n]`; recursion ends where a definition repeats.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromJsonSchema = (root: JsonSchema.JsonSchema): ReadonlyArray<PayloadProperty> => {
  const properties: Array<PayloadProperty> = []
  const definitions = isRecord(root.$defs) ? root.$defs : {}
  const visit = (schema: unknown, path: string, open: ReadonlyArray<unknown>): void => {
    if (!isRecord(schema) || open.includes(schema)) return
    const inner = [...open, schema]
    if (typeof schema.$ref === "string") {
      return visit(definitions[decodeURIComponent(schema.$ref.split("/").at(-1) ?? "")], path, inner)
    }
    if (path !== "payload") {
      properties.push({
        path,
        type: typeName(schema),
        ...(typeof schema.description === "string" ? { description: schema.description } : {})
      })
    }
    if (isRecord(schema.properties)) {
      for (const [name, property] of Object.entries(schema.properties)) visit(property, `${path}.${name}`, inner)
    }
    if (schema.items !== undefined) visit(schema.items, `${path}[n]`, inner)
  }
  visit(root, "payload", [])
  return properties
}

// --- internal ---

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const typeName = (schema: Record<string, unknown>): string => {
  if (typeof schema.type === "string") return schema.type
  if (Array.isArray(schema.type)) return schema.type.join(" | ")
  for (const union of [schema.anyOf, schema.oneOf]) {
    if (Array.isArray(union)) return [...new Set(union.filter(isRecord).map(typeName))].join(" | ")
  }
  return Array.isArray(schema.enum) ? "string" : "any"
}
