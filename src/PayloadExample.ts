/**
 * A payload for people to look at, made of a JSON Schema: a text is its property's name, a choice its first, a list has one
 * item; the schema's own examples and defaults come first.
 */
import type { JsonSchema, Schema } from "effect"

/**
 * Makes the example of a schema.
 *
 * **Gotchas**
 *
 * Not every schema is satisfied by it: a pattern is not looked at.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromJsonSchema = (root: JsonSchema.JsonSchema): Schema.Json => {
  const definitions = isRecord(root.$defs) ? root.$defs : {}
  const make = (schema: unknown, name: string, open: ReadonlyArray<unknown>): Schema.Json => {
    if (!isRecord(schema) || open.includes(schema)) return null
    const inner = [...open, schema]
    if (typeof schema.$ref === "string") {
      return make(definitions[decodeURIComponent(schema.$ref.split("/").at(-1) ?? "")], name, inner)
    }
    for (const given of [schema.const, first(schema.examples), schema.default, first(schema.enum)]) {
      if (isJson(given)) return given
    }
    for (const union of [schema.anyOf, schema.oneOf]) {
      if (Array.isArray(union)) return make(union[0], name, inner)
    }
    if (Array.isArray(schema.allOf)) {
      return make(Object.assign({}, schema, ...schema.allOf, { allOf: undefined }), name, inner)
    }
    switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
      case "object":
        return Object.fromEntries(
          Object.entries(isRecord(schema.properties) ? schema.properties : {}).map((
            [key, property]
          ) => [key, make(property, key, inner)])
        )
      case "array":
        return Array.isArray(schema.prefixItems)
          ? schema.prefixItems.map((item) => make(item, name, inner))
          : schema.items === undefined
          ? []
          : [make(schema.items, name.replace(/s$/u, ""), inner)]
      case "string":
        return text(schema, name)
      case "integer":
      case "number":
        return number(schema)
      case "boolean":
        return true
      default:
        return null
    }
  }
  return make(root, "payload", [])
}

// --- internal ---

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isJson = (value: unknown): value is Schema.Json => value !== undefined

const first = (values: unknown): unknown => Array.isArray(values) ? values[0] : undefined

const time = "2026-01-31T12:00:00.000Z"

const formats: Readonly<Record<string, string>> = {
  "date-time": time,
  date: time.slice(0, 10),
  time: time.slice(11),
  uri: "https://example.com/",
  email: "someone@example.com",
  uuid: "01900000-0000-7000-8000-000000000000"
}

const text = (schema: Record<string, unknown>, name: string): string => {
  const known = typeof schema.format === "string"
    ? formats[schema.format]
    : /At$|^timestamp$/u.test(name)
    ? time
    : undefined
  const [least, most] = [schema.minLength, schema.maxLength]
  const made = (known ?? name).slice(0, typeof most === "number" ? most : undefined)
  return typeof least === "number" && least <= 1000 ? made.padEnd(least, "x") : made
}

const number = (schema: Record<string, unknown>): number => {
  const { exclusiveMinimum, maximum, minimum } = schema
  if (typeof minimum === "number") return minimum
  if (typeof exclusiveMinimum === "number") return exclusiveMinimum + 1
  return typeof maximum === "number" ? Math.min(1, maximum) : 1
}
