import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import * as Provider from "../src/Provider.ts"
import * as SecretFields from "../src/SecretFields.ts"

const secret = Schema.String.annotate({ secret: true })

const bracket = (schema: Schema.Constraint, value: Schema.Json) =>
  SecretFields.map(schema, value, (text) => Effect.succeed(`<${text}>`))

interface Tree {
  readonly key: string
  readonly children: ReadonlyArray<Tree>
}

const Tree: Schema.Codec<Tree> = Schema.Struct({
  key: secret,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

describe("secret fields", () => {
  it.effect("are found in structs, arrays, tuples, records and recursive schemas", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        open: Schema.String,
        token: Schema.optionalKey(secret),
        keys: Schema.Array(secret),
        list: Schema.Array(Schema.Struct({ name: Schema.String, key: secret })),
        pair: Schema.Tuple([Schema.String, secret]),
        named: Schema.Record(Schema.String, secret),
        tree: Tree
      })
      const value = {
        open: "o",
        token: "t",
        keys: ["a", "b"],
        list: [{ name: "n", key: "k" }],
        pair: ["p", "q"],
        named: { x: "y", __proto_: "z" },
        tree: { key: "1", children: [{ key: "2", children: [] }] }
      }
      assert.deepStrictEqual(yield* SecretFields.without(schema, value), {
        open: "o",
        keys: [],
        list: [{ name: "n" }],
        pair: ["p"],
        named: {},
        tree: { children: [{ children: [] }] }
      })
      assert.deepStrictEqual(yield* bracket(schema, value), {
        open: "o",
        token: "<t>",
        keys: ["<a>", "<b>"],
        list: [{ name: "n", key: "<k>" }],
        pair: ["p", "<q>"],
        named: { x: "<y>", __proto_: "<z>" },
        tree: { key: "<1>", children: [{ key: "<2>", children: [] }] }
      })
    }))

  it.effect("of a union are sealed once, whichever members have them", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        auth: Schema.Union([
          Schema.Struct({ kind: Schema.Literal("bearer"), token: secret }),
          Schema.Struct({ kind: Schema.Literal("custom"), token: secret }),
          Schema.Struct({ kind: Schema.Literal("none"), token: Schema.optionalKey(Schema.String) })
        ]),
        maybe: Schema.NullOr(secret)
      })
      const value = { auth: { kind: "bearer", token: "t" }, maybe: null }
      assert.deepStrictEqual(yield* bracket(schema, value), { auth: { kind: "bearer", token: "<t>" }, maybe: null })
      assert.deepStrictEqual(yield* bracket(schema, { ...value, maybe: "m" }), {
        auth: { kind: "bearer", token: "<t>" },
        maybe: "<m>"
      })
    }))

  it.effect("are those that the schema has as Redacted too, and those behind a transformation", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const provider = Provider.make({
        id: "p",
        displayName: "P",
        config: Schema.Struct({
          key: Schema.Redacted(Schema.String),
          pin: Schema.FiniteFromString.annotate({ secret: true })
        }),
        bind: (config): Provider.Bound<never> => {
          seen.push([Redacted.value(config.key), config.pin])
          return { check: Effect.void, deliver: () => Effect.succeed({}) }
        }
      })
      const value = { key: "k", pin: "12" }
      assert.isUndefined(SecretFields.problem(provider.config))
      assert.deepStrictEqual(yield* SecretFields.without(provider.config, value), {})
      assert.deepStrictEqual(yield* bracket(provider.config, value), { key: "<k>", pin: "<12>" })
      yield* provider.bind(value)
      assert.deepStrictEqual(seen, [["k", 12]])
    }))

  it.effect("of one member of a union leave what another member has in their place", () =>
    Effect.gen(function*() {
      const schema = Schema.Union([
        Schema.Struct({ kind: Schema.Literal("token"), value: secret }),
        Schema.Struct({ kind: Schema.Literal("basic"), value: Schema.Struct({ user: Schema.String }) })
      ])
      const basic = { kind: "basic", value: { user: "u" } }
      assert.deepStrictEqual(yield* bracket(schema, basic), basic)
      assert.deepStrictEqual(yield* SecretFields.without(schema, basic), { kind: "basic" })
    }))

  it("that only the form in memory has are told by their path: the stored form would show them", () => {
    const stored = Schema.Struct({ t: Schema.String })
    const schema = stored.pipe(Schema.decodeTo(Schema.Struct({ t: secret })))
    assert.strictEqual(SecretFields.problem(schema), "config.t")
    assert.strictEqual(SecretFields.problem(Schema.Struct({ inner: schema })), "config.inner.t")
  })

  it("that are no texts are told by their path, as only texts can be sealed", () => {
    const marked = { secret: true }
    for (
      const [schema, path] of [
        [Schema.Struct({ a: Schema.Struct({ pin: Schema.Finite.annotate(marked) }) }), "config.a.pin"],
        [Schema.Struct({ keys: Schema.Array(Schema.String).annotate(marked) }), "config.keys"],
        [Schema.Record(Schema.String, Schema.Array(Schema.Boolean.annotate(marked))), "config.*[n]"]
      ] as const
    ) assert.strictEqual(SecretFields.problem(schema), path)
    assert.isUndefined(SecretFields.problem(Tree))
  })

  it("are named by their paths, also those inside of unions, collections and recursive schemas", () => {
    const schema = Schema.Struct({
      open: Schema.String,
      token: Schema.optionalKey(secret),
      redacted: Schema.toCodecJson(Schema.Redacted(Schema.String)),
      auth: Schema.Union([Schema.Struct({ user: Schema.String, password: secret }), Schema.Struct({ key: secret })]),
      list: Schema.Array(Schema.Struct({ key: secret })),
      named: Schema.Record(Schema.String, secret),
      tree: Tree
    })
    assert.deepStrictEqual(SecretFields.paths(schema), [
      "config.token",
      "config.redacted",
      "config.auth.password",
      "config.auth.key",
      "config.list[n].key",
      "config.named.*",
      "config.tree.key"
    ])
  })

  it.effect("whose value is no text are not shown", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ key: secret })
      assert.deepStrictEqual(yield* SecretFields.without(schema, { key: { nested: 1 } }), {})
    }))

  it("that are blank are kept from what was before in their place; those in lists are nobody's", () => {
    const schema = Schema.Struct({
      open: Schema.String,
      token: Schema.optionalKey(secret),
      auth: Schema.optionalKey(Schema.Struct({ user: Schema.String, password: Schema.optionalKey(secret) })),
      named: Schema.optionalKey(Schema.Record(Schema.String, secret)),
      list: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, key: secret })))
    })
    const stored = {
      open: "o",
      token: "t",
      auth: { user: "u", password: "p" },
      named: { a: "1", b: "2" },
      list: [{ name: "a", key: "k" }]
    }
    const keep = (value: Schema.Json) => SecretFields.keep(schema, value, stored)
    assert.deepStrictEqual(keep({ open: "", token: "" }), { open: "", token: "t" })
    assert.deepStrictEqual(keep({ open: "x", token: "new" }), { open: "x", token: "new" })
    assert.deepStrictEqual(keep({ open: "x", auth: { user: "v", password: "" } }), {
      open: "x",
      auth: { user: "v", password: "p" }
    })
    assert.deepStrictEqual(keep({ open: "x", named: { a: "", c: "" } }), { open: "x", named: { a: "1" } })
    const list = [{ name: "b", key: "" }]
    assert.deepStrictEqual(keep({ open: "x", list }), { open: "x", list })
    assert.deepStrictEqual(keep({ open: "x", token: null }), { open: "x" })
    const orNull = Schema.Struct({ token: Schema.NullOr(secret) })
    assert.deepStrictEqual(SecretFields.keep(orNull, { token: null }, { token: "t" }), { token: null })
    assert.deepStrictEqual(SecretFields.keep(schema, { token: "" }, { token: { constructor: "x" } }), {})
    assert.deepStrictEqual(SecretFields.keep(schema, { named: { constructor: "" } }, {}), { named: {} })
  })
})
