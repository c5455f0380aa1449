/**
 * Templates: compiled when they are saved, rendered for each attempt, bounded in time, memory and output. One engine for
 * every provider; where a template stands, in JSON, a URL, a header or a text, decides how its values are written.
 *
 * Needs the optional peer `liquidjs`: nothing that the root export reaches imports this module.
 */
import { Effect, Schema } from "effect"
import { type Liquid, LiquidError, type Template as Node, type Token, toValueSync, TypeGuards, Value } from "liquidjs"
import { Limits } from "./Limits.ts"
import * as Nearest from "./Nearest.ts"
import type { Attempt } from "./Provider.ts"
import * as TemplateEngine from "./TemplateEngine.ts"
import * as TemplateHost from "./TemplateHost.ts"

// -- models

/**
 * Where a template stands.
 *
 * **Details**
 *
 * - `json`: a string is escaped as inside a JSON string, for the template's own quotes around it:
 *   `{ "title": "{{ payload.title }}" }` is valid JSON whatever the title holds. Everything else is written as JSON.
 * - `url`: values are percent-encoded if the template's own text before the first of them holds the whole scheme and host,
 *   as in `https://example.com/{{ payload.id }}`, in every branch that there is; else they are written as they are. An encoded
 *   value can't climb out of the template's path: a result with a path segment `.` or `..` fails.
 * - `header`: values are written as they are; a result with characters that no header may hold fails.
 * - `text`: values are written as they are.
 *
 * In every mode a missing value and `null` are written as nothing, objects and lists as JSON. The filter `raw` writes a value
 * without its mode's escapes, and `json` writes complete JSON, with quotes, in every mode.
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "json" | "url" | "header" | "text"

/**
 * What a template reads. In the template there are also `event.eventId`, `event.payload`, `event.timestamp` and
 * `event.deliveryId`, `subscription.id` and `subscription.name`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context {
  readonly deliveryId: string
  /** The event id, as in `eventId`. */
  readonly eventType: string
  readonly eventId: string
  /** When the message was emitted, in ISO 8601 and UTC. */
  readonly timestamp: string
  readonly subscriptionId: string
  readonly subscriptionName: string
  readonly payload: Schema.Json
}

/**
 * A compiled template.
 *
 * @category models
 * @since 0.1.0
 */
export interface Template {
  readonly render: (context: Context) => Effect.Effect<string, TemplateFailed>
}

// -- errors

/**
 * A text is no template: its author's fault. The message begins with the place and says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class TemplateRefused extends Schema.TaggedError<TemplateRefused>()("TemplateRefused", {
  /** 1 for the first. */
  line: Schema.Int,
  /** 1 for the first. */
  column: Schema.Int,
  message: Schema.String
}) {}

/**
 * A template can't be rendered with these values.
 *
 * @category errors
 * @since 0.1.0
 */
export class TemplateFailed extends Schema.TaggedError<TemplateFailed>()("TemplateFailed", {
  message: Schema.String,
  /** It took too long, which may pass where there is less to do; every other failure comes again with the same values. */
  timedOut: Schema.Boolean
}) {}

// -- constructors

/**
 * Compiles a template: the seed's `{{ payload.title }}`, and Liquid's filters, conditions and loops.
 *
 * **Details**
 *
 * A name is refused that is neither in the context nor made by the template itself. So are tags that read files, filters that
 * are random or evaluate text, and ranges whose ends are not written out. Only own properties are read, never the clock; times
 * are written in UTC and in English unless a filter says otherwise.
 *
 * **Gotchas**
 *
 * What a `capture` holds is escaped already: write it with the filter `raw`.
 *
 * @see https://liquidjs.com/filters/overview.html
 * @category constructors
 * @since 0.1.0
 */
export const compile = Effect.fnUntraced(
  function*(source: string, mode: Mode): Effect.fn.Return<Template, TemplateRefused> {
    const limits = yield* Limits
    if (source.length > limits.templateLength) {
      return yield* refused([1, 1], `a template has at most ${limits.templateLength} characters`)
    }
    const { encodes, engine, nodes } = yield* Effect.try({ try: () => parse(source, mode, limits), catch: refusal })
    const problem = mode === "header" ? headerProblem : encodes ? pathProblem : () => undefined
    return {
      render: (context) =>
        Effect.try({
          try: () => TemplateEngine.render(engine, nodes, scopeOf(context), limits),
          catch: (error) => failure(error, limits)
        }).pipe(Effect.flatMap((result) => {
          const message = problem(result)
          return message === undefined
            ? Effect.succeed(result)
            : Effect.fail(new TemplateFailed({ message, timedOut: false }))
        }))
    }
  }
)

// -- conversions

/**
 * What templates read of an attempt, made once for all of a configuration's.
 *
 * @category conversions
 * @since 0.1.0
 */
