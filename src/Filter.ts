/**
 * Filters: which messages of its events a subscription wants, as data. A filter is decoded and checked against the events'
 * schemas when it is saved, compiled once into a plain predicate, and tells in a sentence why it does not hold.
 */
import { Effect, type JsonSchema, Result, Schema } from "effect"
import { defaults, Limits } from "./Limits.ts"
import * as Nearest from "./Nearest.ts"
import type { PayloadProperty } from "./PayloadProperties.ts"
import * as PayloadSchema from "./PayloadSchema.ts"
import * as SchemaErrors from "./SchemaErrors.ts"

// -- models

const field = Schema.String.check(
  Schema.isMaxLength(defaults.keyLength, { message: `Expected at most ${defaults.keyLength} characters` }),
  Schema.isPattern(
    /^(?:message\.(?:eventId|orderingKey|tenantId)|payload(?:\[n\])*(?:\.[^.[\]]+(?:\[n\])*)*)$/u,
    {
      message: "Expected a field such as payload.severity, payload.systemIds[n], message.eventId or message.orderingKey"
    }
  )
)

const scalar = Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Null])

const ranges = ["greaterThan", "atLeast", "lessThan", "atMost"] as const

const bounds = Schema.Struct({
  field,
  greaterThan: Schema.optionalKey(Schema.Finite),
  atLeast: Schema.optionalKey(Schema.Finite),
  lessThan: Schema.optionalKey(Schema.Finite),
  atMost: Schema.optionalKey(Schema.Finite)
})

// Conditions by their test; the schemas below use them, so they stand above.
const tests = {
  equals: Schema.Struct({ field, equals: scalar }),
  in: Schema.Struct({
    field,
    in: Schema.Array(scalar).check(
      Schema.isMinLength(1, { message: "Expected at least one value" }),
      Schema.isMaxLength(defaults.filterValues, { message: `Expected at most ${defaults.filterValues} values` })
    )
  }),
  prefix: Schema.Struct({ field, prefix: Schema.String.check(Schema.isMinLength(1, { message: "Expected a text" })) }),
  exists: Schema.Struct({ field, exists: Schema.Boolean }),
  range: bounds.check(Schema.makeFilter((range: typeof bounds.Type) => {
    if (!ranges.some((name) => name in range)) return `Expected one of ${ranges.join(", ")}`
    const { atLeast = -Infinity, atMost = Infinity, greaterThan = -Infinity, lessThan = Infinity } = range
    const [low, high] = [Math.max(atLeast, greaterThan), Math.min(atMost, lessThan)]
    return low > high || (low === high && (low === greaterThan || high === lessThan))
      ? `Expected a range that holds a number; none is ${rangePhrase(range)}`
      : undefined
  }))
}

/**
 * A test of one field.
 *
 * @category models
 * @since 0.1.0
 */
export type Condition =
  | typeof tests.equals.Type
  | typeof tests.in.Type
  | typeof tests.prefix.Type
  | typeof tests.exists.Type
  | typeof tests.range.Type

/**
 * A filter, in its JSON form.
 *
 * @category models
 * @since 0.1.0
 */
export type Filter =
  | { readonly all: ReadonlyArray<Filter> }
  | { readonly any: ReadonlyArray<Filter> }
  | { readonly not: Filter }
  | Condition

const nested = Schema.suspend((): Schema.Codec<Filter> => Filter)

