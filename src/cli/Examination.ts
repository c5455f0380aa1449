/**
 * The examination of `hookline doctor`: looks at what a runner would be started with, changes nothing, and judges each part by
 * itself, so that one fault hides no other.
 */
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import * as AddressPolicy from "../egress/AddressPolicy.ts"
import * as EgressNode from "../egress/EgressNode.ts"
import { Limits } from "../Limits.ts"
import * as Webhook from "../plugins/webhook/index.ts"
import * as Registry from "../Registry.ts"
import * as Retention from "../Retention.ts"
import * as SealedConfig from "../SealedConfig.ts"
import * as Secrets from "../Secrets.ts"
import * as EmbeddedPostgres from "../storage/EmbeddedPostgres.ts"
import * as PgInspection from "../storage/PgInspection.ts"
import * as Checks from "./Checks.ts"
import * as Kept from "./Kept.ts"
import * as Plugins from "./Plugins.ts"
import * as Settings from "./Settings.ts"

/** @category models @since 0.1.0 */
export interface Flags extends Settings.Flags {
  readonly config: string | undefined
}

/**
 * Examines everything.
 *
 * @category examination
 * @since 0.1.0
 */
export const examine = Effect.fnUntraced(function*(flags: Flags) {
  const found = yield* Settings.environment
  const database = yield* findDatabase(flags, found.databaseUrl)
  const masterKey = yield* key("master-key", Settings.hints.masterKey, flags, found.masterKey)
  const adminKey = yield* key("admin-key", Settings.hints.adminKey, flags, found.adminKey)
  const terms = Retention.termsOf({ ...yield* Limits, ...Retention.limitsOf(flags) })
  const stored = yield* database.url === undefined
    ? Effect.succeed({ checks: [], sealed: undefined, providers: [] })
    : inspect(database.url, database.subject, masterKey.value, terms)
  const running = yield* port(flags, adminKey.value)
  const { refused } = AddressPolicy.parseAllowed(found.egressAllow)
  return [
    Checks.node(process.versions.node, engines.node),
    Checks.settings(Settings.refusals(found, flags)),
    ...database.checks,
    ...stored.checks,
    ...(masterKey.check ? [masterKey.check] : stored.sealed ? [stored.sealed] : yield* wellFormed(masterKey.value)),
    ...(adminKey.check ? [adminKey.check] : running.adminKey),
    Checks.egress({ allow: found.egressAllow, refused, dev: flags.dev }),
    running.port,
    yield* plugins(flags.config, stored.providers)
  ]
})

// --- internal ---

const { engines } = Schema.decodeUnknownSync(Schema.Struct({ engines: Schema.Struct({ node: Schema.String }) }))(
  createRequire(import.meta.url)("../../package.json")
)

type Key = Redacted.Redacted<string>

/** A key of the environment, or the one that is kept; `check` is set where there is nothing more to find out of it. */
const key = (
  name: "master-key" | "admin-key",
  hint: string,
  flags: Flags,
  configured: Option.Option<Key>
): Effect.Effect<{ readonly value: Key | undefined; readonly check: Checks.Check | undefined }> => {
  const only = (check: Checks.Check) => ({ value: undefined, check })
  if (Option.isSome(configured)) return Effect.succeed({ value: configured.value, check: undefined })
  if (!flags.dev) {
    return Effect.succeed(
      only(Checks.failure(name, "It is not set", `Set ${hint}; or pass --dev to check a runner in development.`))
    )
  }
  return Kept.read(flags.dataDir, name).pipe(
    Effect.map(Option.match({
      onNone: () => only(Checks.ok(name, `The first start makes one and keeps it in ${flags.dataDir}`)),
      onSome: (value) => ({ value, check: undefined })
    })),
    Effect.catch(({ message }) =>
      Effect.succeed(only(Checks.failure(name, message, "Without it, nothing starts in this folder.")))
    )
  )
}

interface Database {
  readonly url: Key | undefined
  readonly subject: string
  readonly checks: ReadonlyArray<Checks.Check>
}

