/**
 * The requests of a seed, one by one: to every operation, as who may and who may not, well made, nearly well made, or made to
 * do harm.
 */
import type { Schema } from "effect"
import type { Scope } from "../../../src/Key.ts"
import * as Dice from "../../simulation/Dice.ts"
import type { Contract, Operation } from "./Contract.ts"
import * as Values from "./Values.ts"

/** Who asks. */
export interface Bearer {
  readonly name: string
  /** The value of the header; none is sent where undefined. */
  readonly authorization: string | undefined
  readonly scopes: ReadonlyArray<Scope>
  readonly tenantId: string | undefined
}

export interface Request {
  readonly n: number
  /** What is wrong with it, or `valid`. */
  readonly what: string
  readonly operation: Operation
  readonly bearer: Bearer
  /** It goes to the operation: neither its path nor its method were changed. */
  readonly isItsOwn: boolean
  /** The server may close the connection instead of answering: what came is no HTTP, or ended early. */
  readonly mayClose: boolean
  readonly headOnly: boolean
  readonly ends: boolean
  readonly bytes: Buffer
}

/** What a request is before it is written. */
interface Draft {
  what: string
  method: string
  path: string
  query: ReadonlyArray<readonly [string, string]>
  headers: Array<readonly [string, string]>
  body: Buffer | undefined
  framing: "length" | "chunked" | "none" | "lie-long" | "lie-short" | "odd"
  isItsOwn: boolean
  mayClose: boolean
}

const segments: ReadonlyArray<string> = [
  "..%2f..%2fetc%2fpasswd",
  "%2e%2e",
  "..",
  ".",
  "%00",
  "a%00b",
  "%ff",
  "%c0%80",
  "%ed%a0%80",
  "%zz",
  "%",
  "%e0%a4",
  "%0d%0aset-cookie:a=b",
  "__proto__",
  "constructor",
  "toString",
  "*",
  ":id",
  "{id}",
  ";a=b",
  "a/b",
  "",
  "null",
  "undefined",
  "-1",
  "x".repeat(5000),
  "%41".repeat(2000),
  "👍",
  "sub_",
  `sub_${"0".repeat(32)}`,
  `MSG_${"0".repeat(32)}`
]

const queries: ReadonlyArray<string> = [
  "limit=0",
  "limit=101",
  "limit=1e400",
  "limit=9223372036854775808",
  "limit=0x10",
  "limit=%201",
  "limit=",
  "limit",
  "limit=NaN",
  "limit=5&limit=6",
  "limit[]=5",
  "limit=%00",
  "cursor=%00",
  "cursor=%ff%fe",
  "cursor=../../etc",
  `cursor=${"A".repeat(256)}`,
  `cursor=${"A".repeat(257)}`,
  `cursor=${"%41".repeat(3000)}`,
  `cursor=${Buffer.from(JSON.stringify({ a: [1, { b: null }] })).toString("base64")}`,
  "cursor=a&cursor=b",
  "cursor=msg_0198f3c1a2b37d4e8f90a1b2c3d4e5f6",
  "__proto__=1",
  "constructor=1&toString=2",
  "tenantId=%00",
  "tenantId=%ed%a0%80",
  "tenantId=a&tenantId=b",
  `tenantId=${"t".repeat(300)}`,
  "eventId=*",
  "from=yesterday&to=tomorrow",
  "from=-271821-04-20&to=275760-09-13",
  "&&&",
  "=",
  "==&=a",
  "%",
  "?",
  "#",
  "a=%zz",
  `${"a=1&".repeat(1500)}`,
  `${Array.from({ length: 300 }, (_, n) => `k${n}=v`).join("&")}`
]

const contentTypes: ReadonlyArray<string> = [
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "multipart/form-data; boundary=a",
  "application/json; charset=utf-16",
  "APPLICATION/JSON",
  "application/json;;;=",
  "application/problem+json",
  "text/event-stream",
  "application/octet-stream",
  "/",
  "",
  "application/json, text/plain",
  `application/${"x".repeat(2000)}`
]

const oddHeaders: ReadonlyArray<readonly [string, string]> = [
  ["if-match", "*"],
  ["if-match", "W/\"1\""],
  ["if-match", "\"1\", \"2\""],
  ["if-match", "\"999999999999999\""],
  ["if-match", "\"9999999999999999999999\""],
  ["if-match", "\"-1\""],
  ["if-match", "1"],
  ["if-match", "\"\""],
  ["if-match", "\"\u00ff\""],
  ["if-match", "\"1\"".repeat(500)],
  ["if-none-match", "*"],
  ["range", "bytes=0-0,5-"],
  ["accept", "text/html;q=0.1"],
  ["accept-encoding", "br, gzip;q=0"],
  ["x-http-method-override", "DELETE"],
  ["x-forwarded-for", "127.0.0.1, ::1"],
  ["x-original-url", "/api/v1/keys"],
  ["cookie", "a=b; __proto__=c; ="],
  ["content-encoding", "gzip"],
  ["traceparent", "00-zz-zz-zz"],
  ["b3", "1-1-1"],
  ["origin", "null"],
  ["host", "evil.example:99999"],
  ["expect", "100-continue"],
  ["x-long", "h".repeat(8000)]
]

