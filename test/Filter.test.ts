import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Core from "../src/Core.ts"
import * as Filter from "../src/Filter.ts"
import * as Hook from "../src/Hook.ts"
import * as IntegrationEvent from "../src/IntegrationEvent.ts"
import * as Limits from "../src/Limits.ts"
import * as Registry from "../src/Registry.ts"

const inputWith = (payload: Schema.Json, message: Partial<Filter.Input> = {}): Filter.Input => ({
  eventId: "incident.incident.created",
  tenantId: "default",
  orderingKey: undefined,
  ...message,
  payload
})

const holds = (filter: Filter.Filter, payload: Schema.Json, message: Partial<Filter.Input> = {}): boolean => {
  const input = inputWith(payload, message)
  const result = Filter.compile(filter)(input)
  assert.strictEqual(Filter.explain(filter, input) === undefined, result)
  return result
}

const incident = {
  severity: "minor",
  count: 3,
  open: false,
  note: null,
  system: { id: "s1", "region-name": "eu" },
  systemIds: ["s1", "s2"],
  none: [],
  items: [{ id: 1, tags: ["a"] }, { id: 2, tags: ["b", "c"] }],
  matrix: [[1, 2], [3]]
}

describe("a filter", () => {
  it("holds by equality of values, and never converts a type", () => {
    assert.isTrue(holds({ field: "payload.severity", equals: "minor" }, incident))
    assert.isTrue(holds({ field: "payload.system.region-name", equals: "eu" }, incident))
    assert.isTrue(holds({ field: "payload.note", equals: null }, incident))
    assert.isTrue(holds({ field: "payload.open", equals: false }, incident))
    for (const equals of ["3", true, null, 3.5]) assert.isFalse(holds({ field: "payload.count", equals }, incident))
    for (const equals of ["Minor", "minor ", ""]) assert.isFalse(holds({ field: "payload.severity", equals }, incident))
    assert.isFalse(holds({ field: "payload.open", equals: 0 }, incident))
    assert.isFalse(holds({ field: "payload.system", equals: "[object Object]" }, incident))
    assert.isTrue(holds({ field: "payload", equals: "text" }, "text"))
  })

  it("holds for one of a list of values, and for what a string begins with", () => {
    assert.isTrue(holds({ field: "payload.severity", in: ["major", "minor"] }, incident))
    assert.isFalse(holds({ field: "payload.count", in: ["3", null] }, incident))
    assert.isTrue(holds({ field: "payload.severity", prefix: "min" }, incident))
    assert.isFalse(holds({ field: "payload.severity", prefix: "Min" }, incident))
    assert.isFalse(holds({ field: "payload.count", prefix: "3" }, incident))
  })

  it("holds for numbers in a range", () => {
    const range = (test: object) => holds({ field: "payload.count", ...test }, incident)
    assert.isTrue(range({ greaterThan: 2 }))
    assert.isFalse(range({ greaterThan: 3 }))
    assert.isTrue(range({ atLeast: 3, atMost: 3 }))
    assert.isTrue(range({ greaterThan: 2.9, lessThan: 3.1 }))
    assert.isFalse(range({ lessThan: 3 }))
    assert.isFalse(holds({ field: "payload.severity", atLeast: -1e9 }, incident))
    assert.isFalse(holds({ field: "payload.note", atMost: 1 }, incident))
  })

  it("holds for a list when one element satisfies the whole condition, with or without [n]", () => {
    for (const field of ["payload.systemIds", "payload.systemIds[n]"]) {
      assert.isTrue(holds({ field, equals: "s2" }, incident))
      assert.isTrue(holds({ field, in: ["s2", "s9"] }, incident))
      assert.isFalse(holds({ field, equals: "s3" }, incident))
    }
    for (const field of ["payload.items.tags", "payload.items[n].tags[n]"]) {
      assert.isTrue(holds({ field, equals: "c" }, incident))
    }
    assert.isTrue(holds({ field: "payload.matrix", equals: 3 }, incident))
    assert.isTrue(holds({ field: "payload[n].id", equals: 7 }, [{ id: 1 }, { id: 7 }]))
    // 1 is under 2, and 2 over 1: no single element is both.
    assert.isFalse(holds({ field: "payload.items.id", greaterThan: 1, lessThan: 2 }, incident))
  })

  it("holds for a missing field only where it asks for that", () => {
    for (
      const field of [
        "payload.absent",
        "payload.severity.length",
        "payload.none",
        "payload.items.absent",
        "message.orderingKey"
      ]
    ) {
      assert.isTrue(holds({ field, exists: false }, incident))
      for (const test of [{ exists: true }, { equals: null }, { in: [null, ""] }, { prefix: "a" }, { atMost: 1e9 }]) {
        assert.isFalse(holds({ field, ...test }, incident))
        assert.isTrue(holds({ not: { field, ...test } }, incident))
      }
    }
    for (const field of ["payload.note", "payload.open", "payload.system", "payload.systemIds", "payload"]) {
      assert.isTrue(holds({ field, exists: true }, incident))
      assert.isFalse(holds({ field, exists: false }, incident))
    }
  })

  it("holds for fields of the message", () => {
    const message = { eventId: "a.b", tenantId: "t", orderingKey: "k1" }
    assert.isTrue(holds({ field: "message.eventId", equals: "a.b" }, {}, message))
    assert.isTrue(holds({ field: "message.tenantId", in: ["s", "t"] }, {}, message))
    assert.isTrue(holds({ field: "message.orderingKey", prefix: "k" }, {}, message))
    assert.isFalse(holds({ field: "message.eventId", equals: "a.b" }, { eventId: "a.b" }))
  })

  it("reads own properties only", () => {
    for (
      const path of ["__proto__", "constructor", "toString", "constructor.name", "severity.__proto__", "systemIds.map"]
    ) {
      assert.isTrue(holds({ field: `payload.${path}`, exists: false }, incident))
    }
    const own: Schema.Json = JSON.parse("{\"__proto__\":{\"a\":1},\"constructor\":\"c\"}")
    assert.isTrue(holds({ field: "payload.__proto__.a", equals: 1 }, own))
    assert.isTrue(holds({ field: "payload.constructor", equals: "c" }, own))
  })

  it("does not hold where judging it takes more steps than it may, whatever it says, and explains that", () => {
    const long = { list: Array.from({ length: Limits.defaults.filterSteps }, (_, n) => n) }
    const never: Filter.Filter = { field: "payload.list", equals: -1 }
    for (
      const filter of [never, { not: never }, { any: [{ not: never }, never] }] satisfies ReadonlyArray<Filter.Filter>
    ) {
      assert.isFalse(holds(filter, long))
      assert.include(Filter.explain(filter, inputWith(long)), "takes more than 50000 steps")
    }
    const [, ...shorter] = long.list
    assert.isTrue(holds({ not: never }, { list: shorter.slice(1) }))
    const many: Filter.Filter = {
      any: Array.from({ length: 100 }, (_, n) => ({ field: "payload.list", equals: -1 - n }))
    }
    const steps = { left: Limits.defaults.filterSteps }
    assert.isFalse(Filter.compile(many)(inputWith(long), steps))
    assert.isAtLeast(steps.left, -100)
  })

  it("looks through lists that nest deeper than calls can", () => {
    let payload: Schema.Json = "deep"
    for (let i = 0; i < 40_000; i++) payload = [payload]
    assert.isTrue(holds({ field: "payload", equals: "deep" }, payload))
    assert.isFalse(holds({ field: "payload.a", equals: "deep" }, { a: payload }.a))
  })
})