/**
 * The JSON form.
 *
 * **Details**
 *
 * - `{ "all": [filter, …] }`, `{ "any": [filter, …] }` and `{ "not": filter }` are plain logic: `not` holds exactly where its
 *   filter does not, also where a field is missing.
 * - A condition is a `field` and one test: `equals` a string, number, boolean or null; `in` a list of them; `prefix`, what a
 *   string begins with; a range of numbers of any of `greaterThan`, `atLeast`, `lessThan` and `atMost`; `exists`.
 * - A field is a path in the payload, as `availableProperties` lists them: `payload.severity`, `payload.system.id`; or
 *   `message.eventId`, `message.orderingKey` or `message.tenantId`. The payload is that which is delivered, after the event's
 *   transform. Own properties are read only.
 * - Lists are looked through, wherever they are on the path: `payload.systemIds` and `payload.systemIds[n]` are the same, the
 *   elements, and `payload.items.id` is the id of each item. A condition holds when one value satisfies all of it.
 * - A field without a value is missing, and so is one whose lists are all empty: of a missing field only `"exists": false`
 *   holds. `null` is a value.
 * - Types are never converted: `"1"` is not `1`. Strings are equal when their characters are; case counts.
 *
 * **Gotchas**
 *
 * Decode with `decode`: what the schema itself says of a malformed filter names every form that it could have had.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Filter: Schema.Codec<Filter> = Schema.Union([
  Schema.Struct({ all: Schema.Array(nested).check(Schema.isMinLength(1)) }),
  Schema.Struct({ any: Schema.Array(nested).check(Schema.isMinLength(1)) }),
  Schema.Struct({ not: nested }),
  tests.equals,
  tests.in,
  tests.prefix,
  tests.exists,
  tests.range
]).annotate({ identifier: "Filter" })

/**
 * What a filter looks at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Input {
  readonly eventId: string
  readonly tenantId: string
  readonly orderingKey: string | undefined
  /** As it is delivered, after the event's transform. */
  readonly payload: Schema.Json
}

/**
 * An event that a filter is checked against; the registry's events are such.
 *
 * @category models
 * @since 0.1.0
 */
export interface Event {
  readonly eventId: string
  readonly availableProperties: ReadonlyArray<PayloadProperty>
  readonly payloadSchema: JsonSchema.JsonSchema
  /** Where there is one, the schema says nothing of what is delivered. */
  readonly transform?: unknown
}

// -- errors

/**
 * A filter is refused: its author's fault, at a path such as `filter.all[0].field`.
 *
 * @category errors
 * @since 0.1.0
 */
export class FilterRefused extends Schema.TaggedError<FilterRefused>()("FilterRefused", {
  path: Schema.String,
  message: Schema.String
}) {}

// -- constructors

/**
 * Decodes a filter. Unknown keys are refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const decode = Effect.fnUntraced(function*(json: unknown): Effect.fn.Return<Filter, FilterRefused> {
  const limits = yield* Limits
  const problem = malformed(json, limits)
  if (problem) return yield* problem
  if (new TextEncoder().encode(JSON.stringify(json)).length > limits.filterBytes) {
    return yield* refused("filter", `Expected at most ${limits.filterBytes} bytes of JSON`)
  }
  return yield* Effect.mapError(decodeFilter(json), (error) => new FilterRefused(SchemaErrors.first(error, ["filter"])))
})

// -- guards

/**
 * Checks a filter against the events that its subscription matches: a field that none of them has is refused, and so is a
 * test that can hold for none. What their schemas leave open passes, and so does every field while there is no event.
 *
 * @category guards
 * @since 0.1.0
 */
export const check = Effect.fnUntraced(
  function*(filter: Filter, events: ReadonlyArray<Event>): Effect.fn.Return<void, FilterRefused> {
    for (const [path, condition] of conditionsOf(filter, "filter")) {
      const problem = hopeless(condition, path, events)
      if (problem) return yield* problem
    }
  }
)

/**
 * The steps that one judgement may take: a value looked at is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Steps {
  left: number
}

/**
 * Compiles a filter.
 *
 * **Gotchas**
 *
 * Where a judgement takes more steps than it may (`Limits.filterSteps`), as of many conditions on a long list, the filter does
 * not hold, whatever it says; `explain` tells.
 *
 * @category guards
 * @since 0.1.0
 */
export const compile = (filter: Filter): (input: Input, steps?: Steps) => boolean => {
  const judge = judgeOf(filter)
  return (input, steps = { left: defaults.filterSteps }) => {
    const holds = judge(input, steps)
    return holds && steps.left >= 0
  }
}

/**
 * Says why a filter does not hold: its first condition that fails, as in `payload.severity is "minor", not "critical"`.
 * `undefined` where it holds.
 *
 * @category conversions
 * @since 0.1.0
 */
export const explain = (filter: Filter, input: Input): string | undefined => {
  const steps = { left: defaults.filterSteps }
  if (compile(filter)(input, steps)) return undefined
  if (steps.left < 0) {
    return `judging it takes more than ${defaults.filterSteps} steps: the payload's lists are too long for its conditions`
  }
  if ("all" in filter) return firstOf(filter.all, (part) => explain(part, input))
  if ("any" in filter) {
    const first = firstOf(filter.any, (part) => explain(part, input))
    return filter.any.length === 1 ? first : `none of ${filter.any.length} alternatives holds; the first: ${first}`
  }
  if ("not" in filter) return `${affirmed(filter.not, input)}, which is excluded`
  return denied(filter, input)
}

