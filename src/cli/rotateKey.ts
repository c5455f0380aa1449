/**
 * `hookline rotate-key`: seals with the new master key what an older one has sealed, while runners run.
 */
import { Console, Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { CommandFailed } from "./Remote.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const rotateKey = Command.make("rotate-key", {}, () =>
  Effect.gen(function*() {
    const [{ PgClient }, PgStorage, Settings, Secrets, { layer, Resealing }] = yield* Effect.promise(() =>
      Promise.all([
        import("@effect/sql-pg"),
        import("../storage/PgStorage.ts"),
        import("./Settings.ts"),
        import("../Secrets.ts"),
        import("../Resealing.ts")
      ])
    )
    const url = yield* Settings.databaseUrl
    const { masterKey, otherMasterKeys } = yield* Settings.masterKeys
    const { owners, secrets, unopened } = yield* Resealing.use(({ reseal }) => reseal).pipe(Effect.provide(
      layer.pipe(
        Layer.provide([Secrets.layer({ masterKey, otherMasterKeys }), PgStorage.layer({ migrate: false })]),
        Layer.provide(PgClient.layer({ url, maxConnections: 1 }))
      )
    ))
    yield* Console.log(
      secrets === 0
        ? "Everything is sealed with this master key."
        : `${secrets} secret${secrets === 1 ? "" : "s"} of ${owners} sealed anew with this master key.`
    )
    for (const { id, message } of unopened) yield* Console.error(`${id}: ${message}`)
    if (unopened.length > 0) {
      return yield* new CommandFailed({
        message: `${unopened.length} could not be opened: name the key that sealed it in HOOKLINE_OTHER_MASTER_KEYS.`
      })
    }
  })).pipe(
    Command.withDescription(
      "Seals what older master keys have sealed with HOOKLINE_MASTER_KEY; HOOKLINE_OTHER_MASTER_KEYS opens it"
    )
  )