/** No HTTP, or more of it than a server takes. */
const brokenHeaders: ReadonlyArray<readonly [string, string]> = [
  ["x-long", "h".repeat(40_000)],
  ["bad header", "a"],
  ["x-control", "a\u0001b"],
  ["x-null", "a\0b"],
  ["expect", "the-unexpected"],
  ["transfer-encoding", "gzip, identity"],
  ["content-length", "-1"],
  ["content-length", "1e3"],
  ["content-length", "5, 5"],
  ["connection", "upgrade"],
  ["upgrade", "h2c"],
  ["upgrade", "websocket"]
]

const methods = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "PROPFIND",
  "QUERY",
  "BREW",
  "get"
]

const bodies = (dice: Dice.Dice, body: Buffer): Buffer =>
  dice.pick([
    Buffer.alloc(0),
    Buffer.from(" \n\t"),
    Buffer.from("null"),
    Buffer.from("[]"),
    Buffer.from("\"text\""),
    Buffer.from("{}"),
    Buffer.from("1e400"),
    Buffer.from("NaN"),
    Buffer.from("undefined"),
    Buffer.from("{'a':1}"),
    Buffer.from("{\"a\":1,}"),
    Buffer.from("{\"a\":1} trailing"),
    Buffer.from("/* c */ {}"),
    Buffer.from("--a\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--a--\r\n"),
    Buffer.from("a=1&b=2"),
    Values.bytesOf(Values.mark("array:1000")),
    Values.bytesOf(Values.mark("object:1000")),
    Values.bytesOf(Values.mark("array:100000")),
    Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), body]),
    Buffer.from(body.toString("utf8"), "utf16le"),
    body.subarray(0, dice.below(body.length + 1)),
    Buffer.concat([body, body]),
    Buffer.concat([body.subarray(0, -1), Buffer.from([0xff]), body.subarray(-1)]),
    Buffer.from(`{"eventId":"${"e".repeat(900_000)}"}`),
    Buffer.alloc(1024 * 1024 + 1, 0x20)
  ])

/** Makes the requests of a seed. */
export const make = (
  options: {
    readonly seed: string
    readonly contract: Contract
    readonly ids: Values.Ids
    readonly bearers: readonly [Bearer, ...ReadonlyArray<Bearer>]
  }
) => {
  const { bearers, contract, ids, seed } = options
  const [operator] = bearers
  return (n: number): Request => {
    const dice = Dice.make(`${seed}/${n}`)
    const operation = contract.operations[n % contract.operations.length]
    if (operation === undefined) throw new Error("the contract has no operation")
    const way = dice.below(10)
    // What is well made has a key that may do it, more often than not, or it would be refused before it is looked at.
    const bearer = dice.chance(0.6) ? operator : dice.pick(bearers)
    const path = pathOf(dice, operation, ids)
    const value = operation.body === undefined
      ? undefined
      : valueOf(dice, contract, ids, operation.body.schema, operation.body.example)
    const body = value === undefined ? undefined : Values.bytesOf(value)
    const draft: Draft = {
      what: "valid",
      method: operation.method,
      path,
      query: queryOf(dice, contract, ids, operation),
      headers: [["content-type", "application/json"]],
      body,
      framing: body === undefined ? "none" : dice.chance(0.1) ? "chunked" : "length",
      isItsOwn: true,
      mayClose: false
    }
    if (operation.parameters.some(({ name }) => name === "If-Match") && dice.chance(0.2)) {
      draft.headers.push(["if-match", `"${dice.below(4)}"`])
    }
    if (way >= 4 && way < 7) nearly(dice, draft, value)
    if (way >= 7) harm(dice, draft, operation, value)
    if (body === undefined) {
      draft.headers = draft.headers.filter(([name]) => name !== "content-type" || dice.chance(0.1))
    }
    return {
      n,
      what: draft.what,
      operation,
      bearer,
      isItsOwn: draft.isItsOwn,
      mayClose: draft.mayClose,
      headOnly: draft.method === "HEAD",
      ends: draft.framing === "lie-long",
      bytes: bytesOf(draft, bearer)
    }
  }
}

// --- internal ---

/** Path parameters name what is there, mostly: something of the collection before them. */
const pathOf = (dice: Dice.Dice, { path }: Operation, ids: Values.Ids) =>
  path.replaceAll(/\/\{\w+\}/gu, (_, at: number) => {
    const known = ids.in(path.slice(0, at))
    const id = dice.some(known) ?? "nothing"
    return `/${dice.chance(0.9) ? id : id.replaceAll(/[0-9]/gu, "0")}`
  })

const valueOf = (
  dice: Dice.Dice,
  contract: Contract,
  ids: Values.Ids,
  schema: Parameters<typeof Values.valid>[3],
  example: Schema.Json | undefined
) =>
  // What is shown may be somewhere that is real, and nothing is delivered there.
  example !== undefined && !JSON.stringify(example).includes("://") && dice.chance(0.2)
    ? example
    : Values.valid(dice, contract, ids, schema)