// --- internal ---

const refused = (path: string, message: string): FilterRefused => new FilterRefused({ path, message })

// -- decoding

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const decodeFilter = Schema.decodeUnknownEffect(Filter)

const forms = ["all", "any", "not", "field"]
const testNames = ["equals", "in", "prefix", "exists", ...ranges] as const

/** What is wrong with a filter's JSON, by the form that its keys choose; and its bounds, before anything recurses into it. */
const malformed = (json: unknown, limits: Limits): FilterRefused | undefined => {
  let conditions = 0
  const visit = (node: unknown, path: string, depth: number): FilterRefused | undefined => {
    if (depth > limits.filterDepth) return refused(path, `Expected at most ${limits.filterDepth} levels of filters`)
    if (!isRecord(node)) {
      return refused(path, "Expected a filter: an object with all, any or not, or with field and a test")
    }
    const keys = Object.keys(node)
    const known = [...forms, ...testNames]
    const unknown = keys.find((key) => !known.includes(key))?.slice(0, 50)
    if (unknown !== undefined) {
      return refused(path, `There is no "${unknown}" in a filter${Nearest.suggestion(unknown, known)}`)
    }
    const found = forms.filter((key) => keys.includes(key))
    const [form, other] = found
    if (form === undefined || other !== undefined) {
      return refused(path, `Expected one of all, any, not and field${other ? `, not ${found.join(" and ")}` : ""}`)
    }
    if (form === "field") {
      conditions++
      return conditions > limits.filterConditions
        ? refused(path, `Expected at most ${limits.filterConditions} conditions`)
        : malformedCondition(node, path)
    }
    const beside = keys.filter((key) => key !== form)
    if (beside.length > 0) return refused(path, `Expected nothing beside ${form}, not ${beside.join(" and ")}`)
    const inner = node[form]
    if (form === "not") return visit(inner, `${path}.not`, depth + 1)
    if (!Array.isArray(inner) || inner.length === 0) {
      return refused(`${path}.${form}`, "Expected a list of at least one filter")
    }
    return firstOf(inner.entries(), ([i, part]) => visit(part, `${path}.${form}[${i}]`, depth + 1))
  }
  return visit(json, "filter", 1)
}

const malformedCondition = (node: Readonly<Record<string, unknown>>, path: string): FilterRefused | undefined => {
  const named = testNames.filter((name) => Object.hasOwn(node, name))
  const [kind, another] = new Set(named.map((name) => isRange(name) ? "range" : name))
  if (kind === undefined) return refused(path, `Expected a test beside field: ${testNames.join(", ")}`)
  if (another !== undefined) {
    return refused(path, `Expected one test, not ${named.join(" and ")}; join conditions with all or any`)
  }
  const decoded = Schema.decodeUnknownResult(tests[kind])(node)
  return Result.isFailure(decoded) ? new FilterRefused(SchemaErrors.first(decoded.failure, [path])) : undefined
}

const isRange = (name: string): name is typeof ranges[number] => ranges.some((range) => range === name)

// -- checking

function* conditionsOf(filter: Filter, path: string): Generator<readonly [path: string, condition: Condition]> {
  if ("all" in filter) {
    for (const [i, part] of filter.all.entries()) yield* conditionsOf(part, `${path}.all[${i}]`)
  } else if ("any" in filter) {
    for (const [i, part] of filter.any.entries()) yield* conditionsOf(part, `${path}.any[${i}]`)
  } else if ("not" in filter) {
    yield* conditionsOf(filter.not, `${path}.not`)
  } else {
    yield [path, filter]
  }
}

const namesOf = (path: string): ReadonlyArray<string> => path.replaceAll("[n]", "").split(".")

const text: PayloadSchema.Known = new Map([["string", undefined]])

