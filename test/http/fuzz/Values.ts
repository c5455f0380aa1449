/**
 * Values by JSON Schema: what fits, what nearly fits (one thing in it is wrong), and what means harm.
 */
import type { Schema } from "effect"
import type { Dice } from "../../simulation/Dice.ts"
import { type Contract, type JsonSchema, resolve } from "./Contract.ts"

/** Stands for bytes that JSON's writer would not write, and is replaced by them once it is written. */
export const mark = (name: string) => `\u{f0000}${name}\u{f0001}`

/** What the world of the test knows: ids that are there. */
export interface Ids {
  /** Those of a collection, by its path. */
  readonly in: (collection: string) => ReadonlyArray<string>
  /** Those with a prefix. */
  readonly of: (prefix: string) => ReadonlyArray<string>
}

/** Ids by the paths of their collections. */
export const ids = (found: ReadonlyMap<string, ReadonlyArray<string>>): Ids => ({
  in: (collection) => found.get(collection) ?? [],
  of: (prefix) => [...found.values()].flat().filter((id) => id.startsWith(`${prefix}_`))
})

const soon = (ms: number) => new Date(Date.now() + ms).toISOString()

/** What a property of a name means, where its schema does not say; a route without a word here gets what its schema says. */
const meant: { readonly [name: string]: ReadonlyArray<Schema.Json> } = {
  eventId: ["incident.incident.created", "incident.incident.created", "incident.broken", "incident.nothing"],
  events: [["incident.incident.created"], ["incident.*"], ["*"], ["incident.broken", "nothing.yet.*"]],
  providerId: ["test.endpoint", "test.endpoint", "test.endpoint", "webhook.webhook", "chat.room"],
  config: [{ name: "a" }, { name: "b", token: "t" }, { url: "http://10.0.0.1/" }, { room: "a" }, {
    server: "https://a.example.com",
    token: "t"
  }],
  payload: [
    { incidentId: "i1", systemIds: ["s1"] },
    { incidentId: "i2", systemIds: [] },
    { n: 1 },
    { incidentId: "i3", systemIds: ["s1", "s2"], extra: { deep: [1, 2, 3] } }
  ],
  filter: [
    { field: "payload.incidentId", equals: "i1" },
    { all: [{ field: "payload.incidentId", exists: true }, { not: { field: "payload.incidentId", equals: "x" } }] }
  ],
  retry: [
    { type: "delays", delaysMs: [1000] },
    { type: "preset", name: "seed" },
    { type: "exponential", baseMs: 100, factor: 2, capMs: 1000, maxAttempts: 3, jitter: 0 }
  ],
  rateLimit: [{ messages: 50, intervalMs: 1000 }, { messages: 1, intervalMs: 60_000, burst: 2 }],
  maxConcurrency: [1, 3, 1000],
  ordered: [true, false],
  signingSecret: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
  overlapMs: [0, 1000],
  tenantId: ["default", "acme"],
  name: ["a", "Ä name"],
  description: ["d"],
  scopes: [["read"], ["emit"], ["read", "manage"]],
  deliverAt: [soon(60_000), soon(86_400_000)],
  expiresAt: [soon(86_400_000)],
  from: ["2026-01-31T12:00:00Z", "2026-01-31"],
  to: ["2100-01-01"]
}

const text = (dice: Dice): string =>
  dice.pick(["", "a", "x.y", "Grüße 🎉", "0", "null", "a b", "default", "\u202e\u0301", "l".repeat(dice.below(300))])

const anything = (dice: Dice, depth = 0): Schema.Json => {
  const kind = dice.below(depth > 3 ? 5 : 7)
  if (kind === 0) return null
  if (kind === 1) return dice.chance(0.5)
  if (kind === 2) return dice.between(-10, 10)
  if (kind === 3) return dice.pick([0.1, -1e21, 2 ** 53, 1e308, -0])
  if (kind === 4) return text(dice)
  if (kind === 5) return Array.from({ length: dice.below(4) }, () => anything(dice, depth + 1))
  return Object.fromEntries(
    Array.from({ length: dice.below(4) }, (_, n) => [dice.pick([`k${n}`, text(dice)]), anything(dice, depth + 1)])
  )
}

