/**
 * The engine behind templates: LiquidJS, with what it may read, what there is of its tags and filters, and how much one
 * rendering may take. LiquidJS bounds its time between nodes, and its memory where it makes something new; the steps in
 * between are bounded here.
 */
import { CaptureTag, Context, defaultOperators, Drop, filters, Liquid, toValue, toValueSync } from "liquidjs"
import type { Emitter, FilterImplOptions, RenderOptions, Template } from "liquidjs"
import { defaults, type Limits } from "./Limits.ts"

/**
 * How an engine writes values: as they are, as inside a JSON string, or percent-encoded.
 *
 * @category models
 * @since 0.1.0
 */
export type Escape = "none" | "json" | "url"

/**
 * The result is longer than it may be.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputTooLong extends Error {}

/**
 * The tags there are: LiquidJS' others read files, or write HTML.
 *
 * @category constants
 * @since 0.1.0
 */
export const tags: ReadonlyArray<string> = [
  "#",
  "assign",
  "break",
  "capture",
  "case",
  "comment",
  "continue",
  "cycle",
  "decrement",
  "echo",
  "for",
  "if",
  "increment",
  "liquid",
  "raw",
  "unless"
]

/**
 * Whether LiquidJS' date filters would read the clock for a value.
 *
 * @category guards
 * @since 0.1.0
 */
export const isClock = (value: unknown): boolean => value === "now" || value === "today"

/**
 * Makes an engine.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (escape: Escape): Liquid => {
  const outputEscape = escapes[escape]
  const engine = new Liquid({
    strictFilters: true,
    ownPropertyOnly: true,
    timezoneOffset: 0,
    locale: "en-US",
    // No file is read even if a tag should ask for one.
    templates: {},
    operators: { ...defaultOperators, contains },
    ...(outputEscape ? { outputEscape } : {})
  })
  for (const name of Object.keys(engine.tags)) if (!tags.includes(name)) delete engine.tags[name]
  engine.registerTag("capture", BoundedCapture)
  for (const [name, filter] of Object.entries(filters)) {
    if (leftOut.test(name)) engine.unregisterFilter(name)
    else engine.registerFilter(name, bounded(name, filter))
  }
  for (const name of ["json", "jsonify"]) engine.registerFilter(name, bounded(name, json))
  return engine
}

/**
 * Renders what an engine parsed, or throws.
 *
 * @category conversions
 * @since 0.1.0
 */
export const render = (engine: Liquid, nodes: Array<Template>, scope: object, limits: Limits): string => {
  let left = limits.templateOutputLength
  const output = new Output((characters) => {
    left -= characters
    if (left < 0) throw new OutputTooLong()
  })
  const options = { memoryLimit: limits.templateMemory, renderLimit: limits.templateRenderMs }
  toValueSync(engine.renderer.renderTemplates(nodes, new Reading(scope, engine, limits, options), output))
  return output.buffer
}

// --- internal ---

// -- values

const plain = (value: unknown): string => {
  const found: unknown = toValue(value)
  if (found === undefined || found === null) return ""
  return typeof found === "object" ? JSON.stringify(found) : String(found)
}

const insideJson = (value: unknown): string => {
  const found: unknown = toValue(value)
  if (found === undefined || found === null) return ""
  const text = JSON.stringify(found)
  return typeof found === "string" ? text.slice(1, -1) : text
}

const percentEncoded = (value: unknown): string => encodeURIComponent(plain(value).toWellFormed())

const escapes = { none: undefined, json: insideJson, url: percentEncoded }

/** Counts a value with all that it holds, and the indentation of its JSON. */
const charge = (reading: Context, value: unknown, indent = 0, depth = 1): void => {
  reading.memoryLimit.use(1 + indent * depth + (typeof value === "string" ? value.length : 0))
  if (typeof value !== "object" || value === null) return
  for (const [key, item] of Object.entries(value)) {
    if (!Array.isArray(value)) reading.memoryLimit.use(key.length)
    charge(reading, item, indent, depth + 1)
  }
}

// -- reading and writing

const loopFields = new Set(["first", "index", "index0", "last", "length", "name", "rindex", "rindex0"])

/** LiquidJS looks at the time before each node, and rendering none is a look; one expression can hold many long steps. */
const checkTime = (reading: Context, engine: Liquid) => engine.renderer.renderTemplates([], reading)

/** LiquidJS reads own properties only, except of its own objects, such as `forloop`. */
class Reading extends Context {
  readonly limits: Limits
  private readonly engine: Liquid