const findDatabase = (flags: Flags, configured: Option.Option<Key>): Effect.Effect<Database> => {
  const none = (check: Checks.Check) => ({ url: undefined, subject: "", checks: [check] })
  if (Option.isSome(configured)) {
    const url = URL.parse(Redacted.value(configured.value))
    return Effect.succeed(
      url && /^postgres(ql)?:$/u.test(url.protocol) && url.hostname !== ""
        ? { url: configured.value, subject: `The database ${url.host}${url.pathname}`, checks: [] }
        : none(Checks.failure("database", "DATABASE_URL is no URL of a database", `Set ${Settings.hints.databaseUrl}.`))
    )
  }
  if (!flags.dev) {
    return Effect.succeed(
      none(Checks.failure(
        "database",
        "DATABASE_URL is not set",
        `Set ${Settings.hints.databaseUrl}; or pass --dev to check a runner in development.`
      ))
    )
  }
  return EmbeddedPostgres.find(flags.dataDir).pipe(
    Effect.map((found) => {
      const check = Checks.embedded(flags.dataDir, { ...found, running: found.running !== undefined })
      const asleep = Checks.warning(
        "database",
        "The embedded PostgreSQL is not running, so what it holds is not checked",
        "Check again while `hookline start --dev` runs."
      )
      return {
        url: found.running,
        subject: "The embedded PostgreSQL",
        checks: found.running === undefined && found.made !== undefined ? [check, asleep] : [check]
      }
    }),
    Effect.catch((error) =>
      Effect.succeed(none(Checks.failure("embedded", error.message, "Or set DATABASE_URL to a PostgreSQL of yours.")))
    )
  )
}

interface Stored {
  readonly checks: ReadonlyArray<Checks.Check>
  /** What the master key opens of it. */
  readonly sealed: Checks.Check | undefined
  readonly providers: ReadonlyArray<{ readonly providerId: string; readonly subscriptions: number }>
}

const inspect = (
  url: Key,
  subject: string,
  masterKey: Key | undefined,
  terms: Retention.Terms
): Effect.Effect<Stored> =>
  PgInspection.inspect(
    url,
    Effect.fnUntraced(function*(inspection) {
      const server = yield* inspection.server
      const layout = yield* Effect.result(inspection.layout)
      const checks = [
        Checks.ok("database", `${subject} answers`),
        Checks.server(server),
        yield* judged("clock", inspection.clock, Checks.clock),
        yield* judged("layout", Effect.fromResult(layout), Checks.layout)
      ]
      if (layout._tag === "Failure" || layout.success.found === 0) return { checks, sealed: undefined, providers: [] }
      return {
        checks: [
          ...checks,
          yield* judged("partitions", inspection.partitions, Checks.partitions),
          yield* judged("retention", inspection.expired(terms), (expired) => Checks.retention(terms, expired))
        ],
        sealed: masterKey === undefined ? undefined : yield* opened(inspection, masterKey),
        providers: yield* Effect.orElseSucceed(inspection.providers, () => [])
      }
    })
  ).pipe(
    Effect.timeoutOrElse({
      duration: "15 seconds",
      orElse: () => Effect.fail({ why: "it gave no answer in 15 seconds" })
    }),
    Effect.catch(({ why }) =>
      Effect.succeed({
        checks: [
          Checks.failure(
            "database",
            `${subject} can't be used: ${why}`,
            "Check DATABASE_URL, and that the server runs and lets this machine in."
          )
        ],
        sealed: undefined,
        providers: []
      })
    )
  )

const judged = <A>(
  name: string,
  part: Effect.Effect<A, { readonly message: string }>,
  judge: (found: A) => Checks.Check
): Effect.Effect<Checks.Check> =>
  part.pipe(
    Effect.map(judge),
    Effect.catch(({ message }) =>
      Effect.succeed(Checks.failure(name, message, "Grant the role of DATABASE_URL what it lacks, or mend the server."))
    )
  )

/** A key that is malformed, which is all that can be told where nothing is stored. */
const wellFormed = (masterKey: Key | undefined) =>
  masterKey === undefined ? Effect.succeed([]) : Effect.map(withKey(masterKey, () => none), (check) => [check])

const none = Effect.succeed({ secrets: 0, problems: [] })

const opened = (inspection: PgInspection.Inspection, masterKey: Key) =>
  withKey(masterKey, (secrets) =>
    Effect.gen(function*() {
      const problems: Array<string> = []
      let count = 0
      const open = Effect.fnUntraced(function*(id: string, texts: Iterable<string>) {
        for (const sealed of texts) {
          count++
          yield* Effect.catch(secrets.open(sealed, id), ({ message }) => Effect.sync(() => problems.push(message)))
        }
      })
      // Without the plugins' schemas, the form of a text says that it is sealed.
      const inside = (config: Schema.Json) => [...SealedConfig.texts(config)].filter(Secrets.isSealed)
      for (const { config, id, signingSecrets } of yield* inspection.subscriptions) {
        yield* open(id, [...signingSecrets.map(({ sealed }) => sealed), ...inside(config)])
      }
      for (const { config, id } of yield* inspection.connections) yield* open(id, inside(config))
      return { secrets: count, problems }
    }))

const withKey = <E extends { readonly message: string }>(
  masterKey: Key,
  use: (
    secrets: Secrets.Secrets["Service"]
  ) => Effect.Effect<{ readonly secrets: number; readonly problems: ReadonlyArray<string> }, E>
): Effect.Effect<Checks.Check> =>
  Effect.gen(function*() {
    const { otherMasterKeys } = yield* Settings.environment
    return yield* Effect.flatMap(Secrets.Secrets, (secrets) => judged("master-key", use(secrets), Checks.sealed)).pipe(
      Effect.provide(Secrets.layer({ masterKey, otherMasterKeys }))
    )
  }).pipe(
    Effect.catch(({ message }) =>
      Effect.succeed(Checks.failure("master-key", message, "Without it, nothing sealed can be opened."))
    )
  )