/** Reads numbers as choices, so that a property's input can be any list of numbers. */
const choices = (tape: ReadonlyArray<number>) => {
  let at = 0
  const next = (count: number) => (tape[at++] ?? 0) % count
  const pick = <A>(...items: ReadonlyArray<() => A>): A => {
    const item = items[next(items.length)]
    if (!item) throw new Error("nothing to choose from")
    return item()
  }
  return { next, pick }
}

const tape = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 })))

const scalars = ["x", "xy", "", 1, 2, -0.5, true, false, null]
const names = ["a", "b", "list", "__proto__", "toString"]

const filterOf = (numbers: ReadonlyArray<number>): Filter.Filter => {
  const { next, pick } = choices(numbers)
  const scalar = () => scalars[next(scalars.length)] ?? null
  const name = () => names[next(names.length)] ?? "a"
  const field = () =>
    pick(
      () => `payload.${name()}`,
      () => `payload.${name()}.${name()}`,
      () => `payload.${name()}[n].${name()}[n]`,
      () => "payload",
      () => "message.eventId",
      () => "message.orderingKey"
    )
  const condition = (): Filter.Filter =>
    pick<Filter.Filter>(
      () => ({ field: field(), equals: scalar() }),
      () => ({ field: field(), in: Array.from({ length: 1 + next(3) }, scalar) }),
      () => ({ field: field(), prefix: pick(() => "x", () => "xy", () => "m") }),
      () => ({ field: field(), exists: next(2) === 0 }),
      () => ({ field: field(), greaterThan: next(3) - 1 }),
      () => ({ field: field(), atLeast: next(3) - 1, atMost: 2 + next(2) }),
      () => ({ field: field(), lessThan: next(3) })
    )
  const any = (depth: number): Filter.Filter => {
    const parts = () => Array.from({ length: 1 + next(3) }, () => any(depth - 1))
    return depth === 0 ? condition() : pick<Filter.Filter>(
      condition,
      () => ({ all: parts() }),
      () => ({ any: parts() }),
      () => ({ not: any(depth - 1) })
    )
  }
  return any(4)
}