export const contextOf = (attempt: Pick<Attempt, "deliveryId" | "message" | "subscription">): Context => ({
  deliveryId: attempt.deliveryId,
  eventType: attempt.message.eventId,
  eventId: attempt.message.eventId,
  timestamp: new Date(attempt.message.timestampMs).toISOString(),
  subscriptionId: attempt.subscription.id,
  subscriptionName: attempt.subscription.name,
  payload: JSON.parse(attempt.message.payloadJson)
})

// --- internal ---

// -- names

const names: Readonly<Record<string, ReadonlyArray<string> | undefined>> = {
  deliveryId: undefined,
  eventType: undefined,
  eventId: undefined,
  timestamp: undefined,
  subscriptionId: undefined,
  subscriptionName: undefined,
  payload: undefined,
  event: ["eventId", "payload", "timestamp", "deliveryId"],
  subscription: ["id", "name"]
}

// Without a prototype: LiquidJS writes counters into it under names that the template chooses.
const scopeOf = (context: Context): object =>
  Object.assign(Object.create(null), context, {
    event: {
      eventId: context.eventId,
      payload: context.payload,
      timestamp: context.timestamp,
      deliveryId: context.deliveryId
    },
    subscription: { id: context.subscriptionId, name: context.subscriptionName }
  })

// -- parsing

const engines = {
  none: TemplateEngine.make("none"),
  json: TemplateEngine.make("json"),
  url: TemplateEngine.make("url")
}

const parse = (source: string, mode: Mode, limits: Limits) => {
  const engine = mode === "json" ? engines.json : engines.none
  const nodes = engine.parse(source)
  check(engine, nodes, limits)
  const encodes = mode === "url" && TemplateHost.isFixed(nodes)
  return encodes ? { encodes, engine: engines.url, nodes: engines.url.parse(source) } : { encodes, engine, nodes }
}

const childrenOf = (node: Node): ReadonlyArray<Node> => node.children ? toValueSync(node.children(false, true)) : []

/** Refuses what LiquidJS lets pass and Hookline does not. */
const check = (engine: Liquid, nodes: Array<Node>, limits: Limits): void => {
  // Where a property of a literal is read, as in "a,b".size: LiquidJS' analysis takes the property for a name.
  const literals = new Set<string>()
  const visitToken = (token: Token | undefined): void => {
    if (TypeGuards.isRangeToken(token)) {
      // Beyond 2^53 adding 1 changes nothing, and LiquidJS' range never ends.
      const [from = Number.NaN, to = Number.NaN] = [token.lhs, token.rhs].map((end) =>
        TypeGuards.isNumberToken(end) && Number.isSafeInteger(end.content) ? end.content : Number.NaN
      )
      if (Number.isNaN(from + to)) {
        throw refused(
          token.getPosition(),
          "a range needs two whole numbers, as in (1..10); for fewer turns write {% for i in (1..10) limit: payload.n %}"
        )
      }
      if (to - from >= limits.templateRange) {
        throw refused(token.getPosition(), `a range has at most ${limits.templateRange} numbers; write a shorter one`)
      }
    } else if (TypeGuards.isPropertyAccessToken(token)) {
      if (token.variable) literals.add(token.getPosition().join(":"))
      visitToken(token.variable)
      token.props.forEach(visitToken)
    } else if (TypeGuards.isFilteredValueToken(token)) {
      visitValue(new Value(token, engine), token.getPosition())
    }
  }
  const visitValue = ({ filters, initial }: Value, position: ReadonlyArray<number>): void => {
    const operators = initial.postfix.filter(TypeGuards.isOperatorToken)
    const joining = operators.filter(({ operator }) => operator !== "not")
    if (initial.postfix.length - operators.length !== joining.length + 1) {
      throw refused(position, "this is not one value; join values with filters, as in {{ a | append: b }}")
    }
    const clock = initial.postfix.some((token) =>
      TypeGuards.isQuotedToken(token) && TemplateEngine.isClock(token.content)
    )
    if (clock && filters.some(({ name }) => name.startsWith("date"))) {
      throw refused(position, "a template can't read the clock; use timestamp, when the message was emitted")
    }
    initial.postfix.forEach(visitToken)
    for (const { args } of filters) for (const arg of args) visitToken(Array.isArray(arg) ? arg[1] : arg)
  }
  const visit = (node: Node): void => {
    for (const argument of node.arguments?.() ?? []) {
      if (argument instanceof Value) visitValue(argument, node.token.getPosition())
      else visitToken(argument)
    }
    childrenOf(node).forEach(visit)
  }
  nodes.forEach(visit)
  checkNames(engine, nodes, literals)
}