  constructor(
    scope: object,
    engine: Liquid,
    limits: Limits,
    options: RenderOptions,
    inherited?: Pick<Context, "memoryLimit" | "renderLimit">
  ) {
    super(scope, engine.options, { ...options, sync: true }, { ...inherited, liquid: engine })
    this.limits = limits
    this.engine = engine
  }

  override *_get(paths: Parameters<Context["_get"]>[0]): Generator<unknown, unknown> {
    yield checkTime(this, this.engine)
    return yield super._get(paths)
  }

  override spawn(scope: object = {}) {
    const { memoryLimit, renderLimit } = this
    return new Reading(scope, this.engine, this.limits, {}, { memoryLimit, renderLimit })
  }

  override readProperty(...[owner, key]: Parameters<Context["readProperty"]>) {
    return owner instanceof Drop && !loopFields.has(String(key)) ? undefined : super.readProperty(owner, key)
  }
}

/** LiquidJS hands on its own type: every rendering here is a `Reading`. */
const limitsOf = (context: Context): Limits => context instanceof Reading ? context.limits : defaults

/** Gathers what is written, and counts it first. */
class Output implements Emitter {
  buffer = ""
  private readonly count: (characters: number) => void

  constructor(count: (characters: number) => void) {
    this.count = count
  }

  write(value: unknown) {
    const text = plain(value)
    this.count(text.length)
    this.buffer += text
  }
}

/** LiquidJS bounds what filters make, but not what a `capture` gathers. */
class BoundedCapture extends CaptureTag {
  override *render(reading: Context) {
    const output = new Output((characters) => reading.memoryLimit.use(characters))
    yield this.liquid.renderer.renderTemplates(this.templates, reading, output)
    reading.bottom()[this.variable] = output.buffer
  }
}

// -- filters

/** Random, or evaluating a text as code, whose steps LiquidJS does not count. */
const leftOut = /^sample$|^inspect$|_exp$/u

/**
 * What they make can hold one value many times, so its size is no longer bounded by the payload's: it is counted with all
 * that it holds.
 */
const sharing = new Set(["concat", "push", "unshift"])

/** Their first argument is a path, which LiquidJS reads as an expression: one with a range might never end. */
const pathFilters = new Set(["where", "reject", "group_by", "has", "find", "find_index"])

/** Their first argument is searched for in the value. */
const searching = /^(?:remove|replace)(?:_first|_last)?$|^split$/u

const checkSearch = (text: unknown, found: unknown, { templateSearchCost }: Limits): void => {
  if (plain(text).length * plain(found).length > templateSearchCost) {
    throw new Error("both the text and what is searched for in it are too long; search for less")
  }
}

const bounded = (name: string, filter: FilterImplOptions): FilterImplOptions => {
  const handler = typeof filter === "function" ? filter : filter.handler
  return {
    raw: typeof filter !== "function" && filter.raw,
    *handler(value: unknown, ...args: ReadonlyArray<unknown>) {
      const limits = limitsOf(this.context)
      yield checkTime(this.context, this.liquid)
      if (pathFilters.has(name) && plain(args[0]).includes("(")) {
        throw new Error(`"${name}" takes a path of names, such as "a.b"`)
      }
      if (searching.test(name)) checkSearch(value, args[0], limits)
      if (name.startsWith("date")) {
        // In a payload they are words like any other; in the template itself they are refused.
        if (isClock(value)) return value
        if (plain(args[0]).length > limits.templateDateFormat) {
          throw new Error(`"${name}" takes a format of at most ${limits.templateDateFormat} characters`)
        }
      }
      const result: unknown = yield handler.apply(this, [value, ...args])
      if (typeof result === "string" || sharing.has(name)) charge(this.context, result)
      return result
    }
  }
}

const contains: typeof defaultOperators[string] = (value: unknown, item: unknown, reading: Context) => {
  const text: unknown = toValue(value)
  if (typeof text === "string") checkSearch(text, item, limitsOf(reading))
  return defaultOperators["contains"]?.(text, item, reading) ?? false
}

const json: FilterImplOptions = {
  raw: true,
  handler(value: unknown, space: unknown) {
    const found: unknown = toValue(value) ?? null
    const indent = typeof space === "number" ? Math.max(0, Math.min(8, Math.trunc(space))) : 0
    charge(this.context, found, indent)
    return JSON.stringify(found, null, indent)
  }
}