const payloadOf = (numbers: ReadonlyArray<number>): Schema.Json => {
  const { next, pick } = choices(numbers)
  const any = (depth: number): Schema.Json =>
    pick<Schema.Json>(
      () => scalars[next(scalars.length)] ?? null,
      () => depth === 0 ? [] : Array.from({ length: next(3) }, () => any(depth - 1)),
      () =>
        depth === 0
          ? {}
          : Object.fromEntries(
            Array.from({ length: 1 + next(3) }, () => [names[next(names.length)] ?? "a", any(depth - 1)])
          )
    )
  return { a: any(4), list: [any(3), any(3)], b: any(2) }
}

/** What the words of the schema say, as plainly as can be. */
const reference = (filter: Filter.Filter, input: Filter.Input): boolean => {
  if ("all" in filter) return filter.all.every((part) => reference(part, input))
  if ("any" in filter) return filter.any.some((part) => reference(part, input))
  if ("not" in filter) return !reference(filter.not, input)
  const read = (value: unknown, path: ReadonlyArray<string>): ReadonlyArray<unknown> => {
    if (Array.isArray(value)) return value.flatMap((item) => read(item, path))
    const [name, ...rest] = path
    if (name === undefined) return [value]
    const own = typeof value === "object" && value !== null
      ? Object.entries(value).find(([key]) => key === name)
      : undefined
    return own ? read(own[1], rest) : []
  }
  const message = {
    eventId: input.eventId,
    tenantId: input.tenantId,
    ...(input.orderingKey === undefined ? {} : input)
  }
  const values = read({ payload: input.payload, message }, filter.field.split("[n]").join("").split("."))
  if ("exists" in filter) return (values.length > 0) === filter.exists
  return values.some((value) => {
    if ("equals" in filter) return value === filter.equals
    if ("in" in filter) return filter.in.some((item) => item === value)
    if ("prefix" in filter) return typeof value === "string" && value.slice(0, filter.prefix.length) === filter.prefix
    if (typeof value !== "number") return false
    return !(filter.greaterThan !== undefined && value <= filter.greaterThan) &&
      !(filter.atLeast !== undefined && value < filter.atLeast) &&
      !(filter.lessThan !== undefined && value >= filter.lessThan) &&
      !(filter.atMost !== undefined && value > filter.atMost)
  })
}

describe("any filter", () => {
  const runs = { arbitrary: { runs: 500 } }
  const message = { orderingKey: "xk", eventId: "m.x" }

  it.effect.prop("decides as the words of its form say, and explains itself exactly where it does not hold", [
    tape,
    tape
  ], ([f, p]) =>
    Effect.sync(() => {
      const filter = filterOf(f)
      for (const input of [inputWith(payloadOf(p)), inputWith(payloadOf(p), message)]) {
        const expected = reference(filter, input)
        assert.strictEqual(Filter.compile(filter)(input), expected)
        const reason = Filter.explain(filter, input)
        assert.strictEqual(reason === undefined, expected)
        if (reason !== undefined) assert.notInclude(reason, "undefined")
      }
    }), runs)

  it.effect.prop(
    "is plain logic: not of all is any of not, and not of not is itself",
    [tape, tape, tape, tape],
    ([a, b, c, p]) =>
      Effect.sync(() => {
        const parts = [filterOf(a), filterOf(b), filterOf(c)]
        const nots = parts.map((not) => ({ not }))
        const input = inputWith(payloadOf(p), message)
        const same = (one: Filter.Filter, other: Filter.Filter) =>
          assert.strictEqual(Filter.compile(one)(input), Filter.compile(other)(input))
        same({ not: { all: parts } }, { any: nots })
        same({ not: { any: parts } }, { all: nots })
        for (const part of parts) same({ not: { not: part } }, part)
      }),
    runs
  )

  it.effect.prop("survives its JSON form", [tape], ([f]) =>
    Effect.gen(function*() {
      const filter = filterOf(f)
      const json = yield* Schema.encodeEffect(Filter.Filter)(filter)
      assert.deepStrictEqual(json, filter)
      assert.deepStrictEqual(yield* Filter.decode(JSON.parse(JSON.stringify(json))), filter)
    }), runs)
})

