import { assert, describe, it } from "@effect/vitest"
import { SignatureV4 } from "@smithy/signature-v4"
import { Effect, type Schema } from "effect"
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto"
import { attemptAt, endpoint, type Got, loopback, nowMs, saved } from "./support.ts"

type Bytes = string | ArrayBuffer | ArrayBufferView

const bytesOf = (data: Bytes) =>
  typeof data === "string"
    ? Buffer.from(data)
    : data instanceof ArrayBuffer
    ? Buffer.from(data)
    : Buffer.from(data.buffer, data.byteOffset, data.byteLength)

/** What the verifying library asks for as SHA-256, with and without a key. */
class Sha256 {
  private readonly hash: Hash | Hmac
  constructor(key?: Bytes) {
    this.hash = key === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(key))
  }
  update(data: Bytes) {
    this.hash.update(bytesOf(data))
  }
  digest() {
    return Promise.resolve(new Uint8Array(this.hash.digest()))
  }
  reset() {}
}

const aws = {
  authType: "sigv4",
  awsAccessKeyId: "AKIDEXAMPLE",
  awsSecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  awsRegion: "eu-central-1",
  awsService: "execute-api"
}

/** Whose and for what a request is. */
interface Signer {
  readonly service?: string
  readonly sessionToken?: string
}

/** The header that AWS' own library signs the request with, as it was on the wire. */
const expected = Effect.fnUntraced(function*({ body, headers, method, path }: Got, signer: Signer = {}) {
  const signedHeaders = new Set(/SignedHeaders=([^,]+),/u.exec(headers.authorization ?? "")?.[1]?.split(";"))
  const [, pathname = "", search = ""] = /^([^?]*)\??(.*)$/u.exec(path) ?? []
  const query: Record<string, Array<string>> = {}
  for (const [name, value] of new URLSearchParams(search)) (query[name] ??= []).push(value)
  const { service = aws.awsService, sessionToken } = signer
  const signature = new SignatureV4({
    service,
    region: aws.awsRegion,
    credentials: {
      accessKeyId: aws.awsAccessKeyId,
      secretAccessKey: aws.awsSecretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken })
    },
    sha256: Sha256,
    // Amazon's object storage alone takes a path as it is.
    uriEscapePath: service !== "s3"
  })
  const flat = Object.fromEntries(
    Object.entries(headers).filter(([name]) => signedHeaders.has(name)).map(([name, value]) => [name, String(value)])
  )
  const signed = yield* Effect.promise(() =>
    signature.sign(
      { method, protocol: "http:", hostname: "127.0.0.1", path: pathname, query, headers: flat, body },
      { signingDate: new Date(nowMs) }
    )
  )
  return { authorization: signed.headers["authorization"], signedHeaders }
})

const delivered = Effect.fnUntraced(function*(
  config: object,
  { path = "/", payload = {}, ...more }: {
    readonly path?: string
    readonly payload?: Schema.Json
    readonly traceparent?: string
  } = {}
) {
  const { origin, requests } = yield* endpoint()
  const bound = yield* saved({ url: `${origin}${path}`, ...aws, ...config })
  yield* bound.deliver(yield* attemptAt(nowMs, { payloadJson: JSON.stringify(payload), ...more }))
  return requests[0] ?? assert.fail("it did not arrive")
})

