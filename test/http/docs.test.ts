/**
 * The description of the API, as a document and as it is served.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { OpenApi } from "effect/http-api"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Api } from "../../src/http/Api.ts"
import { needOf } from "../../src/http/Bearer.ts"
import { documented } from "../../src/http/Description.ts"
import { call, port, server } from "./support.ts"

const Json = Schema.Record(Schema.String, Schema.Json)
const Operation = Schema.Struct({
  operationId: Schema.String,
  summary: Schema.NonEmptyString,
  description: Schema.NonEmptyString,
  tags: Schema.Array(Schema.String),
  security: Schema.Array(Schema.Record(Schema.String, Schema.Array(Schema.String))),
  parameters: Schema.Array(Schema.Struct({ name: Schema.String, in: Schema.String, schema: Json })),
  requestBody: Schema.optionalKey(Json),
  responses: Schema.Record(Schema.String, Json)
})
const document = Schema.decodeUnknownSync(Schema.Struct({
  paths: Schema.Record(Schema.String, Schema.Record(Schema.String, Operation)),
  components: Schema.Struct({ schemas: Json, responses: Schema.Record(Schema.String, Json), headers: Json })
}))(OpenApi.fromApi(documented))

const endpoints = Object.values(Api.groups).flatMap((group) =>
  Object.values(group.endpoints).map((endpoint) => ({
    endpoint,
    name: `${endpoint.method} ${endpoint.path}`,
    operation: document.paths[endpoint.path.replaceAll(/:(\w+)/gu, "{$1}")]?.[endpoint.method.toLowerCase()]
  }))
)

describe("the description of the API", () => {
  it("has every route of the contract, with the scope that it needs", () => {
    assert.isAbove(endpoints.length, 30)
    for (const { endpoint, name, operation } of endpoints) {
      // Who begins a session has none yet.
      const isOpen = endpoint.path.endsWith("/session") && endpoint.method !== "GET"
      const scope = needOf(endpoint)?.scope
      const needed = isOpen ? [] : [{ bearer: scope === undefined ? [] : [scope] }]
      assert.deepStrictEqual(operation?.security, needed, name)
    }
  })

  it("says of every route which problems it answers, the server's own among them", () => {
    for (const { name, operation } of endpoints) {
      const statuses = Object.keys(operation?.responses ?? {})
      const ofKeys = (operation?.security.length ?? 0) > 0 ? ["401", "403", "429"] : []
      assert.includeMembers(statuses, ["400", "413", "422", "500", ...ofKeys], name)
      assert.strictEqual(statuses.includes("415"), operation?.requestBody !== undefined, name)
      const takesVersion = operation?.parameters.some(({ name }) => name === "If-Match")
      assert.strictEqual(statuses.includes("412"), takesVersion, name)
      if (name.includes("/:")) assert.include(statuses, "404", name)
    }
    for (const [name, { content, description }] of Object.entries(document.components.responses)) {
      assert.match(String(description), /: `https:\/\/hookline\.dev\/problems\/[a-z-]+`\.$/u, name)
      assert.property(content, "application/problem+json", name)
    }
  })

  it("has the words of every property, those of a schema that others refer to too", () => {
    const { schemas } = document.components
    const property = (schema: string, name: string) => {
      const { properties } = Schema.decodeUnknownSync(Schema.Struct({ properties: Json }))(schemas[schema])
      return properties[name]
    }
    assert.deepStrictEqual(property("Subscription", "createdAt"), {
      type: "string",
      format: "date-time",
      description: "When it was made"
    })
    assert.deepStrictEqual(property("BlockedKey", "head"), {
      $ref: "#/components/schemas/Delivery",
      description: "The delivery that the others wait for"
    })
    assert.deepInclude(property("Refused", "detail"), { description: "What is wrong here, and what to do" })
    assert.notInclude(JSON.stringify(document), "\"allOf\"")
  })

  it("has what is served beside the contract, for who has no key", () => {
    for (const path of ["/health/live", "/health/ready"]) {
      const { get } = document.paths[path] ?? {}
      assert.deepStrictEqual(get?.security, [], path)
      assert.includeMembers(Object.keys(get?.responses ?? {}), ["200", "413", "500"], path)
    }
    assert.include(Object.keys(document.paths["/health/ready"]?.["get"]?.responses ?? {}), "503")
  })

  it("names every body", () => {
    const unnamed = (content: Schema.Json | undefined) =>
      JSON.stringify(content ?? {}).match(/"schema":\{(?!"(\$ref|anyOf)")/gu) ?? []
    for (const { name, operation } of endpoints) {
      assert.isEmpty(unnamed(operation?.requestBody), name)
      for (const response of Object.values(operation?.responses ?? {})) assert.isEmpty(unnamed(response), name)
    }
    assert.notInclude(JSON.stringify(document), "Encoded\":{\"type\":\"object\",\"properties\":{\"type\"")
  })

  it("shows an example of every body of a request, and of what answers it", () => {
    for (const { name, operation } of endpoints) {
      const good = Object.entries(operation?.responses ?? {}).filter(([status]) => status < "300").map(([, told]) =>
        told
      )
      for (const told of [operation?.requestBody, ...good]) {
        const text = JSON.stringify(told ?? {})
        assert.strictEqual(/"(application\/json|text\/plain[^"]*)"/u.test(text), text.includes("\"example\""), name)
      }
    }
  })

  it("tells numbers in queries as numbers", () => {
    const limits = endpoints.flatMap(({ operation }) =>
      operation?.parameters.filter(({ name }) => name === "limit") ?? []
    )
    assert.isNotEmpty(limits)
    for (const { schema } of limits) assert.deepStrictEqual(schema, { type: "integer", minimum: 1, maximum: 100 })
  })

  layer(server(), { excludeTestServices: true })((it) => {
    it.effect("is what docs/openapi.json holds, and is open to everybody", () =>
      Effect.gen(function*() {
        const served = yield* call("GET", "/openapi.json", undefined, { authorization: "" })
        assert.strictEqual(served.status, 200)
        const kept = Fs.readFileSync(Path.resolve(import.meta.dirname, "../../docs/openapi.json"), "utf8")
        assert.deepStrictEqual(served.json, Schema.decodeUnknownSync(Schema.fromJsonString(Json))(kept))
      }))

    it.effect("is a page that runs nothing but its own scripts and asks no other server", () =>
      Effect.gen(function*() {
        const address = `http://127.0.0.1:${yield* port}/docs`
        for (const encoding of ["gzip", "identity"]) {
          const response = yield* Effect.promise(() => fetch(address, { headers: { "accept-encoding": encoding } }))
          const html = yield* Effect.promise(() => response.text())
          assert.strictEqual(response.status, 200)
          assert.match(response.headers.get("content-type") ?? "", /^text\/html/u)
          assert.strictEqual(response.headers.get("content-encoding") ?? "identity", encoding)
          const policy = response.headers.get("content-security-policy") ?? ""
          assert.include(policy, "default-src 'none'")
          assert.notInclude(policy, "http")
          assert.notMatch(policy.split("style-src", 1)[0] ?? "", /unsafe/u)
          const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/gu)].map(([, script = ""]) => script)
          assert.strictEqual(scripts.length, 2)
          for (const script of scripts) {
            assert.include(policy, `'sha256-${createHash("sha256").update(script).digest("base64")}'`)
          }
          assert.notMatch(html, /<(script|link|img)[^>]*(src|href)=/u)
          assert.include(html, "Emit a message")
        }
      }))
  })

  it.live("is not there where the operator does not want it to be public", () =>
    Effect.gen(function*() {
      for (const path of ["/docs", "/openapi.json"]) assert.strictEqual((yield* call("GET", path)).status, 404)
      assert.strictEqual((yield* call("GET", "/api/v1/events")).status, 200)
    }).pipe(Effect.provide(server({ publicDocs: false }))))
})