const Live = Schema.Struct({ status: Schema.String })
const Problem = Schema.Struct({ detail: Schema.String })

const fetched = <A>(url: string, schema: Schema.Codec<A, unknown>, headers: Record<string, string> = {}) =>
  Effect.tryPromise((signal) =>
    fetch(url, { signal, headers }).then(async (answer) => ({
      status: answer.status,
      body: await answer.json()
    }))
  ).pipe(
    Effect.flatMap(({ body, status }) =>
      Effect.map(Schema.decodeUnknownEffect(schema)(body), (json) => ({ status, json }))
    ),
    Effect.timeout("3 seconds"),
    Effect.option
  )

/** Whether the port can be had, or a runner answers at it, who can be asked more. */
const port = Effect.fnUntraced(function*(flags: Flags, adminKey: Key | undefined) {
  const keyCheck = adminKey === undefined ? [] : [Checks.adminKey(Redacted.value(adminKey))]
  const place = `${flags.host}:${flags.port}`
  const problem = yield* bound(flags)
  if (problem === undefined) {
    return { adminKey: keyCheck, port: Checks.ok("port", `${place} is free: no runner listens there`) }
  }
  if (problem !== "EADDRINUSE") {
    const todo = "Choose another with --host and --port or HOOKLINE_PORT."
    return { adminKey: keyCheck, port: Checks.failure("port", `${place} can't be listened on (${problem})`, todo) }
  }
  const host = flags.host === "0.0.0.0" ? "127.0.0.1" : flags.host === "::" ? "[::1]" : flags.host
  const url = `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${flags.port}`
  const live = yield* fetched(`${url}/health/live`, Live)
  if (Option.isNone(live) || live.value.json.status !== "live") {
    const todo = "End it, or choose another port with --port or HOOKLINE_PORT."
    return {
      adminKey: keyCheck,
      port: Checks.failure("port", `${place} is taken by another process than Hookline`, todo)
    }
  }
  const ready = yield* fetched(`${url}/health/ready`, Schema.Union([Live, Problem]))
  const known = adminKey === undefined ? Option.none() : yield* fetched(
    `${url}/api/v1/plugins`,
    Schema.Unknown,
    { authorization: `Bearer ${Redacted.value(adminKey)}` }
  )
  return {
    adminKey: Option.isSome(known) && known.value.status === 401
      ? [
        Checks.failure(
          "admin-key",
          `The runner at ${place} refuses it`,
          "Set HOOKLINE_ADMIN_KEY to the key that the runner was started with."
        )
      ]
      : keyCheck,
    port: Option.isSome(ready) && ready.value.status === 200
      ? Checks.ok("port", `A runner listens at ${place} and is ready`)
      : Checks.failure(
        "port",
        `A runner listens at ${place}, but is not ready${
          Option.isSome(ready) && "detail" in ready.value.json ? `: ${ready.value.json.detail}` : ""
        }`,
        "See its log: it delivers once the database answers again."
      )
  }
})

/** Listens for a moment; the system's code where that can't be. */
const bound = (flags: Flags) =>
  Effect.callback<string | undefined>((resume) => {
    const server = createServer()
    server.on("error", (error) => {
      resume(Effect.succeed("code" in error && typeof error.code === "string" ? error.code : error.message))
    })
    server.listen(flags.port, flags.host, () => server.close(() => resume(Effect.undefined)))
  })

const plugins = (
  config: string | undefined,
  wanted: ReadonlyArray<{ readonly providerId: string; readonly subscriptions: number }>
) =>
  Effect.gen(function*() {
    const loaded = yield* Plugins.load(config)
    const registrations = yield* Effect.flatMap(Registry.Registry, (registry) => registry.plugins).pipe(
      Effect.provide(
        Layer.mergeAll(Webhook.plugin, loaded).pipe(
          Layer.provideMerge(Registry.layer),
          Layer.provide(EgressNode.layer())
        )
      )
    )
    return Checks.plugins(
      registrations.map((registration) => ({
        id: registration.pluginId,
        events: registration.events.length,
        providers: Registry.providerIds(registration)
      })),
      wanted
    )
  }).pipe(
    Effect.catch(({ message }) =>
      Effect.succeed(
        config === undefined && Plugins.find() === undefined
          ? Checks.warning("plugins", `They are not checked. ${message}`, "`hookline start` needs it.")
          : Checks.failure("plugins", message, "A runner does not start until this is mended.")
      )
    )
  )
