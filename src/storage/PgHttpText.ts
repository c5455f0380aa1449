/**
 * Requests and answers of attempts as they are stored: in HTTP's own form, as every attempt has both and JSON would be longer and cost
 * more; a single control character stands for what most of them have or their rows tell anyway. What that form can't tell apart, as a
 * provider's own text with line ends, is JSON.
 */
import { Schema } from "effect"
import type { AttemptRecord } from "../Delivery.ts"

/** What the row of an attempt tells, as far as whoever writes it has it. */
export interface Around {
  readonly deliveryId: string
  readonly messageId?: string
  readonly startedAtMs: number
}

/** The text of a request. */
export const ofRequest = (request: AttemptRecord["request"], around: Around): string | null => {
  if (request === undefined) return null
  const { body, headers, method, url } = request
  const head = new Head(`${method} ${url}`, around)
  for (const { name, value } of headers) head.add(name, value)
  const text = head.end(body)
  return text === undefined || method.includes(" ") || method.startsWith("[")
    ? JSON.stringify([method, url, body ?? null, ...headers.flatMap(({ name, value }) => [name, value])])
    : text
}

/** The text of an answer, which has no first line. */
export const ofResponse = (response: AttemptRecord["response"], around: Around): string | null => {
  if (response === undefined) return null
  const head = new Head("", around)
  for (const name in response.headers) head.add(name, response.headers[name] ?? "")
  return head.end(response.body) ?? JSON.stringify(response)
}

/** Reads a request. */
export const request = (text: string, around: Required<Around>): AttemptRecord["request"] => {
  if (!text.startsWith("[")) {
    const { body, first, headers } = partsOf(text, around)
    const at = first.indexOf(" ")
    return { method: first.slice(0, at), url: first.slice(at + 1), headers, ...(body === undefined ? {} : { body }) }
  }
  const [method, url, body, ...texts] = decodeRequest(text)
  const headers = texts.flatMap((name, i) => i % 2 === 0 ? [{ name, value: texts[i + 1] ?? "" }] : [])
  return { method, url, headers, ...(body === null ? {} : { body }) }
}

/** Reads an answer. */
export const response = (text: string, around: Required<Around>): unknown => {
  if (text.startsWith("{")) return JSON.parse(text)
  const { body, headers } = partsOf(text, around)
  return { headers: Object.fromEntries(headers.map(({ name, value }) => [name, value])), body }
}

// --- internal ---

/** The control characters but NUL, which PostgreSQL refuses, and the end of a line. */
const codes = Array.from({ length: 31 }, (_, n) => String.fromCharCode(n + 1)).filter((code) => code !== "\n")

// Rows are kept: what is added goes to the end, and nothing is taken out.
const names = [
  "content-type",
  "webhook-id",
  "webhook-timestamp",
  "webhook-signature",
  "x-delivery-id",
  "x-event-type",
  "user-agent",
  "traceparent",
  "authorization",
  "date",
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "server",
  "cache-control",
  "etag",
  "vary",
  "x-request-id",
  "x-powered-by",
  "content-encoding",
  "strict-transport-security"
]

const values = ["application/json", "keep-alive", "close", "chunked", "***"]

const [ofDelivery = "", ofMessage = "", ofSecond = "", ...ofValues] = codes

/** Both ways; what there are no codes left for has none. */
const coded = (texts: ReadonlyArray<string>, codes: ReadonlyArray<string>) => {
  const pairs = texts.slice(0, codes.length).map((text, n) => [text, codes[n] ?? ""] as const)
  return { codes: new Map(pairs), texts: new Map(pairs.map(([text, code]) => [code, text])) }
}

const { codes: codeOf, texts: nameOf } = coded(names, codes)
const { codes: valueCodeOf, texts: valueOf } = coded(values, ofValues)
const longestValue = Math.max(...values.map((value) => value.length))

/** As the database tells it, whose times have microseconds. */
const secondOf = ({ startedAtMs }: Around): string => String(Math.floor(Math.round(startedAtMs * 1000) / 1e6))

/** The first line and the headers. In parts that are joined at once: a text that grows is made anew for each of them. */
class Head {
  readonly #parts: Array<string>
  readonly #around: Around
  readonly #second: string
  #isPlain: boolean

  constructor(first: string, around: Around) {
    this.#parts = [first]
    this.#around = around
    this.#second = secondOf(around)
    this.#isPlain = isLine(first)
  }

  add(name: string, value: string): void {
    const code = codeOf.get(name)
    if (code === undefined) {
      if (name.includes(":") || name < " " || !isLine(name)) this.#isPlain = false
      this.#parts.push("\n", name, ": ", this.#coded(value))
    } else this.#parts.push("\n", code, this.#coded(value))
  }

  /** The whole text; undefined where its parts could not be told apart in it. */
  end(body: string | undefined): string | undefined {
    if (body !== undefined) this.#parts.push("\n\n", body)
    if (!this.#isPlain) return undefined
    const text = this.#parts.join("")
    // PostgreSQL keeps neither NUL characters nor half a surrogate pair; JSON writes both as escapes.
    return text.includes("\0") || !text.isWellFormed() ? undefined : text
  }

  #coded(value: string): string {
    if (value === this.#around.deliveryId) return ofDelivery
    if (value === this.#around.messageId) return ofMessage
    if (value === this.#second) return ofSecond
    const code = value.length <= longestValue ? valueCodeOf.get(value) : undefined
    if (code !== undefined) return code
    if (!isLine(value) || (value.length === 1 && value < " ")) this.#isPlain = false
    return value
  }
}

const isLine = (text: string): boolean => !text.includes("\n")

const partsOf = (text: string, around: Required<Around>) => {
  const end = text.indexOf("\n\n")
  const [first = "", ...lines] = (end < 0 ? text : text.slice(0, end)).split("\n")
  const decoded = (value: string): string => {
    switch (value) {
      case ofDelivery:
        return around.deliveryId
      case ofMessage:
        return around.messageId
      case ofSecond:
        return secondOf(around)
      default:
        return valueOf.get(value) ?? value
    }
  }
  const headers = lines.map((line) => {
    const name = nameOf.get(line.charAt(0))
    if (name !== undefined) return { name, value: decoded(line.slice(1)) }
    const at = line.indexOf(": ")
    return { name: line.slice(0, at), value: decoded(line.slice(at + 2)) }
  })
  return { first, headers, body: end < 0 ? undefined : text.slice(end + 2) }
}

const decodeRequest = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.TupleWithRest(
    Schema.Tuple([Schema.String, Schema.String, Schema.NullOr(Schema.String)]),
    [Schema.String]
  ))
)
