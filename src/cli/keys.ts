/**
 * `hookline keys`: who may use the API.
 */
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { Scope } from "../Key.ts"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Paging from "./Paging.ts"
import * as Remote from "./Remote.ts"

const tenant = Flag.String("tenant")

const list = Command.make("list", {
  tenantId: tenant.pipe(Flag.withDescription("Those of a tenant"), Flag.optional),
  ...Paging.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { cursor, limit, tenantId } = given
    const remote = yield* Remote.connect(given)
    const query = Input.given({ cursor, limit, tenantId })
    const found = yield* remote.ask((client) => client.keys.list({ query }))
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["KEY", "NAME", "BEGINS", "SCOPES", "TENANT", "STATE", "LAST USED"],
      found.items.map((item) => [
        item.id,
        item.name,
        item.prefix,
        item.scopes.join(", "),
        item.tenantId ?? "all",
        stateOf(item),
        item.lastUsedAt ?? ""
      ]),
      "There are no keys but the runners' admin key: make one with `hookline keys create`."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(Command.withDescription("Lists keys, newest first"))

const get = Command.make("get", { id: Ids.key, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.keys.get({ params: { id: given.id } }))
    if (given.json) return yield* Output.json(found)
    yield* Output.fields([
      ["key", { text: found.id, tone: "strong" }],
      ["name", found.name],
      ["begins", found.prefix],
      ["scopes", found.scopes.join(", ")],
      ["tenant", found.tenantId ?? "all"],
      ["state", stateOf(found)],
      ["last used", found.lastUsedAt],
      ["created", found.createdAt]
    ])
  })).pipe(Command.withDescription("Shows a key, without the key itself"))

const create = Command.make("create", {
  name: Flag.String("name").pipe(Flag.withDescription("What people call it")),
  scopes: Flag.Literals("scope", Scope.literals).pipe(
    Flag.withDescription("What it may do; once for each"),
    Flag.atLeast(1)
  ),
  tenantId: tenant.pipe(Flag.withDescription("The only tenant whose things it sees; all when left out"), Flag.optional),
  expiresAt: Flag.String("expires-at").pipe(
    Flag.withDescription("Until when it is good, as 2027-01-31; for ever when left out"),
    Flag.optional
  ),
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { expiresAt, name, scopes, tenantId } = given
    const remote = yield* Remote.connect(given)
    const payload = { name, scopes, ...Input.given({ expiresAt, tenantId }) }
    const made = yield* remote.ask((client) => client.keys.create({ payload }))
    if (given.json) return yield* Output.json(made)
    yield* Console.error(`${made.id} is made. This is the key, shown only now:`)
    yield* Console.log(made.key)
  })).pipe(
    Command.withDescription("Makes a key and prints it, once"),
    Command.withExamples([{ command: "hookline keys create --name ci --scope emit --tenant acme" }])
  )

const revoke = Command.make("revoke", { id: Ids.key, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    yield* remote.ask((client) => client.keys.revoke({ params: { id: given.id } }))
    if (given.json) return yield* Output.json({ id: given.id, revoked: true })
    yield* Console.log(`${given.id} is revoked: within seconds it opens nothing any more.`)
  })).pipe(Command.withDescription("Revokes a key for good"))

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const keys = Command.make("keys").pipe(
  Command.withDescription("Makes, lists and revokes keys of the API"),
  Command.withSubcommands([list, get, create, revoke])
)

// --- internal ---

const stateOf = (key: { readonly revokedAt?: string; readonly expiresAt?: string }): string =>
  key.revokedAt !== undefined
    ? `revoked ${key.revokedAt}`
    : Option.match(Option.fromUndefinedOr(key.expiresAt), {
      onNone: () => "good",
      onSome: (at) => `until ${at}`
    })