const checkNames = (engine: Liquid, nodes: Array<Node>, literals: ReadonlySet<string>): void => {
  const { globals, locals } = engine.analyzeSync(nodes, { partials: false })
  for (const { location, segments: [root, field] } of Object.values(globals).flat()) {
    const position = [location.row, location.col]
    // A name that the template makes anywhere may be read in a later turn of a loop.
    if (typeof root !== "string" || Object.hasOwn(locals, root) || literals.has(position.join(":"))) continue
    if (!Object.hasOwn(names, root)) {
      const known = [...Object.keys(names), ...Object.keys(locals)]
      throw refused(
        position,
        `there is no "${root}"${Nearest.suggestion(root, known) || `; there are ${known.join(", ")}`}`
      )
    }
    const fields = names[root]
    if (fields && typeof field === "string" && !fields.includes(field)) {
      throw refused(position, `"${root}" has no "${field}"; it has ${fields.join(", ")}`)
    }
  }
}

// -- what went wrong

const refused = ([line = 1, column = 1]: ReadonlyArray<number>, message: string): TemplateRefused =>
  new TemplateRefused({ line, column, message: `Line ${line}, column ${column}: ${message}` })

/** The error without LiquidJS' wrapping, and where it is. */
const unwrap = (error: unknown): { readonly cause: unknown; readonly position: ReadonlyArray<number> | undefined } =>
  LiquidError.is(error)
    ? { cause: error.originalError ?? error, position: error.token.getPosition() }
    : { cause: error, position: undefined }

/** LiquidJS' message without the place that it appends. */
const textOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message.replace(/, line:\d+, col:\d+$/u, "") : String(cause)

const refusal = (error: unknown): TemplateRefused => {
  if (error instanceof TemplateRefused) return error
  const { cause, position } = unwrap(error)
  const message = cause instanceof RangeError ? "the template is nested too deeply" : refusalSentence(textOf(cause))
  return refused(position ?? [1, 1], message)
}

const refusalSentence = (text: string): string => {
  const block = /^tag \{%-?\s*(\w+)[\s\S]* not closed$/u.exec(text)?.[1]
  if (block !== undefined) return `{% ${block} %} is not closed; end it with {% end${block} %}`
  if (/^tag "[\s\S]* not closed$/u.test(text)) return "the tag is not closed; end it with %}"
  if (/^output "[\s\S]* not closed$/u.test(text)) return "the value is not closed; end it with }}"
  if (/^raw "[\s\S]* not closed$/u.test(text)) return "{% raw %} is not closed; end it with {% endraw %}"
  if (text.startsWith("invalid value expression")) return "a value is missing here, as in {{ payload.title }}"
  if (text.startsWith("illegal tag: {% for")) return "write the loop as {% for item in payload.items %}"
  if (text === "expected variable name" || text === "expected \"=\"") return "write {% assign name = value %}"
  const filter = /^undefined filter: (.+)$/u.exec(text)?.[1]
  if (filter !== undefined) {
    return `there is no filter "${filter}"${Nearest.suggestion(filter, Object.keys(engines.none.filters))}`
  }
  const tag = /^tag "(.+)" not found$/u.exec(text)?.[1]
  if (tag === undefined) return text
  if (/^(include|render|layout|block)$/u.test(tag)) {
    return `{% ${tag} %} is about other templates, which a template can't reach; write their text here`
  }
  if (/^(end|els)|^when$/u.test(tag)) {
    return `{% ${tag} %} belongs to no block that is open here; remove it, or open one`
  }
  return `there is no tag "${tag}"${Nearest.suggestion(tag, TemplateEngine.tags)}`
}

const failure = (error: unknown, limits: Limits): TemplateFailed => {
  const { cause, position } = unwrap(error)
  const timedOut = textOf(cause).startsWith("template render limit")
  const sentence = timedOut
    ? `rendering takes longer than ${limits.templateRenderMs} ms; loop over less`
    : failureSentence(cause, limits)
  return new TemplateFailed({
    message: position ? `Line ${position.join(", column ")}: ${sentence}` : sentence,
    timedOut
  })
}

const failureSentence = (cause: unknown, limits: Limits): string => {
  const text = textOf(cause)
  if (cause instanceof TemplateEngine.OutputTooLong) {
    return `the result is longer than ${limits.templateOutputLength} characters; write less`
  }
  if (text.startsWith("memory alloc limit")) {
    return `rendering makes more than ${limits.templateMemory} characters and list items; loop over less`
  }
  return cause instanceof RangeError && /call stack|string length/u.test(text)
    ? "the template or its values are nested too deeply"
    : text
}

// Field values as RFC 9110 has them.
const headerProblem = (value: string): string | undefined => {
  const at = value.search(/[^\t\x20-\x7e\x80-\xff]/u)
  if (at < 0) return undefined
  const code = (value.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, "0")
  return `the result has the character U+${code}, which no header may hold; write such values with the filter url_encode`
}

// Whoever reads a URL drops line breaks and tabs, and spaces around it.
const pathProblem = (url: string): string | undefined =>
  /^[^?#]*[/\\](?:\.|%2e){1,2}(?:[/\\?#]|$)/iu.test(url.replace(/[\0- ]/gu, ""))
    ? "the URL's path has a segment . or .., which leads to another path"
    : undefined
