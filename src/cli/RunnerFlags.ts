/**
 * The flags that a runner is started with, which `hookline doctor` takes too.
 */
import { Config, Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import { maxDays } from "../Retention.ts"

const port = (name: string) =>
  Flag.Int(name).pipe(Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))))

/**
 * The flags.
 *
 * @category flags
 * @since 0.1.0
 */
export const flags = {
  dev: Flag.Boolean("dev").pipe(
    Flag.withDescription("Embedded PostgreSQL, generated keys and loopback targets, for development"),
    Flag.withDefault(false)
  ),
  config: Flag.String("config").pipe(
    Flag.withDescription("The file whose default export is a Layer of plugins"),
    Flag.optional
  ),
  host: Flag.String("host").pipe(
    Flag.withDescription("The address to listen on"),
    Flag.withDefault("127.0.0.1")
  ),
  port: port("port").pipe(
    Flag.withDescription("The port to listen on (HOOKLINE_PORT, 4680)"),
    Flag.optional
  ),
  dataDir: Flag.String("data-dir").pipe(
    Flag.withDescription("The folder of the embedded PostgreSQL and the keys (HOOKLINE_DATA_DIR, .hookline)"),
    Flag.optional
  ),
  runnerHost: Flag.String("runner-host").pipe(
    Flag.withDescription("How other runners reach this one (HOOKLINE_RUNNER_HOST, its address towards the database)"),
    Flag.optional
  ),
  runnerPort: port("runner-port").pipe(
    Flag.withDescription("The port for other runners (HOOKLINE_RUNNER_PORT, a free one)"),
    Flag.optional
  ),
  runnerListenHost: Flag.String("runner-listen-host").pipe(
    Flag.withDescription("The address that --runner-port listens on (HOOKLINE_RUNNER_LISTEN_HOST, --runner-host)"),
    Flag.optional
  )
}

/** What the flags give. */
interface Given {
  readonly dev: boolean
  readonly config: Option.Option<string>
  readonly host: string
  readonly port: Option.Option<number>
  readonly dataDir: Option.Option<string>
  readonly runnerHost: Option.Option<string>
  readonly runnerPort: Option.Option<number>
  readonly runnerListenHost: Option.Option<string>
}

/** An empty value is as good as none. */
const text = (name: string) =>
  Config.map(Config.withDefault(Config.String(name), ""), (value) => value.trim() || undefined)

/** What a setting says, if it says anything. */
const said = <A>(name: string, setting: Config.Config<A>): Effect.Effect<A | undefined, Config.ConfigError> =>
  Effect.flatMap(text(name), (value) => value === undefined || isServiceLink(value) ? Effect.undefined : setting)

/** Kubernetes sets `HOOKLINE_PORT` for pods where a service is named `hookline`: of that nobody has set a port. */
const isServiceLink = (value: string): boolean => value.startsWith("tcp://")

const portSetting = (name: string) => said(name, Config.Port(name))

/** For how many days history is kept, where that is said; attempts never outlast it. */
const days = (name: string) =>
  said(name, Config.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxDays })), name))

const kept = Effect.gen(function*() {
  const [historyDays, attemptsDays] = [yield* days("HOOKLINE_HISTORY_DAYS"), yield* days("HOOKLINE_ATTEMPTS_DAYS")]
  return {
    ...(historyDays === undefined ? {} : { historyDays }),
    ...(attemptsDays === undefined ? {} : { attemptsDays })
  }
})

/**
 * What was given, filled up from the environment.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resolve = Effect.fnUntraced(function*(given: Given) {
  const or = <A, B>(
    flag: Option.Option<A>,
    setting: Effect.Effect<B, Config.ConfigError>
  ): Effect.Effect<A | B, Config.ConfigError> => Option.isSome(flag) ? Effect.succeed(flag.value) : setting
  return {
    dev: given.dev,
    host: given.host,
    port: (yield* or(given.port, portSetting("HOOKLINE_PORT"))) ?? 4680,
    dataDir: (yield* or(given.dataDir, text("HOOKLINE_DATA_DIR"))) ?? ".hookline",
    publicDocs: (yield* said("HOOKLINE_PUBLIC_DOCS", Config.Boolean("HOOKLINE_PUBLIC_DOCS"))) ?? true,
    config: Option.getOrUndefined(given.config),
    ...(yield* kept),
    cluster: {
      host: yield* or(given.runnerHost, text("HOOKLINE_RUNNER_HOST")),
      port: yield* or(given.runnerPort, portSetting("HOOKLINE_RUNNER_PORT")),
      listenHost: yield* or(given.runnerListenHost, text("HOOKLINE_RUNNER_LISTEN_HOST"))
    }
  }
})