describe("an explanation", () => {
  const says = (filter: Filter.Filter) => Filter.explain(filter, inputWith(incident))

  it("is a sentence about the first condition that fails", () => {
    assert.strictEqual(
      says({ field: "payload.severity", equals: "critical" }),
      "payload.severity is \"minor\", not \"critical\""
    )
    assert.strictEqual(
      says({ field: "payload.severity", in: ["critical"] }),
      "payload.severity is \"minor\", not \"critical\""
    )
    assert.strictEqual(
      says({ field: "payload.severity", in: ["a", "b"] }),
      "payload.severity is \"minor\", not one of \"a\", \"b\""
    )
    assert.strictEqual(
      says({ field: "payload.severity", prefix: "cr" }),
      "payload.severity is \"minor\", not beginning with \"cr\""
    )
    assert.strictEqual(
      says({ field: "payload.count", greaterThan: 5, atMost: 9 }),
      "payload.count is 3, not over 5 and at most 9"
    )
    assert.strictEqual(says({ field: "payload.count", equals: "3" }), "payload.count is 3, not \"3\"")
    assert.strictEqual(says({ field: "payload.system", equals: "s1" }), "payload.system is an object, not \"s1\"")
    assert.strictEqual(says({ field: "payload.absent", exists: true }), "payload.absent is missing")
    assert.strictEqual(says({ field: "payload.absent", atLeast: 1 }), "payload.absent is missing, not at least 1")
    assert.strictEqual(says({ field: "payload.open", exists: false }), "payload.open is false, not missing")
    assert.strictEqual(
      says({ field: "payload.systemIds", equals: "s3" }),
      "payload.systemIds is \"s1\", \"s2\", none of them \"s3\""
    )
    assert.strictEqual(
      says({
        all: [{ field: "payload.count", equals: 3 }, { field: "payload.note", equals: 1 }, {
          field: "payload.x",
          equals: 1
        }]
      }),
      "payload.note is null, not 1"
    )
  })

  it("tells of alternatives, and of what is excluded", () => {
    assert.strictEqual(says({ any: [{ field: "payload.count", equals: 1 }] }), "payload.count is 3, not 1")
    assert.strictEqual(
      says({ any: [{ field: "payload.count", equals: 1 }, { field: "payload.count", equals: 2 }] }),
      "none of 2 alternatives holds; the first: payload.count is 3, not 1"
    )
    assert.strictEqual(says({ not: { field: "payload.count", atLeast: 3 } }), "payload.count is 3, which is excluded")
    assert.strictEqual(
      says({ not: { field: "payload.systemIds", equals: "s2" } }),
      "payload.systemIds is \"s2\", which is excluded"
    )
    assert.strictEqual(
      says({ not: { field: "payload.absent", exists: false } }),
      "payload.absent is missing, which is excluded"
    )
    assert.strictEqual(
      says({ not: { any: [{ field: "payload.count", equals: 1 }, { not: { field: "payload.open", equals: true } }] } }),
      "payload.open is false, not true, which is excluded"
    )
  })

  it("stays short whatever the payload holds", () => {
    const long = "x".repeat(100_000)
    const many = Array.from({ length: 1000 }, (_, i) => i)
    for (const payload of [{ a: long }, { a: many }, { a: many.map(() => ({})) }]) {
      for (const equals of ["y", long]) {
        const reason = Filter.explain({ field: "payload.a", equals }, inputWith(payload)) ?? ""
        assert.isBelow(reason.length, 300)
      }
    }
  })
})

