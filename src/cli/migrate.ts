/**
 * `hookline migrate`: brings the database's layout up to date.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const migrate = Command.make("migrate", {}, () =>
  Effect.gen(function*() {
    const [{ PgClient }, PgStorage, Settings] = yield* Effect.promise(() =>
      Promise.all([import("@effect/sql-pg"), import("../storage/PgStorage.ts"), import("./Settings.ts")])
    )
    const url = yield* Settings.databaseUrl
    const done = yield* Effect.provide(PgStorage.migrate, PgClient.layer({ url, maxConnections: 1 }))
    yield* Console.log(
      done === 0 ? "The database is up to date." : `${done} migration${done === 1 ? "" : "s"} applied.`
    )
  })).pipe(Command.withDescription("Brings the layout of the database at DATABASE_URL up to date"))
