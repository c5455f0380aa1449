import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PgTexts from "../../src/storage/PgTexts.ts"
import * as TestDatabase from "../support/postgres.ts"

const both = Effect.map(PgClient.PgClient, (plain) => ({ plain, texts: PgTexts.make(plain, 100) }))

describe("texts of statements", () => {
  it.effect("are the driver's, and the parameters in their order, of templates in templates too", () =>
    Effect.gen(function*() {
      const { plain, texts } = yield* both
      const of = (sql: PgClient.PgClient, n: number) => {
        const inner = (value: string) => sql`(${n}::int, ${value}::text${sql.literal(" || ''")})`
        return sql`select * from (values ${inner("a")}, ${inner("b")}) v(n, s) where n < ${n + 1}::int`
      }
      for (const n of [1, 2, 3]) assert.deepStrictEqual(of(texts, n).compile(), of(plain, n).compile())
      assert.strictEqual(of(texts, 1).compile()[0], of(texts, 2).compile()[0])
      assert.deepStrictEqual(yield* of(texts, 7), [{ n: 7, s: "a" }, { n: 7, s: "b" }])
    }).pipe(Effect.provide(TestDatabase.layer)))

  it.effect("differ where a part differs: another literal, another template, a parameter in the place of one", () =>
    Effect.gen(function*() {
      const { texts: sql } = yield* both
      const of = (part: unknown) => sql`select ${part} as found`.compile()
      assert.deepStrictEqual(of(sql.literal("1")), ["select 1 as found", []])
      assert.deepStrictEqual(of(sql.literal("2")), ["select 2 as found", []])
      assert.deepStrictEqual(of(sql`${3}::int`), ["select $1::int as found", [3]])
      assert.deepStrictEqual(of(sql`${4}::text`), ["select $1::text as found", [4]])
      assert.deepStrictEqual(of(5), ["select $1 as found", [5]])
    }).pipe(Effect.provide(TestDatabase.layer)))

  it.effect("are the driver's too where a statement has names or conditions of the driver's making", () =>
    Effect.gen(function*() {
      const { plain, texts } = yield* both
      const of = (sql: PgClient.PgClient) =>
        sql`select ${sql("a b")} from (select ${1}::int as ${sql("a b")}) t where ${
          sql.and([sql`true`, sql`${sql("a b")} = ${1}::int`, sql.in("a b", [1, 2])])
        }`
      assert.deepStrictEqual(of(texts).compile(), of(plain).compile())
      assert.deepStrictEqual(yield* of(texts), [{ "a b": 1 }])
    }).pipe(Effect.provide(TestDatabase.layer)))

  it.effect("are made again when there are more than are remembered", () =>
    Effect.gen(function*() {
      const { texts: sql } = yield* both
      for (let n = 0; n < 500; n++) {
        assert.deepStrictEqual(sql`select ${sql.literal(String(n))}, ${n}`.compile(), [`select ${n}, $1`, [n]])
      }
    }).pipe(Effect.provide(TestDatabase.layer)))
})