describe("a webhook signed for AWS", () => {
  it.live("is signed over everything that is on the wire but what those on the way may change", () =>
    Effect.gen(function*() {
      const got = yield* delivered(
        { customHeaders: [{ name: "X-Team", value: "  a   b " }] },
        { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }
      )
      const { authorization, signedHeaders } = yield* expected(got)
      assert.strictEqual(got.headers.authorization, authorization)
      const unsigned = Object.keys(got.headers).filter((name) => !signedHeaders.has(name))
      assert.deepStrictEqual(unsigned.toSorted(), ["authorization", "connection", "traceparent", "user-agent"])
      assert.include([...signedHeaders], "host")
      assert.include([...signedHeaders], "content-length")
      assert.include([...signedHeaders], "webhook-signature")
      assert.strictEqual(got.headers["x-amz-date"], "20261106T080000Z")
      assert.strictEqual(got.headers["x-amz-content-sha256"], createHash("sha256").update(got.body).digest("hex"))
    }).pipe(Effect.provide(loopback)))

  const cases: ReadonlyArray<
    readonly [what: string, options: { readonly path?: string; readonly payload?: Schema.Json }, config?: object]
  > = [
    ["a query string", { path: "/a/b?b=2&a=1&a=0&empty=&flag&z=%20%2B" }],
    ["a plus in the query", { path: "/?q=a+b" }],
    ["a path and a query beyond ASCII", { path: "/ä/日本/\u{1f9c0}?käse=ü&\u{1f9c0}=1" }],
    ["characters that spellings differ in", { path: "/a[0]|b!'()*~;=:@$&,+/%20%41?f[a]=b|c'()*!{}^`" }],
    ["empty segments and dots in the path", { path: "//a//b/./c/../d//" }],
    ["a templated path", { path: "/{{ payload.id }}/x?n={{ payload.id }}", payload: { id: "ä/ b+?" } }],
    ["a body beyond ASCII", { payload: { "käse": "\u{1f9c0}\u2028" } }],
    ["a form", { payload: { "käse": "a b" } }, { contentType: "application/x-www-form-urlencoded" }],
    ["a method", {}, { method: "PUT" }],
    ["CloudEvents' headers", {}, { format: "cloudevents-binary" }],
    ["an empty body", {}, { bodyTemplate: "{{ payload.none }}" }],
    ["a templated header", { payload: { id: "7" } }, { customHeaders: [{ name: "X-Id", value: "{{ payload.id }}" }] }]
  ]
  for (const [what, options, config = {}] of cases) {
    it.live(`is what AWS' own library signs: ${what}`, () =>
      Effect.gen(function*() {
        const got = yield* delivered(config, options)
        assert.strictEqual(got.headers.authorization, (yield* expected(got)).authorization)
      }).pipe(Effect.provide(loopback)))
  }

  it.live("is what AWS' own library signs: with a session's token, and for the object storage", () =>
    Effect.gen(function*() {
      const sessionToken = "FQoGZXIvYXdzEJr//+/="
      const temporary = yield* delivered({ awsSessionToken: sessionToken })
      assert.strictEqual(temporary.headers["x-amz-security-token"], sessionToken)
      assert.strictEqual(temporary.headers.authorization, (yield* expected(temporary, { sessionToken })).authorization)
      const stored = yield* delivered({ awsService: "s3", method: "PUT" }, { path: "/a//b/%20c/ä?x=y" })
      assert.strictEqual(stored.headers.authorization, (yield* expected(stored, { service: "s3" })).authorization)
    }).pipe(Effect.provide(loopback)))

  it.live("names its host as the transport does, with a port that is not its scheme's own", () =>
    Effect.gen(function*() {
      const got = yield* delivered({})
      assert.match(got.headers.host ?? "", /^127\.0\.0\.1:\d+$/u)
    }).pipe(Effect.provide(loopback)))

  it.live("leaves a templated value what it is, whatever else the query holds", () =>
    Effect.gen(function*() {
      const path = "/a|b/c%2Fd?filter[name]={{ payload.n }}"
      const got = yield* delivered({}, { path, payload: { n: "a/b & c" } })
      assert.strictEqual(got.headers.authorization, (yield* expected(got)).authorization)
      const url = new URL(got.path, "http://a.example")
      assert.strictEqual(url.searchParams.get("filter[name]"), "a/b & c")
      assert.include(url.pathname, "/c%2Fd")
    }).pipe(Effect.provide(loopback)))

  it.live("with a URL that can't be signed is refused for good", () =>
    Effect.gen(function*() {
      const { origin, requests } = yield* endpoint()
      for (const path of ["/%zz[", "/?x=%E9"]) {
        const bound = yield* saved({ url: `${origin}${path}`, ...aws })
        const error = yield* Effect.flip(bound.deliver(yield* attemptAt(nowMs)))
        assert.deepInclude(error, { _tag: "Permanent", code: "MalformedUrl" })
        assert.include(error.message, "%25")
      }
      assert.strictEqual(requests.length, 0)
    }).pipe(Effect.provide(loopback)))
})
