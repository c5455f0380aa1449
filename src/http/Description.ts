/**
 * The API's description as OpenAPI 3.1: what Effect reads from the contract, completed by what the contract says elsewhere
 * (which scope a route needs, headers, examples) and by what the server answers itself. New routes are in it by themselves.
 */
import { Context, Schema, SchemaAST } from "effect"
import { type HttpApi, type HttpApiEndpoint, type HttpApiGroup, OpenApi } from "effect/http-api"
import { Api } from "./Api.ts"
import { needOf } from "./Bearer.ts"
import { Extras } from "./Described.ts"
import * as Health from "./HealthDescription.ts"
import * as Undeclared from "./Undeclared.ts"

const info = {
  license: { name: "MIT", identifier: "MIT" },
  contact: { name: "Hookline", url: "https://hookline.dev" }
}

/** Headers of answers; those of rate limits have their place here. */
const headers = {
  "ETag": {
    description: "The version of the resource; a change sends it as If-Match.",
    schema: { type: "string" },
    example: "\"3\""
  },
  "Retry-After": {
    description: "Seconds after which it may go better.",
    schema: { type: "integer", minimum: 0 },
    example: 1
  },
  "RateLimit": {
    description: "How many more requests there may be (r), and in how many seconds all of them (t).",
    schema: { type: "string" },
    example: "\"requests\";r=9999;t=1"
  },
  "RateLimit-Policy": {
    description: "How many requests of a key are answered (q) within so many seconds (w).",
    schema: { type: "string" },
    example: "\"requests\";q=10000;w=10"
  },
  "WWW-Authenticate": {
    description: "How to authenticate.",
    schema: { type: "string" },
    example: "Bearer realm=\"hookline\""
  }
}

/** The headers that the server adds by the status of an answer. */
const headersOf: Readonly<Record<string, ReadonlyArray<keyof typeof headers>>> = {
  401: ["WWW-Authenticate"],
  412: ["ETag"],
  429: ["Retry-After"],
  503: ["Retry-After"]
}

const ifMatch = {
  name: "If-Match",
  in: "header",
  required: false,
  description:
    "The ETag of the version that the change is meant for; without it, or with *, whatever version there is.",
  schema: { type: "string" },
  example: "\"3\""
}

const traceparent = {
  name: "traceparent",
  in: "header",
  required: false,
  description:
    "The trace that the messages belong to (W3C Trace Context): where it is sampled, their attempts are in it, and webhooks " +
    "carry it on.",
  schema: { type: "string" },
  example: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
}

const successes: Readonly<Record<string, string>> = {
  200: "The answer.",
  201: "It was made.",
  202: "It was taken and will be done.",
  204: "It was done; there is nothing to tell."
}

/** What the server answers around every endpoint, and around those with a body, by the name of the problem's schema. */
const around = { Internal: Undeclared.internal, TooLarge: Undeclared.tooLarge }
const aroundBodies = { UnsupportedMediaType: Undeclared.unsupportedMediaType }

/** Its name in small letters: some readers take another for `basic`. */
const bearer = {
  scheme: "bearer",
  bearerFormat: "hk_…",
  description:
    "A key of Hookline's. The scope that a route needs stands with it: `manage` includes `read`, and `admin` " +
    "includes all."
}

/**
 * Describes an API.
 *
 * @category constructors
 * @since 0.1.0
 */
export const describe = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
): Document => {
  const { components, info: told, paths, servers, ...spec } = OpenApi.fromApi(api)
  const parts: Parts = { schemas: { ...components.schemas }, responses: {} }
  const described: Record<string, Record<string, unknown>> = {}
  const groups: ReadonlyArray<HttpApiGroup.Top> = Object.values(api.groups)
  for (const group of groups) {
    for (const endpoint of Object.values(group.endpoints)) {
      const path = endpoint.path.replaceAll(/:(\w+)/gu, "{$1}")
      const method = methods.find((method) => method === endpoint.method.toLowerCase()) ?? "get"
      const operation = paths[path]?.[method]
      if (operation === undefined) continue
      const name = `${capital(group.identifier)}${capital(endpoint.identifier)}`
      described[path] = { ...described[path], [method]: operationOf(operation, name, endpoint, parts) }
    }
  }
  for (const [path, { description, example, id, name, problems, summary }] of Object.entries(Health.operations)) {
    const answer = { "application/json": { schema: { $ref: `#/components/schemas/${name}` }, example } }
    described[path] = {
      get: {
        tags: [Health.tag.name],
        operationId: id,
        security: [],
        summary,
        description: `${description}\n\nNeeds no key.`,
        parameters: [],
        responses: {
          200: { description: "The answer.", content: answer },
          ...aroundOf({ ...around, ...problems }, parts)
        }
      }
    }
  }
  Object.assign(parts.schemas, Health.schemas)
  return plain({
    ...spec,
    tags: [...spec.tags, Health.tag],
    info: { ...told, ...info },
    servers: servers ?? [{ url: "/", description: "The runner that serves this description." }],
    paths: described,
    components: {
      securitySchemes: { bearer: { ...components.securitySchemes["bearer"], ...bearer } },
      headers,
      responses: sorted(parts.responses),
      schemas: sorted(parts.schemas)
    }
  })
}

