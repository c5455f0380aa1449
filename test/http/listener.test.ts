import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Wire } from "./fuzz/Wire.ts"
import { adminKey, port, server } from "./support.ts"

const Problem = Schema.fromJsonString(
  Schema.Struct({ type: Schema.String, status: Schema.Int, title: Schema.String, detail: Schema.String })
)

/** The answer to lines that are sent as they are. */
const send = (...lines: ReadonlyArray<string>) =>
  Effect.flatMap(port, (port) =>
    Effect.promise(async () => {
      const wire = new Wire(port)
      const bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(""))
      const answer = await wire.send({ bytes, withinMs: 10_000, headOnly: false, ends: false })
      wire.close()
      return answer
    }))

layer(server(), { excludeTestServices: true })("what is no HTTP, or too much of it", (it) => {
  const cases = [
    ["a line that is no request", ["NONSENSE", ""], 400, "malformed-request"],
    ["a method that there is not", ["BREW /api/v1/events HTTP/1.1", "host: a", ""], 400, "malformed-request"],
    ["two lengths", ["GET / HTTP/1.1", "host: a", "content-length: 1, 2", ""], 400, "malformed-request"],
    ["a NUL in a header", ["GET / HTTP/1.1", "host: a", "x: a\0b", ""], 400, "malformed-request"],
    [
      "a chunk without a size",
      [
        "POST /api/v1/messages HTTP/1.1",
        "host: a",
        `authorization: Bearer ${adminKey}`,
        "content-type: application/json",
        "transfer-encoding: chunked",
        "",
        "zz"
      ],
      400,
      "malformed-request"
    ],
    ["an expectation", ["GET /api/v1/events HTTP/1.1", "host: a", "expect: more", ""], 417, "expectation-failed"],
    [
      "headers that are too long",
      ["GET / HTTP/1.1", "host: a", `x: ${"x".repeat(20_000)}`, ""],
      431,
      "headers-too-large"
    ]
  ] as const
  for (const [what, lines, status, type] of cases) {
    it.effect(`${what} is a problem`, () =>
      Effect.gen(function*() {
        const answer = yield* send(...lines)
        assert.strictEqual(answer.status, status, answer.body.toString())
        assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
        assert.strictEqual(answer.headers.get("x-content-type-options"), "nosniff")
        const problem = Schema.decodeUnknownSync(Problem)(answer.body.toString())
        assert.strictEqual(problem.type, `https://hookline.dev/problems/${type}`)
        assert.strictEqual(problem.status, status)
      }))
  }

  it.effect("a body that turns out to be too large closes its connection, and says so", () =>
    Effect.gen(function*() {
      const answer = yield* send(
        "POST /api/v1/messages HTTP/1.1",
        "host: a",
        `authorization: Bearer ${adminKey}`,
        "content-type: application/json",
        "transfer-encoding: chunked",
        "",
        (1024 * 1024 + 1).toString(16),
        " ".repeat(1024 * 1024 + 1),
        "0",
        ""
      )
      assert.strictEqual(answer.status, 413)
      assert.strictEqual(answer.headers.get("connection"), "close")
    }))

  it.effect("a body of unknown length that is refused unread closes its connection, and says so", () =>
    Effect.gen(function*() {
      const answer = yield* send(
        "POST /api/v1/messages HTTP/1.1",
        "host: a",
        "content-type: application/json",
        "transfer-encoding: chunked",
        "",
        (500_000).toString(16),
        " ".repeat(500_000),
        "0",
        ""
      )
      assert.strictEqual(answer.status, 401)
      assert.strictEqual(answer.headers.get("connection"), "close")
    }))
})
