import { assert, describe, it } from "@effect/vitest"
import { messages } from "../../bench/Turns.ts"

const sized = (body: Buffer) => {
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length + 4)
  return Buffer.concat([size, body])
}

const message = (type: string, body = "") => Buffer.concat([Buffer.from(type), sized(Buffer.from(body))])

describe("the messages of PostgreSQL's protocol", () => {
  it("are told apart wherever the stream is cut", () => {
    const stream = Buffer.concat([sized(Buffer.from("startup")), message("P", "select 1"), message("E"), message("S")])
    for (let cut = 0; cut <= stream.length; cut++) {
      const read = messages()
      const types = [...read(stream.subarray(0, cut)), ...read(stream.subarray(cut))]
      assert.strictEqual(String.fromCharCode(...types), "PES")
    }
  })
})
