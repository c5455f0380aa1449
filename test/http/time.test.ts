import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { IsoTime } from "../../src/http/Time.ts"

const accepts = Schema.is(IsoTime)

/** What is said of a text that is refused. */
const refusal = (text: string) => {
  const found = Schema.decodeUnknownExit(IsoTime)(text)
  return found._tag === "Failure" ? String(found.cause) : ""
}

/** Those of the texts that are taken, or refused for another reason. */
const notRefused = (because: string, texts: ReadonlyArray<string>) =>
  texts.filter((text) => accepts(text) || !refusal(text).includes(because))

describe("a time in a query", () => {
  it("is a day, or a day and a time with its zone, as precise as one likes", () => {
    for (
      const text of [
        "2026-01-31",
        "2024-02-29",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.123456789+05:30",
        "2026-12-31T23:59:59-11:00"
      ]
    ) assert.isTrue(accepts(text), text)
  })

  it("is refused in any other form, with examples of what is expected", () => {
    const others = notRefused("ISO 8601 with its zone, such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31", [
      "",
      "5",
      "yesterday",
      "2026",
      "2026-1-31",
      "2026-01-31T12",
      "2026-01-31T12:00:00",
      "2026-01-31 12:00:00Z",
      "2026-01-31T12:00:00Z ",
      "1769860800000"
    ])
    assert.deepStrictEqual(others, [])
  })

  it("is refused where there is no such day or time, instead of being taken for another", () => {
    const others = notRefused("a time that exists, such as 2026-01-31T12:00:00Z", [
      "2026-02-29",
      "2026-02-31",
      "2026-04-31T12:00:00Z",
      "2026-13-01",
      "2026-00-10",
      "2026-01-00",
      "2026-01-31T25:00:00Z",
      "2026-01-31T12:60:00Z",
      "2026-01-31T12:00:00+24:00"
    ])
    assert.deepStrictEqual(others, [])
  })
})