describe("decoding a filter refuses, with the path and what to do,", () => {
  const c = { field: "payload.a", equals: 1 }
  const nest = (depth: number, wrap: (inner: object) => object) => {
    let filter: object = c
    for (let i = 0; i < depth; i++) filter = wrap(filter)
    return filter
  }
  const refusals: ReadonlyArray<readonly [what: string, json: unknown, path: string, says: string]> = [
    ["what is no object", [c], "filter", "Expected a filter: an object with all, any or not, or with field and a test"],
    ["null", { all: [c, null] }, "filter.all[1]", "Expected a filter"],
    ["an empty object", { not: {} }, "filter.not", "Expected one of all, any, not and field"],
    ["two forms in one", { all: [c], any: [c] }, "filter", "Expected one of all, any, not and field, not all and any"],
    ["a test beside a list", { all: [c], equals: 1 }, "filter", "Expected nothing beside all, not equals"],
    ["a list that is none", { any: c }, "filter.any", "Expected a list of at least one filter"],
    ["an empty list", { any: [{ all: [] }] }, "filter.any[0].all", "Expected a list of at least one filter"],
    [
      "an unknown key",
      { all: [{ ...c, equls: 2 }] },
      "filter.all[0]",
      "There is no \"equls\" in a filter; did you mean \"equals\"?"
    ],
    [
      "an inherited name as key",
      JSON.parse("{\"__proto__\":1,\"field\":\"payload.a\"}"),
      "filter",
      "There is no \"__proto__\""
    ],
    ["an empty key", { "": c }, "filter", "There is no \"\""],
    ["a key of any length", { ["x".repeat(1_000_000)]: 1 }, "filter", "There is no \"xxxxx"],
    [
      "a condition without a test",
      { not: { field: "payload.a" } },
      "filter.not",
      "Expected a test beside field: equals, in"
    ],
    [
      "two tests",
      { ...c, atLeast: 1 },
      "filter",
      "Expected one test, not equals and atLeast; join conditions with all or any"
    ],
    ["a field that is no text", { field: 1, equals: 1 }, "filter.field", "Expected string"],
    [
      "a field outside payload and message",
      { field: "severity", equals: 1 },
      "filter.field",
      "Expected a field such as payload"
    ],
    [
      "an unknown field of the message",
      { field: "message.id", equals: 1 },
      "filter.field",
      "message.eventId or message.orderingKey"
    ],
    ["a field with an index", { field: "payload.a[0]", equals: 1 }, "filter.field", "payload.systemIds[n]"],
    ["a field with an empty name", { field: "payload..a", equals: 1 }, "filter.field", "Expected a field such as"],
    [
      "a field of any length",
      { field: `payload.${"a".repeat(1000)}`, equals: 1 },
      "filter.field",
      "Expected at most 256 characters"
    ],
    [
      "an object as value",
      { field: "payload.a", equals: {} },
      "filter.equals",
      "Expected string | number | boolean | null"
    ],
    ["a number that is none", { field: "payload.a", equals: Number.NaN }, "filter.equals", "Expected"],
    ["an empty list of values", { field: "payload.a", in: [] }, "filter.in", "Expected at least one value"],
    [
      "a list in a list of values",
      { all: [{ field: "payload.a", in: [1, []] }] },
      "filter.all[0].in[1]",
      "Expected string"
    ],
    [
      "too many values",
      { field: "payload.a", in: Array.from({ length: 1001 }, (_, i) => i) },
      "filter.in",
      "Expected at most 1000 values"
    ],
    ["an empty prefix", { field: "payload.a", prefix: "" }, "filter.prefix", "Expected a text"],
    ["a text as a bound", { field: "payload.a", atLeast: "1" }, "filter.atLeast", "Expected"],
    [
      "a range that holds nothing",
      { any: [{ field: "payload.a", greaterThan: 5, atMost: 5 }] },
      "filter.any[0]",
      "none is over 5 and at most 5"
    ],
    ["a text for exists", { field: "payload.a", exists: "yes" }, "filter.exists", "Expected boolean"],
    [
      "too many levels of not",
      nest(10_000, (not) => ({ not })),
      `filter${".not".repeat(10)}`,
      "Expected at most 10 levels of filters"
    ],
    [
      "too many levels of lists",
      nest(10_000, (part) => ({ all: [part] })),
      `filter${".all[0]".repeat(10)}`,
      "Expected at most 10 levels"
    ],
    [
      "too many conditions",
      { all: Array.from({ length: 101 }, () => c) },
      "filter.all[100]",
      "Expected at most 100 conditions"
    ],
    [
      "too many bytes",
      { all: Array.from({ length: 70 }, () => ({ field: "payload.a", equals: "x".repeat(1000) })) },
      "filter",
      "Expected at most 65536 bytes"
    ]
  ]
  for (const [what, json, path, says] of refusals) {
    it.effect(what, () =>
      Effect.gen(function*() {
        const refused = yield* Effect.flip(Filter.decode(json))
        assert.strictEqual(refused._tag, "FilterRefused")
        assert.strictEqual(refused.path, path)
        assert.include(refused.message, says)
        assert.isBelow(refused.message.length, 300)
      }))
  }

  it.effect("by the limits in force", () =>
    Effect.gen(function*() {
      const limited = (limits: Partial<Limits.Limits>) =>
        Effect.flip(Filter.decode({ all: [c, c] })).pipe(Effect.provide(Limits.layer(limits)))
      assert.include((yield* limited({ filterDepth: 1 })).message, "at most 1 levels")
      assert.include((yield* limited({ filterConditions: 1 })).message, "at most 1 conditions")
      assert.include((yield* limited({ filterBytes: 10 })).message, "at most 10 bytes")
    }))

  it.effect.prop(
    "nothing by throwing, whatever the JSON",
    [Schema.Json, Schema.String],
    ([json, key]) =>
      Effect.gen(function*() {
        for (
          const hostile of [json, { [key]: json }, { field: key, equals: json }, { all: [{ not: json }] }, {
            field: `payload.${key}`,
            equals: 1
          }]
        ) {
          const result = yield* Effect.result(Filter.decode(hostile))
          if (result._tag === "Success") {
            Filter.compile(result.success)(inputWith(json))
            Filter.explain(result.success, inputWith(json))
            yield* Filter.check(result.success, [])
          }
        }
      })
  )
})