/** Why a condition can hold for no event. */
const hopeless = (
  condition: Condition,
  path: string,
  events: ReadonlyArray<Event>
): FilterRefused | undefined => {
  const [root, ...names] = namesOf(condition.field)
  const found = root === "message"
    ? [text]
    : events.map((event) => event.transform === undefined ? PayloadSchema.find(event.payloadSchema, names) : "open")
  if (found.includes("open") || found.length === 0) return undefined
  const known = found.filter((item) => item !== undefined && item !== "open")
  if (known.length === 0) return refused(`${path}.field`, unknownField(condition.field, events))
  return firstOf(claims(condition), ([key, impossible]) => {
    const reasons = known.map(impossible)
    const [reason] = reasons
    return reason !== undefined && !reasons.includes(undefined)
      ? refused(`${path}.${key}`, `${condition.field} ${reason}`)
      : undefined
  })
}

const unknownField = (name: string, events: ReadonlyArray<Event>): string => {
  const known = [...new Set(events.flatMap((event) => event.availableProperties.map(({ path }) => path)))]
  return known.some((path) => namesOf(path).join(".") === namesOf(name).join("."))
    ? `The name of ${name} holds a dot or a bracket, which a filter can't tell from a path`
    : `There is no ${name} in ${eventNames(events)}${Nearest.suggestion(name, known)}`
}

const eventNames = (events: ReadonlyArray<Event>): string =>
  events.length === 1 ? `${events[0]?.eventId}` : `any of the ${events.length} events`

type Claim = readonly [key: string, impossible: (known: PayloadSchema.Known) => string | undefined]

/** What a condition needs of its field's values: each with why values of a schema can't have it. */
const claims = (condition: Condition): ReadonlyArray<Claim> => {
  if ("equals" in condition) return [["equals", (known) => neverEquals(condition.equals, known)]]
  if ("in" in condition) {
    return condition.in.map((value, i) => [`in[${i}]`, (known) => neverEquals(value, known)])
  }
  if ("prefix" in condition) return [["prefix", (known) => never("string", known)]]
  return ranges.filter((name) => name in condition).map((name) => [name, (known) => never("number", known)])
}

const articles: Readonly<Record<PayloadSchema.Kind, string>> = {
  string: "a string",
  number: "a number",
  boolean: "a boolean",
  null: "null",
  object: "an object"
}

const never = (kind: PayloadSchema.Kind, known: PayloadSchema.Known): string | undefined => {
  if (known.has(kind)) return undefined
  const is = `is ${[...known.keys()].map((other) => articles[other]).join(" or ")}, never ${articles[kind]}`
  return known.has("object") ? `${is}; name a field of it` : kind === "null" ? `${is}; use exists to ask for it` : is
}

const neverEquals = (value: Scalar, known: PayloadSchema.Known): string | undefined => {
  const kind = PayloadSchema.kindOf(value)
  const listed = known.get(kind)
  if (listed === undefined || listed.has(value)) return never(kind, known)
  const strings = [...listed].filter((item) => typeof item === "string")
  const suggestion = typeof value === "string" ? Nearest.suggestion(value.slice(0, 100), strings) : ""
  return `is never ${shown(value)}${suggestion || `; it is one of ${[...listed].slice(0, 10).map(String).join(", ")}`}`
}

// -- reading

type Scalar = typeof scalar.Type

type Test = (value: Schema.Json) => boolean

const isList = (value: Schema.Json): value is ReadonlyArray<Schema.Json> => Array.isArray(value)

/** Judges as long as there are steps; once there are none, what it says does not count. */
const judgeOf = (filter: Filter): (input: Input, steps: Steps) => boolean => {
  if ("all" in filter) {
    const parts = filter.all.map(judgeOf)
    return (input, steps) => parts.every((part) => part(input, steps))
  }
  if ("any" in filter) {
    const parts = filter.any.map(judgeOf)
    return (input, steps) => parts.some((part) => part(input, steps))
  }
  if ("not" in filter) {
    const part = judgeOf(filter.not)
    return (input, steps) => !part(input, steps)
  }
  const holds = reader(filter.field)
  const test = testOf(filter)
  return "exists" in filter && !filter.exists
    ? (input, steps) => !holds(input, test, steps)
    : (input, steps) => holds(input, test, steps)
}

