import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as PgArray from "../../src/storage/PgArray.ts"
import * as Postgres from "../support/postgres.ts"

const texts = ["", "NULL", "null", "\"", "\\", "\\\"", "{a,b}", ",", " a ", "\n\t", "é\u{1f389}", "'", "$1"]
const numbers = [0, -1, 1.5, 1e21, 2 ** 53 - 1, 5e-324]

describe("a column of many rows", () => {
  layer(Postgres.layer, { excludeTestServices: true })((it) => {
    it.effect("is unnested as it was, with its nulls and whatever its texts hold", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const rows = [null, ...texts, null].flatMap((text) =>
          [null, ...numbers, null].map((number) => ({ text, number }))
        )
        const read = yield* sql<typeof rows[number]>`select u.text, u.number from unnest(
          ${PgArray.column("int4", [...rows.keys()], (n) => n)}::int[],
          ${PgArray.column("text", rows, ({ text }) => text)}::text[],
          ${PgArray.column("float8", rows, ({ number }) => number)}::float8[]
        ) as u(n, text, number) order by u.n`
        assert.deepStrictEqual(read.map(({ number, text }) => ({ text, number })), rows)
      }))
  })

  it("ends with its last value: what follows is null anyway", () => {
    const values = [null, "a", undefined, "b\"\\", null, undefined]
    assert.deepStrictEqual(PgArray.column("text", values, (value) => value).value, [null, "a", null, "b\"\\"])
    assert.deepStrictEqual(PgArray.column("float8", [1, 2], () => null).value, [])
    assert.deepStrictEqual(PgArray.column("int4", [], () => 1).value, [])
  })
})