const Incident = Schema.Struct({
  title: Schema.String,
  severity: Schema.Literals(["minor", "critical"]),
  count: Schema.Int,
  ratio: Schema.Number,
  at: Schema.DateTimeUtc,
  open: Schema.Boolean,
  note: Schema.optionalKey(Schema.NullOr(Schema.String)),
  systemIds: Schema.Array(Schema.String),
  system: Schema.Struct({ id: Schema.String, region: Schema.NullOr(Schema.Struct({ name: Schema.String })) }),
  items: Schema.Array(Schema.Struct({ id: Schema.Int, tags: Schema.Array(Schema.Array(Schema.String)) })),
  pair: Schema.Tuple([Schema.String, Schema.Int]),
  labels: Schema.Record(Schema.String, Schema.String),
  extra: Schema.Json,
  anything: Schema.Unknown,
  open_: Schema.StructWithRest(Schema.Struct({ q: Schema.String }), [Schema.Record(Schema.String, Schema.Json)]),
  "dotted.name": Schema.String
})

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
}).annotate({ identifier: "Tree" })

const eventsOf = Effect.gen(function*() {
  const registry = yield* Registry.Registry
  const created = Hook.make("created", { payload: Incident })
  const grown = Hook.make("grown", { payload: Tree })
  const changed = Hook.make("changed", { payload: Incident })
  yield* registry.register({
    pluginId: "test",
    hooks: [created, grown, changed],
    events: [
      IntegrationEvent.make(created, { displayName: "Created" }),
      IntegrationEvent.make(grown, { displayName: "Grown" }),
      IntegrationEvent.make(changed, { displayName: "Changed", transformPayload: ({ title }) => ({ subject: title }) })
    ],
    providers: [],
    handlers: []
  })
  const [transformed, incidentCreated, treeGrown] = (yield* registry.events).filter(({ eventId }) =>
    !Core.isOwn(eventId)
  )
  if (!transformed || !incidentCreated || !treeGrown) throw new Error("the events are missing")
  return { incidentCreated, transformed, treeGrown }
}).pipe(Effect.provide(Registry.layer))