const uuid = (dice: Dice) =>
  `0198f3c1a2b37${Array.from({ length: 3 }, () => dice.below(16).toString(16)).join("")}8${
    Array.from({ length: 15 }, () => dice.below(16).toString(16)).join("")
  }`

/** An id of a prefix: mostly of what is there. */
const idOf = (dice: Dice, ids: Ids, prefix: string): string =>
  dice.chance(0.8) ? dice.some(ids.of(prefix)) ?? `${prefix}_${uuid(dice)}` : `${prefix}_${uuid(dice)}`

const numbers = (value: Schema.Json | undefined, otherwise: number) => typeof value === "number" ? value : otherwise

const stringOf = (dice: Dice, ids: Ids, schema: JsonSchema): string => {
  const pattern = String(schema["pattern"] ?? "")
  const prefix = /^\^(\w+)_\[0-9a-f\]/u.exec(pattern)?.[1]
  if (prefix !== undefined) return idOf(dice, ids, prefix)
  if (pattern.includes("\\d{4}-")) return dice.pick(["2026-01-31T12:00:00Z", "2027-01-01", "2026-12-24T12:00:00+01:00"])
  const made = text(dice).slice(0, numbers(schema["maxLength"], 300))
  return made.length < numbers(schema["minLength"], 0) ? "x".repeat(numbers(schema["minLength"], 0)) : made
}

/** A value that fits a schema. */
export const valid = (dice: Dice, contract: Contract, ids: Ids, unresolved: JsonSchema, name = ""): Schema.Json => {
  const hints = meant[name]
  if (hints !== undefined && dice.chance(0.9)) {
    const hint = dice.some(hints)
    if (hint !== undefined && contract.misfit(unresolved, hint) === undefined) return hint
  }
  const schema = resolve(contract, unresolved)
  const of = (inner: Schema.Json | undefined, name = "") =>
    valid(dice, contract, ids, isObject(inner) ? inner : {}, name)
  if (Array.isArray(schema["enum"])) return dice.some<Schema.Json>(schema["enum"]) ?? null
  const options = schema["anyOf"] ?? schema["oneOf"]
  if (Array.isArray(options)) return of(dice.some<Schema.Json>(options))
  switch (schema["type"]) {
    case "object": {
      const required: ReadonlyArray<Schema.Json> = Array.isArray(schema["required"]) ? schema["required"] : []
      const properties = Object.entries(isObject(schema["properties"]) ? schema["properties"] : {})
        .filter(([property]) => required.includes(property) || dice.chance(0.3))
        .map(([property, inner]) => [property, of(inner, property)] as const)
      const more = isObject(schema["additionalProperties"]) ? [["k", of(schema["additionalProperties"])] as const] : []
      return Object.fromEntries([...properties, ...more])
    }
    case "array":
      return Array.from({ length: dice.between(numbers(schema["minItems"], 0), 3) }, () => of(schema["items"]))
    case "string":
      return stringOf(dice, ids, schema)
    case "integer":
    case "number":
      return dice.between(
        Math.max(-1000, numbers(schema["minimum"], 0)),
        Math.min(1000, numbers(schema["maximum"], 1000))
      )
    case "boolean":
      return dice.chance(0.5)
    case "null":
      return null
    default:
      return anything(dice)
  }
}