const queryOf = (dice: Dice.Dice, contract: Contract, ids: Values.Ids, { parameters }: Operation) =>
  parameters.filter((parameter) => parameter.in === "query" && parameter.name !== "cursor")
    .filter(({ required }) => required || dice.chance(0.2))
    .map(({ name, schema }): readonly [string, string] => {
      const value = Values.valid(dice, contract, ids, schema, name)
      return [name, encodeURIComponent(typeof value === "string" ? value.replaceAll("\0", "") : JSON.stringify(value))]
    })

/** One thing is wrong: a property of the body, or a parameter. */
const nearly = (dice: Dice.Dice, draft: Draft, value: Schema.Json | undefined) => {
  if (value !== undefined && dice.chance(0.8)) {
    draft.what = "nearly valid body"
    draft.body = Values.bytesOf(Values.broken(dice, value))
    return
  }
  if (dice.chance(0.7)) {
    draft.what = "nearly valid query"
    draft.query = [...draft.query, [
      dice.pick(["limit", "cursor", "tenantId", "Limit", "unknown"]),
      dice.pick(["0", "x", "-1", "101"])
    ]]
    return
  }
  draft.what = "nearly valid path"
  draft.path = draft.path.replace(/[^/]$/u, (last) => dice.pick(["", `${last}x`, last.toUpperCase(), `${last}/`]))
  draft.isItsOwn = false
}

const harm = (dice: Dice.Dice, draft: Draft, operation: Operation, value: Schema.Json | undefined) => {
  const ways: Array<() => void> = [
    () => {
      draft.what = "hostile query"
      draft.query = [...dice.chance(0.5) ? draft.query : [], [dice.pick(["", "limit"]), ""]]
      draft.path = `${draft.path}?${dice.some(queries) ?? ""}`
      draft.query = []
    },
    () => {
      draft.what = "hostile headers"
      draft.headers.push(dice.some(oddHeaders) ?? ["a", "b"])
    },
    () => {
      draft.what = "broken headers"
      const header = dice.some(brokenHeaders) ?? ["a", "b"]
      draft.headers.push(header)
      draft.mayClose = true
      // Two lengths, or a length and a coding, are a lie about where the next request begins.
      draft.isItsOwn = false
    },
    () => {
      draft.what = "other method"
      draft.method = dice.some(methods) ?? "PUT"
      draft.isItsOwn = false
    }
  ]
  if (operation.path.includes("{")) {
    ways.push(() => {
      draft.what = "hostile path"
      draft.path = operation.path.replace(/\{\w+\}/u, dice.some(segments) ?? "")
      draft.isItsOwn = false
    })
  }
  if (value !== undefined) {
    const inside = () => {
      draft.what = "hostile value"
      draft.body = Values.bytesOf(Values.broken(dice, value, Values.harmful))
    }
    ways.push(inside, inside, () => {
      draft.what = "hostile body"
      draft.body = bodies(dice, draft.body ?? Buffer.alloc(0))
    }, () => {
      draft.what = "wrong content type"
      draft.headers = [["content-type", dice.some(contentTypes) ?? ""]]
    }, () => {
      draft.what = "no content type"
      draft.headers = []
    }, () => {
      draft.what = "wrong length"
      draft.framing = dice.pick(["lie-long", "lie-short", "odd"])
      draft.mayClose = true
    })
  }
  const first = dice.some(ways)
  if (first !== undefined) first()
}

const bytesOf = (
  { body = Buffer.alloc(0), framing, headers, method, path, query }: Draft,
  { authorization }: Bearer
) => {
  const target = query.length === 0 ? path : `${path}?${query.map(([name, value]) => `${name}=${value}`).join("&")}`
  const all = [
    ["host", "127.0.0.1"],
    ...(authorization === undefined ? [] : [["authorization", authorization]]),
    ...headers,
    ...framingOf(framing, body.length)
  ]
  const head = `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`
  return Buffer.concat([
    // Names and values of headers are bytes; a target may be more.
    Buffer.from(head, /[\u0100-\u{10ffff}]/u.test(head) ? "utf8" : "latin1"),
    ...(framing === "chunked" ? chunksOf(body) : framing === "odd" ? [Buffer.from("zz\r\n"), body] : [body])
  ])
}

const framingOf = (framing: Draft["framing"], length: number): ReadonlyArray<readonly [string, string]> => {
  switch (framing) {
    case "none":
      return []
    case "length":
      return [["content-length", String(length)]]
    case "lie-long":
      return [["content-length", String(length + 100)]]
    case "lie-short":
      return [["content-length", String(Math.max(0, length - 5))], ["connection", "close"]]
    case "chunked":
    case "odd":
      return [["transfer-encoding", "chunked"]]
  }
}

const chunksOf = (body: Buffer): ReadonlyArray<Buffer> => {
  const half = Math.floor(body.length / 2)
  const chunk = (part: Buffer) =>
    part.length === 0 ? [] : [Buffer.from(`${part.length.toString(16)};a=b\r\n`), part, Buffer.from("\r\n")]
  return [...chunk(body.subarray(0, half)), ...chunk(body.subarray(half)), Buffer.from("0\r\n\r\n")]
}
