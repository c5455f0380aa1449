/**
 * A runner's settings from flags and environment; in development keys are made and kept, otherwise each missing one is named.
 */
import { Config, Effect, Option, Redacted, Schema } from "effect"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type * as SocketCluster from "../cluster/SocketCluster.ts"
import { defaults } from "../Limits.ts"
import { dayMs } from "../Retention.ts"
import type { Settings } from "../Runner.ts"
import * as Secrets from "../Secrets.ts"
import * as EmbeddedPostgres from "../storage/EmbeddedPostgres.ts"
import { parts } from "./Parts.ts"

/**
 * The runner can't start as it is told to; the message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class SettingsRefused extends Schema.TaggedError<SettingsRefused>()("SettingsRefused", {
  message: Schema.String
}) {}

/** Without the line break that a file ends with. An empty value is as good as none: an empty key must not open anything. */
const optional = (name: string) =>
  Config.map(Config.option(Config.Redacted(name)), (found) =>
    found.pipe(
      Option.map((value) => Redacted.make(Redacted.value(value).trim())),
      Option.filter((value) => Redacted.value(value) !== "")
    ))

/** Parts between commas. */
const list = (name: string) =>
  Config.map(
    Config.withDefault(Config.String(name), ""),
    parts
  )

const otherKeys = Config.map(
  list("HOOKLINE_OTHER_MASTER_KEYS"),
  (keys): ReadonlyArray<Redacted.Redacted<string>> => keys.map((key) => Redacted.make(key))
)

/**
 * What the environment says, as it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const environment = Config.all({
  databaseUrl: optional("DATABASE_URL"),
  masterKey: optional("HOOKLINE_MASTER_KEY"),
  adminKey: optional("HOOKLINE_ADMIN_KEY"),
  otherMasterKeys: otherKeys,
  egressAllow: list("HOOKLINE_EGRESS_ALLOW"),
  corsOrigins: list("HOOKLINE_CORS_ORIGINS")
})

/**
 * What to set, for what is missing.
 *
 * @category constants
 * @since 0.1.0
 */
export const hints = {
  databaseUrl: "DATABASE_URL, as in postgres://user:password@host:5432/database",
  masterKey: "HOOKLINE_MASTER_KEY, the output of `openssl rand -hex 32`, kept",
  adminKey: "HOOKLINE_ADMIN_KEY, as in `hk_$(openssl rand -hex 24)`"
}

/**
 * The database's URL alone, for commands that need nothing else.
 *
 * @category constructors
 * @since 0.1.0
 */
export const databaseUrl = Effect.flatMap(
  optional("DATABASE_URL"),
  Option.match({
    onNone: () =>
      Effect.fail(
        new SettingsRefused({
          message: "The environment lacks DATABASE_URL: set it, as in postgres://user:password@host:5432/database."
        })
      ),
    onSome: Effect.succeed
  })
)

/**
 * The master keys alone.
 *
 * @category constructors
 * @since 0.1.0
 */
export const masterKeys = Effect.gen(function*() {
  const masterKey = yield* optional("HOOKLINE_MASTER_KEY")
  if (Option.isNone(masterKey)) {
    return yield* new SettingsRefused({ message: `The environment lacks ${hints.masterKey}.` })
  }
  return { masterKey: masterKey.value, otherMasterKeys: yield* otherKeys }
})

/**
 * What `hookline start` is told by its flags.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flags {
  readonly dev: boolean
  readonly host: string
  readonly port: number
  readonly dataDir: string
  readonly historyDays?: number
  readonly attemptsDays?: number
  readonly cluster: SocketCluster.Options
}

/**
 * What a runner does not start with, in words.
 *
 * @category rules
 * @since 0.1.0
 */