/** @category models @since 0.1.0 */
export type Document = { readonly [name: string]: Schema.Json }

/**
 * The API with its whole description, for what describes an API by itself.
 *
 * @category api
 * @since 0.1.0
 */
export const documented = Api.annotate(OpenApi.Transform, () => describe(Api))

// --- internal ---

interface Parts {
  readonly schemas: Record<string, unknown>
  readonly responses: Record<string, unknown>
}

const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"] as const

const capital = (name: string) => `${name.charAt(0).toUpperCase()}${name.slice(1)}`

const sorted = <A>(record: Readonly<Record<string, A>>): Record<string, A> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => a < b ? -1 : 1))

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json)))

/** Effect ends the name of a class's JSON form in `Encoded`, which says nothing to who reads JSON alone. */
const short = (name: string, taken: Readonly<Record<string, unknown>>) => {
  const shorter = name.replace(/Encoded$/u, "")
  return shorter in taken ? name : shorter
}

/** The description as plain JSON, its schemas by short names. */
const plain = <A extends { readonly components: Parts }>(spec: A): Document => {
  const { schemas } = spec.components
  const named = {
    ...spec,
    components: {
      ...spec.components,
      schemas: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [short(name, schemas), schema]))
    }
  }
  const document = JSON.stringify(named).replaceAll(
    /"#\/components\/schemas\/(\w+)"/gu,
    (_, name: string) => `"#/components/schemas/${short(name, schemas)}"`
  )
  return decode(JSON.stringify(decode(document), (_, value) => isRecord(value) ? worded(value) : value))
}

/**
 * A schema with the words of its property in it: Effect puts them beside it, in an `allOf`. What is a problem by its `type`
 * gets those of the members that all problems have.
 */
const worded = (schema: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  const { allOf, ...rest } = schema
  const { properties } = schema
  if (isRecord(properties) && isProblem(properties["type"])) {
    const told = Object.entries(properties).map(([name, of]) =>
      [name, isRecord(of) && name in problemWords ? { ...of, description: problemWords[name] } : of] as const
    )
    return { ...schema, properties: Object.fromEntries(told) }
  }
  // A text that holds JSON keeps no words of its property.
  if ("contentSchema" in schema) return { description: "The event's data, as JSON", ...schema }
  if (!Array.isArray(allOf) || !allOf.every(isRecord)) return schema
  const all = allOf.reduce<Readonly<Record<string, unknown>>>((sum, part) => ({ ...sum, ...part }), rest)
  // Two constraints of one name both hold: these stay apart.
  const names = [rest, ...allOf].flatMap((part) => Object.keys(part)).filter((name) => name !== "description")
  return names.length === new Set(names).size ? all : schema
}

const isProblem = (type: unknown): boolean =>
  isRecord(type) && Array.isArray(type["enum"]) && String(type["enum"][0]).startsWith(Undeclared.base)

/** The members of RFC 9457. */
const problemWords: Readonly<Record<string, string>> = {
  type: "Which problem it is; it stays the same",
  status: "The answer's status",
  title: "What the problem is, the same for all of its type",
  detail: "What is wrong here, and what to do",
  instance: "Which occurrence it is"
}

const operationOf = (
  { parameters, requestBody, responses, ...operation }: OpenApi.OpenAPISpecOperation,
  name: string,
  endpoint: HttpApiEndpoint.Top,
  parts: Parts
) => {
  const { everybody = false, scope } = needOf(endpoint) ?? {}
  const isOpen = (operation.security ?? []).length === 0
  const { request, ...extras } = Context.get(endpoint.annotations, Extras)
  const needs = isOpen
    ? "Needs no key."
    : scope === undefined
    ? "Needs a key, whatever its scopes."
    : `Needs a key with the scope \`${scope}\`${everybody ? ", of no tenant" : ""}.`
  return {
    ...operation,
    description: operation.description === undefined ? needs : `${operation.description}\n\n${needs}`,
    // OpenAPI 3.1 lists roles here for schemes that are not OAuth's.
    security: isOpen ? [] : [{ bearer: scope === undefined ? [] : [scope] }],
    parameters: [
      ...parameters.map(parameterOf(endpoint)),
      ...("412" in responses ? [ifMatch] : []),
      ...(scope === "emit" ? [traceparent] : [])
    ],
    ...(requestBody === undefined
      ? {}
      : { requestBody: { ...requestBody, content: contentOf(requestBody.content, `${name}Request`, request, parts) } }),
    responses: responsesOf(responses, name, { ...extras, hasBody: requestBody !== undefined, isOpen }, parts)
  }
}

interface Around {
  readonly hasBody: boolean
  /** It needs no key. */
  readonly isOpen: boolean
}

