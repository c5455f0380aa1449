import { assert, describe, it } from "@effect/vitest"
import * as Redaction from "../src/Redaction.ts"

const secret = "p/l4nted \"é\""

const spellings = [
  secret,
  JSON.stringify({ token: secret }),
  JSON.stringify({ token: secret }).replaceAll("/", "\\/"),
  `https://example.com/?token=${encodeURIComponent(secret)}`
]

describe("a text from outside", () => {
  it("is shown without the secrets that it repeats, as they are, in JSON and in a URL", () => {
    for (const text of spellings) {
      const covered = Redaction.cover([secret])(`before ${text} after`)
      assert.match(covered, /^before .*\*\*\*.* after$/u)
      assert.notInclude(covered, "l4nted")
    }
  })

  it("nor in Base64, with a name before them, where that is looked for", () => {
    const basic = Buffer.from(`me@example.com:${secret}`).toString("base64")
    assert.strictEqual(Redaction.coverEncoded([secret])(`Basic ${basic}, no?`), "Basic ***, no?")
    const url = Buffer.from(`x${secret}`).toString("base64url")
    assert.notInclude(Redaction.coverEncoded([secret])(`at ${url}`), url)
    for (const text of spellings) assert.notInclude(Redaction.coverEncoded([secret])(text), "l4nted")
  })

  it("without secrets in it is left as it is; a blank secret covers nothing", () => {
    const text = "HTTP 401: not authorized, c2VjcmV0"
    assert.strictEqual(Redaction.coverEncoded([secret, ""])(text), text)
    assert.strictEqual(Redaction.cover([])(text), text)
  })

  it("is covered whole where one secret is the beginning of another", () => {
    assert.strictEqual(Redaction.cover(["abc", "abcdef"])("an abcdef"), "an ***")
  })
})