describe("checking a filter against its events", () => {
  it.effect("passes what can hold", () =>
    Effect.gen(function*() {
      const { incidentCreated } = yield* eventsOf
      const filters: ReadonlyArray<Filter.Filter> = [
        { field: "payload.title", equals: "anything" },
        { field: "payload.title", prefix: "a" },
        { field: "payload.severity", in: ["minor", "critical"] },
        { field: "payload.count", greaterThan: 1, lessThan: 9 },
        { field: "payload.ratio", atLeast: 0.5 },
        { field: "payload.ratio", equals: "NaN" },
        { field: "payload.at", prefix: "2026-" },
        { field: "payload.open", equals: true },
        { field: "payload.note", equals: null },
        { field: "payload.note", exists: false },
        { field: "payload.systemIds", equals: "s1" },
        { field: "payload.systemIds[n]", in: ["s1"] },
        { field: "payload.system", exists: true },
        { field: "payload.system.region", equals: null },
        { field: "payload.system.region.name", equals: "eu" },
        { field: "payload.items[n].id", atLeast: 1 },
        { field: "payload.items.tags", equals: "a" },
        { field: "payload.pair", equals: 1 },
        { field: "payload.pair", equals: "a" },
        { field: "message.eventId", prefix: "test." },
        { field: "message.tenantId", equals: "default" },
        { field: "message.orderingKey", exists: true }
      ]
      yield* Filter.check({ all: [{ any: filters }, { not: { all: filters } }] }, [incidentCreated])
    }))

  it.effect("passes what the schema leaves open", () =>
    Effect.gen(function*() {
      const { incidentCreated, transformed } = yield* eventsOf
      for (const path of ["labels.any", "extra", "extra.a.b", "anything.a", "open_.q", "open_.other.deep"]) {
        yield* Filter.check({ field: `payload.${path}`, equals: "x" }, [incidentCreated])
      }
      yield* Filter.check({ field: "payload.subject", atLeast: 1 }, [transformed])
      yield* Filter.check({ field: "payload.nothing", equals: 1 }, [])
    }))

  it.effect("reads every form of JSON Schema", () =>
    Effect.gen(function*() {
      const event: Filter.Event = {
        eventId: "by.hand",
        availableProperties: [],
        payloadSchema: {
          type: "object",
          properties: {
            blob: { type: "object" },
            closed: { type: "object", additionalProperties: false },
            matching: { type: "object", patternProperties: { "^x": { type: "string" } } },
            whatever: true,
            fixed: { const: "one" },
            several: { type: ["string", "null"] },
            list: { type: ["array", "null"], items: { enum: [1, "a"] } },
            bare: { type: "array" },
            all: { allOf: [{ type: "object", properties: { a: { type: "integer" } } }, { $ref: "#/$defs/B" }] },
            lost: { $ref: "#/$defs/Missing" }
          },
          $defs: { B: { type: "object", properties: { b: { type: "string" } } } }
        }
      }
      const verdict = (filter: Filter.Condition) =>
        Effect.map(Effect.result(Filter.check(filter, [event])), ({ _tag }) => _tag)
      const passing: ReadonlyArray<Filter.Condition> = [
        { field: "payload.blob.a", equals: 1 },
        { field: "payload.matching.x", equals: 1 },
        { field: "payload.whatever.a", equals: 1 },
        { field: "payload.fixed", equals: "one" },
        { field: "payload.several", equals: null },
        { field: "payload.several", prefix: "a" },
        { field: "payload.list", in: [1, "a", null] },
        { field: "payload.bare", equals: 1 },
        { field: "payload.all.a", atLeast: 1 },
        { field: "payload.all.b", prefix: "b" }
      ]
      const refused: ReadonlyArray<Filter.Condition> = [
        { field: "payload.closed.a", exists: true },
        { field: "payload.fixed", equals: "two" },
        { field: "payload.several", equals: 1 },
        { field: "payload.list", equals: "b" },
        { field: "payload.list", equals: 2 },
        { field: "payload.all.a", prefix: "a" },
        { field: "payload.all.c", exists: true },
        { field: "payload.lost", exists: true }
      ]
      for (const filter of passing) assert.strictEqual(yield* verdict(filter), "Success", filter.field)
      for (const filter of refused) assert.strictEqual(yield* verdict(filter), "Failure", filter.field)
    }))

  it.effect("passes what holds for one of several events, and follows a schema that holds itself", () =>
    Effect.gen(function*() {
      const { incidentCreated, treeGrown } = yield* eventsOf
      const both = [incidentCreated, treeGrown]
      yield* Filter.check({ field: "payload.count", equals: 1 }, both)
      yield* Filter.check({ field: "payload.children.children.children.name", equals: "leaf" }, both)
      const refused = yield* Effect.flip(Filter.check({ field: "payload.children.children.nme", equals: "x" }, both))
      assert.include(refused.message, "There is no payload.children.children.nme in any of the 2 events")
    }))

  const refusals: ReadonlyArray<readonly [what: string, filter: Filter.Condition, key: string, says: string]> = [
    [
      "an unknown field",
      { field: "payload.severty", equals: "minor" },
      "field",
      "There is no payload.severty in test.created; did you mean \"payload.severity\"?"
    ],
    [
      "an unknown field below a known one",
      { field: "payload.system.it", exists: true },
      "field",
      "did you mean \"payload.system.id\"?"
    ],
    [
      "a field below a text",
      { field: "payload.title.length", atLeast: 1 },
      "field",
      "There is no payload.title.length"
    ],
    ["an inherited name", { field: "payload.__proto__.a", exists: true }, "field", "There is no payload.__proto__.a"],
    [
      "a field whose name holds a dot",
      { field: "payload.dotted.name", equals: "x" },
      "field",
      "holds a dot or a bracket"
    ],
    [
      "a range of a text",
      { field: "payload.title", greaterThan: 1, lessThan: 2 },
      "greaterThan",
      "payload.title is a string, never a number"
    ],
    [
      "a prefix of a number",
      { field: "payload.count", prefix: "1" },
      "prefix",
      "payload.count is a number, never a string"
    ],
    [
      "a number for a text",
      { field: "payload.systemIds", equals: 1 },
      "equals",
      "payload.systemIds is a string, never a number"
    ],
    [
      "a text among numbers",
      { field: "payload.count", in: [1, "2"] },
      "in[1]",
      "payload.count is a number, never a string"
    ],
    [
      "null where it never is",
      { field: "payload.open", equals: null },
      "equals",
      "is a boolean, never null; use exists to ask for it"
    ],
    [
      "a value that is not listed",
      { field: "payload.severity", equals: "critcal" },
      "equals",
      "is never \"critcal\"; did you mean \"critical\"?"
    ],
    [
      "a value that is nothing like the listed",
      { field: "payload.severity", in: ["?"] },
      "in[0]",
      "it is one of minor, critical"
    ],
    [
      "an object as a value",
      { field: "payload.system", equals: "s1" },
      "equals",
      "payload.system is an object, never a string; name a field of it"
    ],
    [
      "a number for a field of the message",
      { field: "message.tenantId", equals: 1 },
      "equals",
      "message.tenantId is a string, never a number"
    ]
  ]
  for (const [what, filter, key, says] of refusals) {
    it.effect(`refuses ${what}`, () =>
      Effect.gen(function*() {
        const { incidentCreated } = yield* eventsOf
        const good = { field: "payload.title", exists: true }
        const refused = yield* Effect.flip(Filter.check({ all: [good, { any: [{ not: filter }] }] }, [incidentCreated]))
        assert.strictEqual(refused.path, `filter.all[1].any[0].not.${key}`)
        assert.include(refused.message, says)
      }))
  }

  it.effect("knows every property that the events offer", () =>
    Effect.gen(function*() {
      const { incidentCreated, treeGrown } = yield* eventsOf
      for (const event of [incidentCreated, treeGrown]) {
        for (const { path } of event.availableProperties) {
          if (path !== "payload.dotted.name") yield* Filter.check({ field: path, exists: true }, [event])
        }
      }
    }))
})

describe("the filter's schema", () => {
  it("names itself, for documents that refer to it", () => {
    const document = Schema.toJsonSchemaDocument(Filter.Filter)
    assert.deepStrictEqual(document.schema, { $ref: "#/$defs/Filter" })
    assert.hasAllKeys(document.definitions, ["Filter"])
  })

  it("refuses a condition without a test", () => {
    assert.isFalse(Schema.is(Filter.Filter)({ field: "payload.a" }))
    assert.isTrue(Schema.is(Filter.Filter)({ field: "payload.a", atMost: 1 }))
  })
})