/** The headers of what a key is answered. */
const ofKey = ["RateLimit", "RateLimit-Policy"] as const

const responsesOf = (
  responses: OpenApi.OpenAPISpecResponses,
  name: string,
  { answer, answers = {}, hasBody, isOpen, versioned = false }: Extras & Around,
  parts: Parts
) => {
  const all: Record<string, unknown> = {}
  for (const [status, { content, description, ...response }] of Object.entries(responses)) {
    const problem = content?.["application/problem+json"]?.schema
    if (problem !== undefined) {
      all[status] = problemOf(status, problem, description, parts)
      continue
    }
    all[status] = {
      ...response,
      description: description === "Success" || description === "<No Content>"
        ? successes[status] ?? description
        : `${description.replace(/\.$/u, "")}.`,
      ...withHeaders(status, [...(isOpen ? [] : ofKey), ...(versioned ? ["ETag"] as const : [])]),
      ...(content === undefined
        ? {}
        : { content: contentOf(content, `${name}Answer`, answers[status] ?? answer, parts) })
    }
  }
  return sorted({ ...aroundOf(hasBody ? { ...around, ...aroundBodies } : around, parts), ...all })
}

/** The answers of the server's own. */
const aroundOf = (kinds: Readonly<Record<string, Undeclared.Kind>>, parts: Parts): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => {
      parts.schemas[name] ??= schemaOf(kind)
      const schema = { $ref: `#/components/schemas/${name}` }
      return [kind.status, problemOf(String(kind.status), schema, kind.title, parts)]
    })
  )

const withHeaders = (status: string, more: ReadonlyArray<keyof typeof headers> = []) => {
  const names = [...headersOf[status] ?? [], ...more]
  return names.length === 0
    ? {}
    : { headers: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }])) }
}

const schemaOf = (kind: Undeclared.Kind) => ({
  type: "object",
  properties: {
    type: { type: "string", enum: [Undeclared.typeOf(kind)] },
    status: { type: "number", enum: [kind.status] },
    title: { type: "string", enum: [kind.title] },
    detail: { type: "string" }
  },
  required: ["type", "status", "title", "detail"],
  additionalProperties: false
})

const isRecord = Schema.is(Schema.Record(Schema.String, Schema.Unknown))

/** The only value of a property. */
const constantOf = (schema: unknown, name: string): Schema.Json => {
  const property = isRecord(schema) && isRecord(schema["properties"]) ? schema["properties"][name] : undefined
  const values = isRecord(property) && Array.isArray(property["enum"]) ? property["enum"] : []
  return typeof values[0] === "string" || typeof values[0] === "number" ? values[0] : null
}

/** A problem as a component where it is one schema; several of one status are told apart by their `type`. */
const problemOf = (status: string, schema: object, description: string, parts: Parts) => {
  const key = "$ref" in schema && typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) ?? "" : ""
  const target = parts.schemas[key]
  const type = constantOf(target, "type")
  const response = {
    description: type === null ? `${description}.` : `${description}: \`${String(type)}\`.`,
    ...withHeaders(status),
    content: {
      "application/problem+json": {
        schema,
        ...(type === null
          ? {}
          : {
            example: {
              type,
              status: constantOf(target, "status"),
              title: constantOf(target, "title"),
              detail: "What is wrong, and what to do."
            }
          })
      }
    }
  }
  if (type === null) return response
  const name = short(key, parts.schemas)
  parts.responses[name] = response
  return { $ref: `#/components/responses/${name}` }
}

/** Bodies get a name where their schema has none; what only Effect's own client reads is left out. */
const contentOf = (
  content: OpenApi.OpenApiSpecContent,
  name: string,
  example: Schema.Json | undefined,
  parts: Parts
) =>
  Object.fromEntries(
    Object.entries(content).map(([type, { schema }]) => {
      const named = "$ref" in schema || Object.keys(schema).length === 0
      if (!named) parts.schemas[name] = schema
      return [type, {
        schema: named ? schema : { $ref: `#/components/schemas/${name}` },
        ...(example === undefined ? {} : { example })
      }]
    })
  )

/** A parameter as it is written: a number in a query is a text to Effect, and a number to who reads the description. */
const parameterOf = ({ query }: HttpApiEndpoint.Top) => (parameter: OpenApi.OpenAPISpecParameter) => {
  const described = "description" in parameter.schema ? { description: parameter.schema.description } : {}
  const field = parameter.in === "query" && query !== undefined && SchemaAST.isObjects(query.ast)
    ? query.ast.propertySignatures.find(({ name }) => name === parameter.name)?.type
    : undefined
  const type = field === undefined ? undefined : SchemaAST.toType(field)
  return {
    ...parameter,
    ...described,
    ...(type !== undefined && SchemaAST.isNumber(type)
      ? { schema: Schema.toJsonSchemaDocument(Schema.make(type)).schema }
      : {})
  }
}
