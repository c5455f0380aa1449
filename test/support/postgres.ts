/**
 * A database of its own for a test, dropped afterwards.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Random, Redacted } from "effect"
import { inject } from "vitest"

const server = (database: string) => {
  const url = new URL(inject("postgresUrl"))
  url.pathname = `/${database}`
  return Redacted.make(url.href)
}

const admin = <A, E>(use: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
  Effect.flatMap(PgClient.PgClient, use).pipe(
    Effect.provide(PgClient.layer({ url: server("postgres"), maxConnections: 1 })),
    Effect.orDie
  )

/** Copies a database, to which nobody is connected; its scope drops the copy, whoever is still connected. */
export const copy = (template: string) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const name = `test_${Math.abs(yield* Random.nextInt).toString(36)}_${process.pid}`
      yield* admin((sql) => sql.unsafe(`create database ${name} template ${template}`).unprepared)
      return { name, url: server(name) }
    }),
    ({ name }) => admin((sql) => sql.unsafe(`drop database if exists ${name} with (force)`).unprepared)
  )

/** Makes a database with the layout. */
export const testDatabase = copy("hookline_layout")

/** Makes one with nothing in it. */
export const emptyDatabase = copy("template1")

/** The caller's client on a database of its own. */
export const layer = Layer.unwrap(
  Effect.map(testDatabase, ({ url }) => PgClient.layer({ url, maxConnections: 10 }))
)