/** Tells whether a test holds of some value of a field. */
const reader = (path: string): (input: Input, test: Test, steps: Steps) => boolean => {
  const [root, ...names] = namesOf(path)
  if (root === "payload") return (input, test, steps) => some(input.payload, names, test, steps)
  return (input, test, steps) => {
    steps.left--
    const value = names[0] === "eventId" ? input.eventId : names[0] === "tenantId" ? input.tenantId : input.orderingKey
    return value !== undefined && test(value)
  }
}

/** By a stack of its own: a payload may nest lists deeper than calls can. */
const some = (payload: Schema.Json, names: ReadonlyArray<string>, test: Test, steps: Steps): boolean => {
  const pending: Array<readonly [value: Schema.Json, at: number]> = []
  let next: readonly [value: Schema.Json, at: number] | undefined = [payload, 0]
  for (; next !== undefined; next = pending.pop()) {
    if (--steps.left < 0) return false
    const [value, at] = next
    const name = names[at]
    if (isList(value)) {
      for (let i = value.length - 1; i >= 0; i--) pending.push([value[i] ?? null, at])
    } else if (name === undefined) {
      if (test(value)) return true
    } else if (typeof value === "object" && value !== null && Object.hasOwn(value, name)) {
      pending.push([value[name] ?? null, at + 1])
    }
  }
  return false
}

const testOf = (condition: Condition): Test => {
  if ("equals" in condition) return (value) => value === condition.equals
  if ("in" in condition) {
    const values = new Set<Schema.Json>(condition.in)
    return (value) => values.has(value)
  }
  if ("prefix" in condition) return (value) => typeof value === "string" && value.startsWith(condition.prefix)
  if ("exists" in condition) return () => true
  const { atLeast = -Infinity, atMost = Infinity, greaterThan = -Infinity, lessThan = Infinity } = condition
  return (value) =>
    typeof value === "number" && value >= atLeast && value <= atMost && value > greaterThan && value < lessThan
}

// -- explaining

const firstOf = <A, B>(items: Iterable<A>, f: (item: A) => B | undefined): B | undefined => {
  for (const item of items) {
    const found = f(item)
    if (found !== undefined) return found
  }
  return undefined
}

const shown = (value: Schema.Json): string => {
  if (typeof value === "object" && value !== null) return "an object"
  return typeof value === "string" && value.length > 80
    ? `${JSON.stringify(value.slice(0, 80))}…`
    : JSON.stringify(value)
}

const listed = (values: ReadonlyArray<Schema.Json>): string =>
  `${values.slice(0, 3).map(shown).join(", ")}${values.length > 3 ? ", …" : ""}`

const valuesOf = (path: string, input: Input, test: Test): ReadonlyArray<Schema.Json> => {
  const values: Array<Schema.Json> = []
  reader(path)(input, (value) => test(value) && values.push(value) > 3, { left: defaults.filterSteps })
  return values
}

const denied = (condition: Condition, input: Input): string => {
  const values = valuesOf(condition.field, input, () => true)
  if (values.length === 0) {
    return `${condition.field} is missing${"exists" in condition ? "" : `, not ${phrase(condition)}`}`
  }
  return `${condition.field} is ${listed(values)}, ${values.length > 1 ? "none of them" : "not"} ${phrase(condition)}`
}

/** What makes a filter hold, of one that does. */
const affirmed = (filter: Filter, input: Input): string | undefined => {
  if ("all" in filter) return firstOf(filter.all, (part) => affirmed(part, input))
  if ("any" in filter) {
    return firstOf(filter.any, (part) => compile(part)(input) ? affirmed(part, input) : undefined)
  }
  if ("not" in filter) return explain(filter.not, input)
  const values = valuesOf(filter.field, input, testOf(filter))
  return values.length === 0 ? `${filter.field} is missing` : `${filter.field} is ${listed(values)}`
}

const rangeWords = { greaterThan: "over", atLeast: "at least", lessThan: "under", atMost: "at most" }

const phrase = (condition: Condition): string => {
  if ("equals" in condition) return shown(condition.equals)
  if ("in" in condition) return condition.in.length === 1 ? listed(condition.in) : `one of ${listed(condition.in)}`
  if ("prefix" in condition) return `beginning with ${shown(condition.prefix)}`
  if ("exists" in condition) return "missing"
  return rangePhrase(condition)
}

const rangePhrase = (range: typeof bounds.Type): string =>
  ranges.filter((name) => name in range).map((name) => `${rangeWords[name]} ${range[name]}`).join(" and ")