export const refusals = (
  { corsOrigins }: Pick<Config.Success<typeof environment>, "corsOrigins">,
  { attemptsDays, historyDays = defaults.historyKeptMs / dayMs }: Pick<Flags, "attemptsDays" | "historyDays">
): ReadonlyArray<string> => [
  ...corsOrigins.filter((origin) => URL.parse(origin)?.origin !== origin).map((wrong) =>
    `HOOKLINE_CORS_ORIGINS has "${wrong}": expected origins such as https://app.example.com, with commas between.`
  ),
  ...(attemptsDays !== undefined && attemptsDays > historyDays
    ? [
      `HOOKLINE_ATTEMPTS_DAYS is ${attemptsDays}, and history is kept for ${historyDays} days: attempts never ` +
      "outlast their deliveries. Say less, or more with HOOKLINE_HISTORY_DAYS."
    ]
    : [])
]

/**
 * The settings of a run; in development the embedded PostgreSQL runs while the scope is open.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(flags: Flags) {
  const found = yield* environment
  const { corsOrigins, egressAllow, otherMasterKeys } = found
  for (const message of refusals(found, flags)) return yield* new SettingsRefused({ message })
  if (flags.dev) return yield* development(flags, found)
  const missing = [
    ...(Option.isNone(found.databaseUrl) ? [hints.databaseUrl] : []),
    ...(Option.isNone(found.masterKey) ? [hints.masterKey] : []),
    ...(Option.isNone(found.adminKey) ? [hints.adminKey] : [])
  ]
  if (Option.isNone(found.databaseUrl) || Option.isNone(found.masterKey) || Option.isNone(found.adminKey)) {
    return yield* new SettingsRefused({
      message: `The environment lacks:\n  ${
        missing.join("\n  ")
      }\nSet what is missing, or start with --dev to try it out.`
    })
  }
  return {
    ...flags,
    databaseUrl: found.databaseUrl.value,
    masterKey: found.masterKey.value,
    adminKey: found.adminKey.value,
    otherMasterKeys,
    egressAllow,
    corsOrigins
  } satisfies Settings
})

// --- internal ---

const loopback = ["127.0.0.0/8", "::1/128"]

const development = Effect.fnUntraced(function*(flags: Flags, found: Config.Success<typeof environment>) {
  const databaseUrl = Option.isSome(found.databaseUrl)
    ? found.databaseUrl.value
    : (yield* EmbeddedPostgres.make({ dataDir: flags.dataDir })).url
  const newMasterKey = yield* Secrets.generateMasterKey
  const masterKey = Option.isSome(found.masterKey)
    ? found.masterKey.value
    : yield* keep(flags.dataDir, "master-key", Redacted.value(newMasterKey))
  const adminKey = Option.isSome(found.adminKey)
    ? found.adminKey.value
    : yield* keep(flags.dataDir, "admin-key", `hk_${randomBytes(24).toString("hex")}`)
  const egressAllow = [...loopback, ...found.egressAllow]
  const { corsOrigins, otherMasterKeys } = found
  return { ...flags, databaseUrl, masterKey, otherMasterKeys, adminKey, egressAllow, corsOrigins } satisfies Settings
})

/**
 * Keeps a key for its owner alone; the first that was made stays. An empty file is what a start leaves that was cut off while
 * it wrote: it is refused, as sealing with another key would lose what is sealed.
 */
const keep = (folder: string, name: string, made: string) =>
  Effect.try({
    try: () => {
      Fs.mkdirSync(folder, { recursive: true })
      const file = Path.join(folder, name)
      if (!Fs.existsSync(file)) Fs.writeFileSync(file, `${made}\n`, { mode: 0o600, flag: "wx" })
      const kept = Fs.readFileSync(file, "utf8").trim()
      if (kept === "") {
        throw new TypeError(`${file} is empty: put the key back, or remove the file to have a new one made`)
      }
      return Redacted.make(kept)
    },
    catch: (error) =>
      new SettingsRefused({
        message: `${name} can't be kept in ${folder}: ${error instanceof Error ? error.message : error}`
      })
  })
