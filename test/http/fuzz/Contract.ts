/**
 * What the fuzzer reads of `openapi.json`: operations with what they take and may answer.
 */
import * as Ajv from "ajv/dist/2020.js"
import { Schema } from "effect"

export type JsonSchema = { readonly [name: string]: Schema.Json }

export interface Parameter {
  readonly name: string
  readonly in: string
  readonly required: boolean
  readonly schema: JsonSchema
}

export interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  /** None where any key may, or none is needed. */
  readonly scope: string | undefined
  /** It needs no key. */
  readonly isOpen: boolean
  readonly parameters: ReadonlyArray<Parameter>
  readonly body: { readonly schema: JsonSchema; readonly example: Schema.Json | undefined } | undefined
  /** By status: what an answer's type and form may be. */
  readonly answers: ReadonlyMap<number, ReadonlyMap<string, JsonSchema>>
  /** By status: the headers that an answer has. */
  readonly headers: ReadonlyMap<number, ReadonlyArray<string>>
  /** By status: the types of problems. */
  readonly problems: ReadonlyMap<number, ReadonlyArray<string>>
}

export interface Contract {
  readonly operations: ReadonlyArray<Operation>
  readonly schemas: { readonly [name: string]: JsonSchema }
  /** All types of problems. */
  readonly types: ReadonlySet<string>
  /** Why a value is not of a schema; undefined where it is. */
  readonly misfit: (schema: JsonSchema, value: unknown) => string | undefined
}

const Json: Schema.Codec<JsonSchema> = Schema.Record(Schema.String, Schema.Json)
const Media = Schema.Record(
  Schema.String,
  Schema.Struct({ schema: Json, example: Schema.optionalKey(Schema.Json) })
)
const Response = Schema.Struct({
  content: Schema.optionalKey(Media),
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
})
const Ref = Schema.Struct({ $ref: Schema.String })
const Document = Schema.Struct({
  paths: Schema.Record(
    Schema.String,
    Schema.Record(
      Schema.String,
      Schema.Struct({
        operationId: Schema.String,
        security: Schema.Array(Schema.Struct({ bearer: Schema.Array(Schema.String) })),
        parameters: Schema.Array(
          Schema.Struct({
            name: Schema.String,
            in: Schema.String,
            required: Schema.Boolean,
            schema: Json
          })
        ),
        requestBody: Schema.optionalKey(Schema.Struct({ content: Media })),
        responses: Schema.Record(Schema.String, Schema.Union([Ref, Response]))
      })
    )
  ),
  components: Schema.Struct({
    schemas: Schema.Record(Schema.String, Json),
    responses: Schema.Record(Schema.String, Response)
  })
})

/** A schema behind references. */
export const resolve = (contract: Pick<Contract, "schemas">, schema: JsonSchema): JsonSchema =>
  typeof schema["$ref"] === "string"
    ? resolve(contract, contract.schemas[schema["$ref"].split("/").at(-1) ?? ""] ?? {})
    : schema

/** The paths of collections: what stands before an id. */
export const collections = ({ operations }: Pick<Contract, "operations">): ReadonlySet<string> =>
  new Set(operations.flatMap(({ path }) => path.includes("/{") ? [path.slice(0, path.indexOf("/{"))] : []))

/** Reads a description. */
export const read = (document: unknown): Contract => {
  const { components, paths } = Schema.decodeUnknownSync(Document)(document)
  const { schemas } = components
  const typesOf = (schema: JsonSchema): ReadonlyArray<string> => {
    const { anyOf, properties } = resolve({ schemas }, schema)
    if (Array.isArray(anyOf)) return Schema.decodeUnknownSync(Schema.Array(Json))(anyOf).flatMap(typesOf)
    return Schema.decodeUnknownSync(Schema.Struct({ type: Schema.Struct({ enum: Schema.Array(Schema.String) }) }))(
      properties
    ).type.enum
  }
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { operationId: id, parameters, requestBody, responses, security }]) => {
      const told = Object.entries(responses).map(([status, response]) =>
        [
          Number(status),
          "$ref" in response ? components.responses[response.$ref.split("/").at(-1) ?? ""] ?? {} : response
        ] as const
      )
      const content = told.map(([status, { content }]) => [status, content ?? {}] as const)
      const media = requestBody?.content["application/json"]
      return {
        id,
        method: method.toUpperCase(),
        path,
        scope: security[0]?.bearer[0],
        isOpen: security.length === 0,
        parameters,
        body: media === undefined ? undefined : { schema: media.schema, example: media.example },
        answers: new Map(
          content.map(([status, media]) =>
            [status, new Map(Object.entries(media).map(([type, { schema }]) => [type, schema] as const))] as const
          )
        ),
        headers: new Map(told.map(([status, { headers }]) => [status, Object.keys(headers ?? {})] as const)),
        problems: new Map(
          content.flatMap(([status, media]) => {
            const problem = media["application/problem+json"]
            return problem === undefined ? [] : [[status, typesOf(problem.schema)] as const]
          })
        )
      }
    })
  )
  const ajv = new Ajv.Ajv2020({
    strict: false,
    allErrors: false,
    // A day is taken for a time.
    formats: {
      date: /^\d{4}-\d\d-\d\d$/u,
      "date-time": /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/u
    }
  })
  ajv.addSchema({ $id: "openapi", components: { schemas } })
  const compiled = new Map<string, Ajv.ValidateFunction>()
  return {
    operations,
    schemas,
    types: new Set(operations.flatMap(({ problems }) => [...problems.values()].flat())),
    misfit: (schema, value) => {
      const text = JSON.stringify(schema)
      const validate = compiled.get(text) ??
        ajv.compile(JSON.parse(text.replaceAll("\"#/components/", "\"openapi#/components/")))
      compiled.set(text, validate)
      return validate(value) ? undefined : ajv.errorsText(validate.errors)
    }
  }
}