export const isObject = (value: unknown): value is { readonly [name: string]: Schema.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Of another type than the value. */
const otherType = (dice: Dice, value: Schema.Json): Schema.Json =>
  dice.some([null, true, 1, "text", [], {}, [value], { value }].filter((other) => typeof other !== typeof value)) ??
    null

/** At the edge of what a text or a number may be, or just over it; of another form. */
const edge = (dice: Dice, value: Schema.Json): Schema.Json => {
  if (typeof value === "number") {
    return dice.pick([value + 0.5, -1, 0, 101, 65, 2 ** 31, 2 ** 53 + 2, -(2 ** 53), 1e300, value - 1001])
  }
  if (typeof value !== "string") return otherType(dice, value)
  return dice.pick([
    "",
    " ",
    "k".repeat(256),
    "k".repeat(257),
    "n".repeat(101),
    value.toUpperCase(),
    `${value}x`,
    value.slice(1),
    value.replace(/^\w{3}_/u, "zzz_"),
    "2026-02-31T00:00:00Z",
    "99999-01-01",
    "2026-01-31T12:00:00"
  ])
}

/** One thing in it is wrong, somewhere. */
export const broken = (dice: Dice, value: Schema.Json, harm: (dice: Dice) => Schema.Json = () => null): Schema.Json => {
  if (Array.isArray(value) && value.length > 0 && dice.chance(0.7)) {
    const at = dice.below(value.length)
    return value.map((item, n) => n === at ? broken(dice, item, harm) : item)
  }
  if (isObject(value) && dice.chance(0.8)) {
    const entries = Object.entries(value)
    const at = dice.below(entries.length)
    const way = dice.below(entries.length === 0 ? 1 : 5)
    if (way === 0) return { ...value, [dice.pick(["extra", "Name", " name", "__proto", ""])]: anything(dice) }
    if (way === 1) return Object.fromEntries(entries.filter((_, n) => n !== at))
    return Object.fromEntries(entries.map(([key, inner], n) => [key, n === at ? broken(dice, inner, harm) : inner]))
  }
  const way = dice.below(3)
  return way === 0 ? otherType(dice, value) : way === 1 ? edge(dice, value) : harm(dice)
}

/** Put anywhere in a value, it means harm. */
export const harmful = (dice: Dice): Schema.Json => {
  const deep = dice.pick([10, 499, 501, 1000, 5000])
  return dice.pick<Schema.Json>([
    mark("huge"),
    mark("overflow"),
    mark("2^63"),
    mark("tiny"),
    mark("digits"),
    mark(`array:${deep}`),
    mark(`object:${deep}`),
    mark("proto"),
    mark("constructor"),
    mark("duplicate"),
    mark("half"),
    mark("rawHalf"),
    mark("invalid"),
    mark("cut"),
    "\0",
    "a\0b",
    "\u0001\u001f\u007f",
    "\uffff\ufffe",
    "%00%ff..%2f",
    "../../../etc/passwd",
    "'; drop table messages; --",
    "{{ 7 | times: 7 }}",
    "<script>alert(1)</script>",
    "a".repeat(70_000),
    Array.from({ length: 5000 }, () => 0),
    Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`k${n}`, n]))
  ])
}

/** JSON of a value, in bytes, with the marks as what they stand for. */
export const bytesOf = (value: Schema.Json): Buffer => {
  const [first = "", ...rest] = JSON.stringify(value).split(/"\u{f0000}/u)
  return Buffer.concat([
    Buffer.from(first),
    ...rest.flatMap((part) => {
      const end = part.indexOf("\u{f0001}\"")
      return [stoodFor(part.slice(0, end)), Buffer.from(part.slice(end + 3))]
    })
  ])
}

const stoodFor = (name: string): Buffer => {
  const [kind, count = "0"] = name.split(":")
  const depth = Number(count)
  switch (kind) {
    case "huge":
      return Buffer.from("1e400")
    case "overflow":
      return Buffer.from("-1E+999999999999")
    case "2^63":
      return Buffer.from("9223372036854775808")
    case "tiny":
      return Buffer.from("1e-400")
    case "digits":
      return Buffer.from(`${"9".repeat(10_000)}.${"9".repeat(10_000)}`)
    case "array":
      return Buffer.from("[".repeat(depth) + "]".repeat(depth))
    case "object":
      return Buffer.from("{\"a\":".repeat(depth) + "1" + "}".repeat(depth))
    case "proto":
      return Buffer.from("{\"__proto__\":{\"enabled\":true,\"scopes\":[\"admin\"]},\"a\":1}")
    case "constructor":
      return Buffer.from("{\"constructor\":{\"prototype\":{\"polluted\":1}},\"toString\":1,\"hasOwnProperty\":null}")
    case "duplicate":
      return Buffer.from("{\"a\":1,\"a\":2,\"\\u0061\":3}")
    case "half":
      return Buffer.from("\"\\ud800 \\udc00 \\ud83d\"")
    case "rawHalf":
      return Buffer.concat([Buffer.from("\"x"), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from("\"")])
    case "invalid":
      return Buffer.concat([Buffer.from("\""), Buffer.from([0xff, 0xfe, 0xc0, 0x80, 0xf5]), Buffer.from("\"")])
    default:
      return Buffer.concat([Buffer.from("\"x"), Buffer.from([0xe2, 0x82]), Buffer.from("\"")])
  }
}
